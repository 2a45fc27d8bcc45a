"""Where the sign-offs of a manual sample are read and kept under a configuration."""

from __future__ import annotations

from pathlib import Path

from recon.rails.gates.sample import (
    Sample,
    SignOff,
    load_sign_offs,
    save_sign_off,
    shelve_sign_off,
    shelved_sign_offs,
)
from recon.setup.open_decisions import open_shelf
from recon.setup.settings import Settings


def sign_offs_of(settings: Settings, sample: Sample, *, path: Path) -> tuple[SignOff, ...]:
    """The sign-offs of a sample: those beside its file, and those in the database where decisions are kept there.

    Raises:
        SampleError: One cannot be read, or was changed since it was signed.
    """
    signs = load_sign_offs(path)
    if settings.values.approvals.kept_in == "database":
        signs = (*signs, *shelved_sign_offs(sample, open_shelf(settings)))
    return tuple(sorted(signs, key=lambda sign: (sign.at, sign.operator)))


def keep_sign_off(settings: Settings, sign: SignOff, *, path: Path) -> None:
    """Keep a sign-off beside the file of its sample, or in the database where decisions are kept there.

    Raises:
        SampleError: It cannot be written beside the others.
    """
    if settings.values.approvals.kept_in == "database":
        shelve_sign_off(sign, open_shelf(settings))
    else:
        save_sign_off(sign, path)
