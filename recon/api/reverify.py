"""``reverify``: the proofs that past corrections rested on, asked for again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recon.api.choosing import Moment, resolve_moment
from recon.api.common import Config, settings_of
from recon.api.naming import plan_by_digest, run_named
from recon.core.errors import ReconError, UsageError

if TYPE_CHECKING:
    from recon.core.model import Plan
    from recon.runs.proof import Prove
    from recon.runs.reverify import Reverified
    from recon.setup.settings import Settings


class NothingToReverifyError(UsageError):
    """Neither a run nor a time was named, or both."""

    def __init__(self) -> None:
        super().__init__("Name a run, or --since when runs are looked at again; one of the two. Nothing was asked.")


def reverify(run: str | None = None, *, since: Moment | None = None, config: Config = None) -> Reverified:
    """Ask again, by the strictest rule of finality, what past corrections rested on; see ``recon reverify``.

    Nothing is written. Where a proof is gone, :func:`recon.undo` plans the way back.

    Args:
        run: Its name, the beginning of it, or ``last``.
        since: Instead: every run that corrected payments and began at this time or later.

    Raises:
        NothingToReverifyError, NoCorrectionRunError, NoSuchNameError: What is meant is not clear.
        UnknownRunError: The journal knows no such run.
        SourceError: The journal cannot be read.
    """
    from recon.runs.reverify import AskingAgain, reverify_runs, runs_to_reverify
    from recon.runs.states import UnknownRunError
    from recon.setup.judge_again import judge_again
    from recon.setup.open_runs import open_ledger

    if (run is None) == (since is None):
        raise NothingToReverifyError
    settings = settings_of(config)
    asking = AskingAgain(
        plan_of=lambda digest: _plan(digest, settings),
        prove=lambda plan: _prove(settings, plan),
        judge=judge_again(settings),
    )
    with open_ledger(settings) as ledger:
        named = None if run is None else run_named(run, ledger.journal)
        runs = runs_to_reverify(ledger.journal, run=named, since=resolve_moment(since, now=settings.now()))
        if named is not None and not runs:
            raise UnknownRunError(run=named)
        return reverify_runs(ledger.journal, runs, asking=asking)


def _plan(digest: str, settings: Settings) -> Plan | None:
    """The plan of a run; one that was changed since counts as none."""
    try:
        return plan_by_digest(digest, settings)
    except ReconError:
        return None


def _prove(settings: Settings, plan: Plan | None) -> Prove:
    from recon.runs.proof import ProofReader
    from recon.setup.ask_proof import ask_proof

    # What a chain showed when the plan was made is long past: a head counts by its age alone.
    reader = ask_proof(settings, plan, strictly=True)
    return ProofReader(reader.chain, reader.now)
