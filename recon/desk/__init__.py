"""Review in the terminal: a plan's breaks as a list, one payment beside it, and what is decided about them."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.desk.app import run_desk
    from recon.desk.desk import open_desk

__all__ = ["open_desk", "run_desk"]

__getattr__ = names_from({"open_desk": "recon.desk.desk", "run_desk": "recon.desk.app"})
