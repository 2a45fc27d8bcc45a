"""The journal: which runs there were, whether it is whole, and what a person decides about an open change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

from recon.api.choosing import check_known
from recon.api.common import Config, operator_name, path_of, settings_of
from recon.api.naming import run_named

if TYPE_CHECKING:
    from recon.api.common import Place
    from recon.plans.approvals import JournalHead
    from recon.runs.states import Decision, RunState, RunSummary
    from recon.runs.stores.journal import JournalCheck

Writer = Literal["run", "other"]


def runs(config: Config = None) -> tuple[RunSummary, ...]:
    """What was applied and taken back, in the order in which it began; see ``recon runs``.

    A run of which rows know more than the journal has ``lost`` rows; one that only rows know has the state ``lost``.
    """
    from recon.runs.ends import orphaned_rows, stamped_rows
    from recon.runs.states import list_runs, lost_run
    from recon.setup.open_runs import open_ledger

    with open_ledger(settings_of(config)) as ledger:
        found = list_runs(ledger.journal)
        lost = orphaned_rows(ledger.journal, stamped_rows(ledger.writer))
    known = tuple(replace(each, lost=len(lost.pop(each.run, ()))) for each in found)
    return (*known, *(lost_run(run, rows=len(rows)) for run, rows in sorted(lost.items())))


def run(name: str, *, config: Config = None) -> RunState:
    """One run with every change it tried, by name, by the beginning of it, or the last; see ``recon runs RUN``.

    Raises:
        UnknownRunError, NoSuchNameError: The journal knows no such run, or several.
    """
    from recon.runs.ends import orphaned_rows, stamped_rows
    from recon.runs.states import read_run
    from recon.setup.open_runs import open_ledger

    with open_ledger(settings_of(config)) as ledger:
        name = run_named(name, ledger.journal)
        state = read_run(ledger.journal, name)
        lost = orphaned_rows(ledger.journal, stamped_rows(ledger.writer, run=name)).get(name, [])
    return replace(state, lost=tuple(each.stamp for each in lost))


def head(config: Config = None, *, note: bool = True) -> JournalHead:
    """The journal's end, noted outside the database unless that is not wanted; see ``recon journal head``."""
    from recon.runs.ends import note_head
    from recon.setup.open_runs import clock_of, head_now, open_ledger

    settings = settings_of(config)
    with open_ledger(settings) as ledger:
        found = head_now(ledger)
        if note:
            note_head(settings.output_dir, found, at=clock_of(ledger, settings)())
    return found


def verify(config: Config = None, *, head: str | None = None) -> JournalCheck:
    """Check every entry of the journal against the one before it, and its end against every noted one.

    Args:
        head: A hash noted earlier, which must still be in the chain.
    """
    from recon.runs.stores.journal import verify_journal
    from recon.setup.open_runs import noted_ends, open_ledger

    settings = settings_of(config)
    with open_ledger(settings) as ledger:
        return verify_journal(ledger.journal, head=head, noted=noted_ends(settings, ledger))


def settle(
    run: str,
    *,
    payment: str,
    written_by: Writer,
    reason: str,
    config: Config = None,
    operator: str | None = None,
    key: Place | None = None,
) -> Decision:
    """Record a person's decision on an unsettled change; see ``recon journal settle``. Business records stay.

    With ``[approvals] allowed_signers`` it is signed, over run, payment and journal, and refused otherwise.

    Raises:
        UnknownFilterError: ``written_by`` is neither ``run`` nor ``other``.
        NotUnsettledError: The run left no such change open.
        NotSignedError: Signatures are asked for, and none that counts was given.
    """
    from recon.plans.settling import SettledChange, sign_settlement
    from recon.runs.ends import journal_name
    from recon.runs.states import Decision, settle_change
    from recon.setup.open_decisions import decision_terms
    from recon.setup.open_runs import clock_of, open_ledger

    check_known("writer", [written_by], known=get_args(Writer))
    settings = settings_of(config)
    terms = decision_terms(settings, key=path_of(key))
    with open_ledger(settings) as ledger:
        now, run = clock_of(ledger, settings)(), run_named(run, ledger.journal)
        change = SettledChange(journal_name(ledger.writer), run, payment, written_by, reason)
        who = operator_name(operator)
        signed, signer = sign_settlement(who, change, terms=terms, now=now)
        decision = Decision(who, reason, written_by == "run", signed=signed, signer=signer)
        settle_change(ledger.journal, run=run, payment=payment, decision=decision, now=now)
    return decision
