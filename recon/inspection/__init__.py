"""One payment looked at from every side: what each says, a timeline, ranked causes, and a case file that replays.

The package has this name because ``recon.inspect`` is the function; a package ``recon/inspect`` would take its place.
"""

from recon.inspection.inspect import Inspection, inspect_dossier, inspect_payment

__all__ = ["Inspection", "inspect_dossier", "inspect_payment"]
