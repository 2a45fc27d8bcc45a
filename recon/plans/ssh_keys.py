"""Signatures of decisions with SSH keys, made and checked by ``ssh-keygen -Y`` as git does it.

What is signed is the canonical text of a record; the kind of decision is the namespace, so that a signature of one kind
is none of another. Who a key belongs to is what a file of allowed signers says: git's format, read by OpenSSH itself,
with ``namespaces=``, ``valid-after=``, ``valid-before=`` and ``cert-authority``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from recon.core.errors import ConfigError, RefusedError
from recon.core.people import Signer, name_problem
from recon.files import save_new

APPROVES: Final = "plan-approval@recon"
MADE: Final = "plan-author@recon"
LOOKED: Final = "sample-signoff@recon"
ACCEPTS: Final = "break-acknowledgement@recon"
ATTESTS: Final = "reconciliation-statement@recon"
NAMESPACES: Final = (APPROVES, MADE, LOOKED, ACCEPTS)
"""Those of decisions. A statement decides nothing, so its namespace is given to a key apart."""

SIGNATURE_MAX: Final = 20_000
"""Characters of the longest signature that is looked at; one by an RSA certificate has about 3,000."""

_BEGINS: Final = "-----BEGIN SSH SIGNATURE-----"
_GOOD: Final = re.compile(r"^Good \"[^\"]+\" signature .*with [A-Z0-9-]+ key (SHA256:[A-Za-z0-9+/]{43})$", re.MULTILINE)
_CHECK_S: Final = 20.0
_SIGN_S: Final = 120.0
"""Long enough to look for a hardware key and touch it."""


class NoSshKeygenError(ConfigError):
    """OpenSSH's own program is not there."""

    def __init__(self) -> None:
        super().__init__(
            "ssh-keygen is not on this machine, and signed decisions can neither be made nor checked without it; "
            "nothing was done. Install OpenSSH 8.9 or newer (package openssh-client)."
        )


class SignersFileError(ConfigError):
    """A file that says whose keys count cannot be used."""

    def __init__(self, *, setting: str, path: str, why: str) -> None:
        super().__init__(f'{path}: the file that "{setting}" names {why}, so nobody\'s signature can be checked.')


class NotSignedError(RefusedError):
    """A decision could not be signed."""

    def __init__(self, *, why: str) -> None:
        super().__init__(
            f"The decision could not be signed ({why}); nothing was recorded. Name a key with --key or [approvals] "
            'signing_key: a private key, or its .pub where the private half is in an agent. "recon doctor" checks it.'
        )


class WorthlessSignatureError(RefusedError):
    """A signature that proves nothing; ``why`` says what is wrong with it as the end of a sentence."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"The decision {why}, so it counts for nothing.")
        self.why = why


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key to sign with: a private key, or its public half where an agent or a hardware key has the other."""

    path: Path

    def sign(self, text: str, *, namespace: str) -> str:
        """The signature of a text, armoured.

        Raises:
            NotSignedError: There is no such key, or its holder did not agree.
            NoSshKeygenError: See the class.
        """
        if not self.path.is_file():
            raise NotSignedError(why=f"there is no key {self.path}")
        # Who sits at a terminal is asked for a passphrase or a touch there; a job has nobody to ask.
        asks = sys.stderr.isatty()
        command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(self.path), "-n", namespace]
        code, out, said = _run(command, text=text, wait_s=_SIGN_S, asks=asks)
        if code or not out.startswith(_BEGINS):
            raise NotSignedError(why=said or f"ssh-keygen left with {code}")
        return out.strip()


