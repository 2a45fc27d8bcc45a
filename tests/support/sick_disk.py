"""A disk on which a call of the system fails, and what a folder then holds."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recon.files import (
    replace_file,
    save_new,
)

Writer = Callable[[Path, bytes], None]
WRITERS: tuple[Writer, ...] = (save_new, replace_file)
CALLS = ("open", "write", "fsync", "close")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_at(patch: pytest.MonkeyPatch, call: str, *, number: int = 1, code: int = errno.EIO) -> None:
    """Let the numbered use of a call of the system fail, as it would on a sick disk; the later ones work again."""
    real, seen = getattr(os, call), 0

    def failing(*given: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == number:
            raise OSError(code, os.strerror(code))
        return real(*given, **options)

    patch.setattr(f"recon.files.os.{call}", failing)
