"""From tables to one verdict for each payment, in columns."""

from typing import TYPE_CHECKING

from recon.core.door import names_from

if TYPE_CHECKING:
    from recon.verdicts.engine import Engine, open_engine
    from recon.verdicts.judge import Judgement, horizon_of, judge
    from recon.verdicts.rules import RULES

__all__ = [
    "RULES",
    "Engine",
    "Judgement",
    "horizon_of",
    "judge",
    "open_engine",
]

__getattr__ = names_from(
    {
        "Engine": "recon.verdicts.engine",
        "Judgement": "recon.verdicts.judge",
        "RULES": "recon.verdicts.rules",
        "horizon_of": "recon.verdicts.judge",
        "judge": "recon.verdicts.judge",
        "open_engine": "recon.verdicts.engine",
    }
)