@dataclass(slots=True)
class Signers:
    """Whose keys count.

    Args:
        allowed: The file of allowed signers.
        revoked: Keys that count no more: a list of public keys, or a KRL.
    """

    allowed: Path
    revoked: Path | None = None
    _seen: dict[tuple[object, ...], Signer | str] = field(default_factory=dict)

    def check_files(self) -> None:
        """Refuse to go on without the files.

        Raises:
            SignersFileError: One of them cannot be read, or the one with the signers says nothing.
        """
        for setting, path in (("approvals.allowed_signers", self.allowed), ("approvals.revoked_signers", self.revoked)):
            if path is None:
                continue
            try:
                data = path.read_bytes()
            except OSError as error:
                raise SignersFileError(
                    setting=setting, path=str(path), why=f"cannot be read ({error.strerror})"
                ) from error
            if path is self.allowed and not any(_rules(data)):
                raise SignersFileError(setting=setting, path=str(path), why="names no signer")

    def check(self, text: str, *, signature: str, namespace: str, times: Sequence[datetime]) -> Signer:
        """Who signed a text.

        Args:
            times: When the key must have been valid: when it signed, and now.

        Raises:
            WorthlessSignatureError: Nobody who counts.
            SignersFileError, NoSshKeygenError: Nobody can tell.
        """
        key = (text, signature, namespace, *times)
        if key not in self._seen:
            self.check_files()
            try:
                self._seen[key] = self._checked(text, signature, namespace, times)
            except WorthlessSignatureError as error:
                self._seen[key] = error.why
        found = self._seen[key]
        if isinstance(found, str):
            raise WorthlessSignatureError(why=found)
        return found

    def _checked(self, text: str, signature: str, namespace: str, times: Sequence[datetime]) -> Signer:
        if not signature:
            raise WorthlessSignatureError(why="is not signed")
        if len(signature) > SIGNATURE_MAX or not signature.startswith(_BEGINS):
            raise WorthlessSignatureError(why="holds something else where its signature should be")
        with _as_file(signature) as place:
            principals = self._principals(place, times[-1])
            if (odd := next((why for each in principals if (why := name_problem(each))), None)) is not None:
                raise WorthlessSignatureError(why=f"is signed by a principal whose name {odd}")
            keys = {self._verified(text, place, principals[0], namespace, at) for at in dict.fromkeys(times)}
        return Signer(principals, keys.pop())

    def _principals(self, signature: str, at: datetime) -> tuple[str, ...]:
        """Every name that the file gives to the key of a signature."""
        command = ["ssh-keygen", "-Y", "find-principals", "-s", signature, "-f", str(self.allowed), _as_of(at)]
        code, out, _ = _run(command, text="", wait_s=_CHECK_S)
        found = tuple(dict.fromkeys(line.strip() for line in out.splitlines() if line.strip()))
        if code or not found:
            raise WorthlessSignatureError(
                why=f"is signed with a key that {self.allowed.name} gives to nobody, or not at this time"
            )
        return found

    def _verified(self, text: str, signature: str, principal: str, namespace: str, at: datetime) -> str:
        """The fingerprint of the key that made a signature; OpenSSH says whether it counts."""
        command = ["ssh-keygen", "-Y", "verify", "-f", str(self.allowed), "-I", principal, "-n", namespace]
        command += ["-s", signature, _as_of(at)]
        key, said = _good_key(command, text)
        if key is None:
            why = next((line for line in said.splitlines() if ": " in line), said.partition("\n")[0])[-160:]
            raise WorthlessSignatureError(why=f"is not what {principal} signed as {namespace} ({why or 'no word'})")
        if self.revoked is not None and _good_key([*command, "-r", str(self.revoked)], text)[0] != key:
            raise WorthlessSignatureError(
                why=f"is signed by {principal} with a key that {self.revoked.name} takes back"
            )
        return key


def _good_key(command: Sequence[str], text: str) -> tuple[str | None, str]:
    """The key that a check finds good; None with what was said where it finds none."""
    code, out, said = _run(command, text=text, wait_s=_CHECK_S)
    found = _GOOD.search(out)
    return (None, said) if code or found is None else (found[1], said)


def signer_rules(data: bytes) -> list[tuple[str, str]]:
    """The rules of a file of allowed signers, each with its principals and the rest of its line."""
    return list(_rules(data))


def agent_keys() -> tuple[str, ...]:
    """The public keys that an agent holds, as ``type base64``; none where there is no agent."""
    try:
        listed = subprocess.run(
            ["ssh-add", "-L"],  # noqa: S607 - OpenSSH as the path finds it, as git does
            check=False, capture_output=True, text=True, timeout=_CHECK_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(" ".join(line.split()[:2]) for line in listed.stdout.splitlines() if " " in line)


def _rules(data: bytes) -> Iterator[tuple[str, str]]:
    for line in data.decode("utf-8", "replace").splitlines():
        principals, _, rest = line.strip().partition(" ")
        if principals and not principals.startswith("#") and rest.strip():
            yield principals, rest.strip()


def _as_of(moment: datetime) -> str:
    """A moment as ``ssh-keygen`` reads it everywhere: in the machine's own zone."""
    return f"-Overify-time={moment.astimezone():%Y%m%d%H%M%S}"


@contextmanager
def _as_file(text: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="recon-sig-") as folder:
        path = Path(folder) / "sig"
        save_new(path, f"{text}\n".encode())
        yield str(path)


def _run(command: Sequence[str], *, text: str, wait_s: float, asks: bool = False) -> tuple[int, str, str]:
    """Run OpenSSH's program: its exit code, what it printed, and the end of what it complained about."""
    try:
        done = subprocess.run(  # noqa: S603 - the program of OpenSSH, no shell
            list(command),
            input=text.encode(),
            check=False,
            timeout=wait_s,
            stdout=subprocess.PIPE,
            stderr=None if asks else subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=not asks,
        )
    except FileNotFoundError as error:
        raise NoSshKeygenError from error
    except subprocess.TimeoutExpired:
        return 124, "", f"ssh-keygen did not answer within {wait_s:.0f} s"
    said = (done.stderr or b"").decode("utf-8", "replace").strip()
    return done.returncode, done.stdout.decode("utf-8", "replace"), said[-400:]
