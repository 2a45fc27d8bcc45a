"""``show``, ``select``, ``approve`` and ``ack``: looking at a plan, and deciding about it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon.api.choosing import check_tokens, check_verdicts, parse_amounts
from recon.api.common import (
    Config,
    Place,
    Say,
    note_author,
    operator_name,
    path_of,
    plan_of,
    settings_if_there,
    settings_of,
    tell,
)
from recon.core.errors import UsageError

if TYPE_CHECKING:
    from recon.api.runs import Amounts
    from recon.core.model import Plan
    from recon.plans.approvals import Ack, Approval
    from recon.plans.history import History
    from recon.snapshots.sealed import Snapshot


class UnknownArtefactError(UsageError):
    """A path leads to nothing this tool has written."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}; recon show reads a plan file, a snapshot directory, or a run history.")


class NoPlanYetError(UsageError):
    """An acknowledgement needs a plan that shows the break."""

    def __init__(self) -> None:
        super().__init__('There is no plan in the run history; name one with --plan, or run "recon plan" first.')


class NoSuchBreakError(UsageError):
    """The plan has no break of a payment."""

    def __init__(self, *, payment: str, plan: str) -> None:
        super().__init__(f"{plan} shows no break of payment {payment[:80]!r}; nothing was recorded.")


class PastTimeError(UsageError):
    """A break is to be accepted until a time that is over."""

    def __init__(self) -> None:
        super().__init__("--until wants a time that is still to come, for example 2026-12-01.")


def show(artefact: Place) -> Plan | Snapshot | History:
    """Open a plan, a snapshot or a run history, offline; see ``recon show``. Only intact files are opened.

    Raises:
        UnknownArtefactError: The path holds none of them.
        PlanFileError, SnapshotError: It was changed, or cannot be read.
    """
    from recon.plans.file import load_plan
    from recon.plans.history import FILE_NAME, load_history
    from recon.snapshots.sealed import MANIFEST
    from recon.snapshots.take import open_snapshot

    path = Path(artefact)
    if path.is_dir():
        if not (path / MANIFEST).exists():
            raise UnknownArtefactError(path=str(path), why="this directory holds no manifest.json")
        return open_snapshot(path)
    if not path.exists():
        raise UnknownArtefactError(path=str(path), why="nothing is there")
    return load_history(path.parent) if path.name == FILE_NAME else load_plan(path)


def select(
    plan: Plan | Place,
    *,
    out: Place,
    verdicts: Iterable[str] = (),
    payments: Iterable[str] = (),
    max_value: Amounts = (),
    config: Config = None,
    operator: str | None = None,
) -> Plan:
    """Derive a smaller plan with a digest of its own, and save it; see ``recon select``.

    Args:
        verdicts, payments: What is kept; everything of tier auto when neither is given.
        max_value: What is worth more is dropped, in whole tokens by symbol.
        config: Where the author is noted; without a configuration nobody is.

    Raises:
        FileThereError: ``out`` is there already.
        UnknownFilterError: A verdict or a token is not known.
        EmptySelectionError: Nothing is left.
    """
    from recon.core.registry import load_registry
    from recon.files import check_free
    from recon.plans.file import save_plan, select_changes

    path, amounts = Path(out), parse_amounts(max_value)
    check_free(path)
    chosen, wanted = tuple(payments), tuple(verdicts)
    check_verdicts(wanted)
    whole, settings = plan_of(plan), settings_if_there(config)
    check_tokens(amounts, plan=whole, registry=settings.registry() if settings is not None else load_registry())
    smaller = select_changes(whole, verdicts=wanted, payments=chosen, value_max=_units(whole, amounts))
    save_plan(smaller, path)
    if settings is not None:
        note_author(settings, smaller, operator=operator)
    return smaller


def approve(
    plan: Plan | Place,
    *,
    reason: str,
    ticket: str | None = None,
    key: Place | None = None,
    note_head: bool = False,
    config: Config = None,
    operator: str | None = None,
) -> Approval:
    """Record your approval of a plan, once; see ``recon approve``.

    Args:
        key: The SSH key to sign with; that of the configuration when not given.
        note_head: Ask the database for the journal's end and note it in the record.

    Raises:
        MissingReasonError: The reason says nothing.
        NotSignedError: It must be signed and could not be.
        RecordExistsError: You approved it already.
    """
    from recon.setup.open_decisions import open_decisions
    from recon.setup.open_runs import head_if

    settings, seen = settings_of(config), plan_of(plan)
    records = open_decisions(settings, key=path_of(key), head=head_if(settings, note_head))
    return records.approve(seen, who=operator_name(operator), at=settings.now(), reason=reason, ticket=ticket)


def ack(
    payments: Iterable[str],
    *,
    reason: str,
    until: datetime,
    plan: Plan | Place | None = None,
    key: Place | None = None,
    note_head: bool = False,
    config: Config = None,
    operator: str | None = None,
    say: Say = tell,
) -> tuple[Ack, ...]:
    """Accept known breaks until a time; see ``recon ack``.

    Args:
        plan: The plan that shows the breaks; the newest of the history when not given.
        key: The SSH key to sign with; that of the configuration when not given.
        note_head: Ask the database for the journal's end and note it in the record.

    Raises:
        NoPlanYetError: There is none.
        NoSuchBreakError: It has no break of a payment; nothing was recorded.
        NotSignedError: It must be signed and could not be.
    """
    from recon.reports.views.plan import breaks_of
    from recon.setup.open_decisions import open_decisions
    from recon.setup.open_runs import head_if

    settings, named = settings_of(config), tuple(payments)
    if isinstance(until, timedelta):
        raise PastTimeError
    source = plan if plan is not None else newest_plan(settings.output_dir)
    seen = plan_of(source)
    breaks = {item.payment_id: item for item in breaks_of(seen)}
    for payment in named:
        if payment not in breaks:
            label = Path(source).name if isinstance(source, str | Path) else f"plan {source.digest[:12]}"
            raise NoSuchBreakError(payment=payment, plan=label)
    records, who = (
        open_decisions(settings, key=path_of(key), head=head_if(settings, note_head)),
        operator_name(operator),
    )
    stated: dict[str, Any] = {"reason": reason, "until": until, "target": seen.target}
    recorded = []
    for payment in named:
        recorded.append(records.acknowledge(breaks[payment], who=who, at=settings.now(), **stated))
        say(f"Recorded: {payment} ({breaks[payment].verdict}) is accepted until {until:%Y-%m-%d %H:%M} UTC.")
    return tuple(recorded)


def _units(plan: Plan, amounts: dict[str, str]) -> dict[str, int]:
    """Value limits in whole tokens as units by token, which differ from chain to chain."""
    whole = {symbol.upper(): Decimal(amount) for symbol, amount in amounts.items()}
    return {
        f"{change.chain_id}:{change.token or change.symbol}": int(limit.scaleb(change.decimals or 0))
        for change in plan.changes
        if (limit := whole.get((change.symbol or "").upper())) is not None
    }


def newest_plan(folder: Path) -> Path:
    """The plan that the run history of a folder names last. Raises NoPlanYetError when there is none."""
    from recon.plans.history import load_history

    entries = load_history(folder).entries
    if not entries:
        raise NoPlanYetError
    return Path(str(entries[-1]["plan"]))
