"""What is not part of the core install, and the sentence that names the extra which brings it."""

from __future__ import annotations

from importlib.util import find_spec

from recon.core.errors import UsageError


class MissingExtraError(UsageError):
    """Something was asked for that an extra of the distribution brings, and it is not installed."""

    def __init__(self, *, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs {package}, which is not installed; pip install 'recon-toolkit[{extra}]' installs it."
        )


def is_installed(package: str) -> bool:
    """Whether a package can be imported; of one that lies in another, that one is imported for it."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def check_extra(what: str, *, package: str, extra: str) -> None:
    """Refuse what needs a package that is not there.

    Raises:
        MissingExtraError: It is not there.
    """
    if not is_installed(package):
        raise MissingExtraError(what=what, package=package, extra=extra)
