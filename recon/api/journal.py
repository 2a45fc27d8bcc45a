"""The journal: which runs there were, whether it is whole, and what a person decides about an open change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from recon.api.choosing import check_known
from recon.api.common import Config, operator_name, settings_of

if TYPE_CHECKING:
    from recon.runs.states import Decision, RunState, RunSummary
    from recon.runs.stores.journal import JournalCheck

Writer = Literal["run", "other"]


def runs(config: Config = None) -> tuple[RunSummary, ...]:
    """What was applied and taken back, newest first; see ``recon runs``."""
    from recon.runs.states import list_runs
    from recon.setup.open_runs import open_ledger

    with open_ledger(settings_of(config)) as ledger:
        return list_runs(ledger.journal)


def run(name: str, *, config: Config = None) -> RunState:
    """One run with every change it tried; see ``recon runs RUN``. Raises UnknownRunError when there is none."""
    from recon.runs.states import read_run
    from recon.setup.open_runs import open_ledger

    with open_ledger(settings_of(config)) as ledger:
        return read_run(ledger.journal, name)


def verify(config: Config = None, *, head: str | None = None) -> JournalCheck:
    """Check every entry of the journal against the one before it; see ``recon journal verify``.

    Args:
        head: A hash noted earlier, which must still be in the chain.
    """
    from recon.runs.stores.journal import verify_journal
    from recon.setup.open_runs import open_ledger

    with open_ledger(settings_of(config)) as ledger:
        return verify_journal(ledger.journal, head=head)


def settle(
    run: str,
    *,
    payment: str,
    written_by: Writer,
    reason: str,
    config: Config = None,
    operator: str | None = None,
) -> Decision:
    """Record a person's decision on an unsettled change; see ``recon journal settle``. Business records stay.

    Raises:
        UnknownFilterError: ``written_by`` is neither ``run`` nor ``other``.
        NotUnsettledError: The run left no such change open.
    """
    from recon.runs.states import Decision, settle_change
    from recon.setup.open_runs import clock_of, open_ledger

    check_known("writer", [written_by], known=get_args(Writer))
    settings = settings_of(config)
    decision = Decision(who=operator_name(operator), reason=reason, written_by_run=written_by == "run")
    with open_ledger(settings) as ledger:
        now = clock_of(ledger, settings)()
        settle_change(ledger.journal, run=run, payment=payment, decision=decision, now=now)
    return decision
