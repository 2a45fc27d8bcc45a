"""Files sealed by SOPS: told by their marks, and never written by hand, because every change must be sealed anew.

SOPS keeps a code over all values of a file. A value that anything else writes breaks it, and the next ``sops decrypt``
refuses the whole file, at the moment when the backend is started. So such a file is refused by its name.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from typing import Final

from recon.core.errors import RefusedError

_ENV_SEAL: Final = re.compile(rb"(?m)^(?:export[ \t]+)?sops_(?:mac|version|lastmodified)[ \t]*=")
_YAML_SEAL: Final = re.compile(rb"(?m)^[\"']?sops[\"']?[ \t]*:")
_JSON_SEAL: Final = re.compile(rb"\"sops\"[ \t\r\n]*:[ \t\r\n]*\{")
_MAC: Final = re.compile(rb"[\"']?mac[\"']?[ \t]*:[ \t]*[\"']?ENC\[")


class SealedFileError(RefusedError):
    """The flags are in a file that SOPS has sealed."""

    def __init__(self, *, path: str, wanted: Mapping[str, str]) -> None:
        how = "; ".join(f"""sops set {path} '["{flag}"]' '"{value}"'""" for flag, value in wanted.items())
        program = "" if shutil.which("sops") else " (sops is not installed here)"
        super().__init__(
            f"{path}: the file is sealed by SOPS, and any other program's change breaks its seal; nothing was changed. "
            f"Let SOPS change it{program}: {how or 'sops edit ' + path}."
        )


def has_sops_seal(data: bytes) -> bool:
    """Whether the bytes are a file that SOPS has sealed: dotenv, YAML or JSON."""
    if _ENV_SEAL.search(data):
        return True
    return bool((_YAML_SEAL.search(data) or _JSON_SEAL.search(data)) and _MAC.search(data))


def sealed_by(raw: str) -> bool:
    """Whether a value is one that SOPS has sealed."""
    return raw.strip("\"'").startswith("ENC[") and raw.strip("\"'").endswith("]")
