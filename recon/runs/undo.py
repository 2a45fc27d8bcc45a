"""Undo: not a second engine, but a plan made from the journal, newest change first, guarded on our own after-image.

What a run set over an existing field goes back to the old value in its old place; what it added goes away, and so does
an object that it created, if nothing else is in it by then. The stamp stays, because it tells the undo's own write from
another writer's; :func:`recon.runs.guard.without_marks` is the sense in which documents come back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from recon.core.errors import NothingLeftError, RefusedError, UsageError
from recon.core.model import MISSING, Change, FieldChange, GuardTerm, LeftAlone, Plan, Policy, Target, Tier, Verdict
from recon.core.text import count_text
from recon.core.times import millisecond_text
from recon.core.values import OBJECT, STAMP, UPDATED_AT, parents_of
from recon.core.version import __version__
from recon.plans.file import change_id, seal_plan
from recon.runs.guard import MovedField, RowClass, read_change, ready_change
from recon.runs.states import ChangeState, Result, RunState, read_run
from recon.runs.stores.journal import Journal
from recon.runs.stores.payments import PaymentWriter
from recon.sources.interface import Progress, no_progress

CANNOT_BE_UNDONE: Final = (
    "Whatever the backend or a person did meanwhile because of the values (releases, mails, callbacks) stays done.",
    "updatedAt is set anew and not put back, so that nobody who polls for changes misses this one.",
    "The stamp metadata.recon.last stays, naming the run that wrote last.",
)
_READ_ROWS: Final = 500


class NothingToUndoError(UsageError):
    """A run has written nothing of what was asked to be taken back."""

    def __init__(self, *, run: str, asked: str) -> None:
        super().__init__(f'Run {run} has written nothing{asked}; no plan was made. "recon runs" shows what it did.')


class TakenBackAlreadyError(NothingLeftError):
    """Everything that a run wrote, or all of what was asked for, is as it was before the run."""

    def __init__(self, *, run: str, rows: int, by: Collection[str]) -> None:
        who = f" (by run {', '.join(sorted(by)[:3])})" if by else ""
        super().__init__(
            f"Run {run} is taken back already{who}: {'all ' if rows > 1 else ''}{count_text(rows, 'row')} of it "
            'hold what they held before, so there is nothing to plan. "recon runs" shows which run took it back.',
        )


class RepairRunError(UsageError):
    """A run of repairs has a way back of its own."""

    def __init__(self, *, run: str) -> None:
        super().__init__(
            f'Run {run} put records or holds right and corrected nothing; no plan was made. "recon repair undo {run}" '
            "plans its way back."
        )


class OtherTargetError(RefusedError):
    """A run wrote to another target than the one given."""

    def __init__(self, *, run: str, what: str, wrote: object, given: object) -> None:
        super().__init__(
            f"Run {run} wrote to {what} {wrote!r} and the target given has {given!r}; no plan was made. "
            "Make the undo plan with the settings of the target that the run wrote to."
        )


def plan_undo(
    journal: Journal,
    *,
    run: str,
    payments: Collection[str] = (),
    verdicts: Collection[str] = (),
    target: Target,
    now: datetime,
) -> Plan:
    """The plan that takes a run back, or some of its payments or verdicts; it is reviewed and applied like any other.

    Args:
        payments, verdicts: Only these; both empty means everything the run wrote.
        target: The target as it is now; the run must have written to the same one.

    Raises:
        UnknownRunError: The journal knows no such run.
        NothingToUndoError: Nothing that was asked for was written by it.
        OtherTargetError: It wrote to another target.
    """
    state = _correcting_run(journal, run)
    check_undo_target(state, target)
    wanted = [s for s in state.changes.values() if _is_wanted(s, payments, verdicts)]
    written = [s for s in wanted if s.result is Result.APPLIED and s.intent is not None]
    if not written:
        asked = f" for {', '.join(sorted((*payments, *verdicts))[:3])}" if payments or verdicts else ""
        raise NothingToUndoError(run=run, asked=asked)
    left = [
        LeftAlone(s.payment_id, _verdict(s), "its write is not settled, so nobody knows yet whether it is ours to undo")
        for s in wanted
        if s.blocks
    ]
    changes = [_reverse(s, run=run) for s in sorted(written, key=lambda s: s.order, reverse=True)]
    return seal_plan(
        Plan(
            kind="undo",
            tool_version=__version__,
            created_at=millisecond_text(now),
            expires_at=millisecond_text(now + timedelta(milliseconds=Policy().plan_age_max_ms)),
            target=target,
            policy_digest=str(state.opening.get("policy")),
            snapshot=str(state.opening.get("snapshot")),
            window={},
            coverage=(),
            summary={
                "payments": int(state.opening.get("compared", 0)),
                "undoes": run,
                "rows": len(changes),
                "cannot_be_undone": list(CANNOT_BE_UNDONE),
                **_unfinished(state, len(left)),
                "health": {"ok": True, "reasons": []},
            },
            findings=(),
            changes=tuple(changes),
            left_alone=tuple(sorted(left, key=lambda item: item.payment_id)),
            parent=state.plan,
            run=run,
        )
    )


def _correcting_run(journal: Journal, run: str) -> RunState:
    state = read_run(journal, run)
    if state.opening.get("kind") == "repair":
        raise RepairRunError(run=run)
    return state


def leave_moved(plan: Plan, *, writer: PaymentWriter, progress: Progress = no_progress) -> Plan:
    """The plan without the rows that moved since, each of which is listed with its three values, or were taken back.

    Args:
        progress: Hears of ``rows`` as they are read.

    Raises:
        TakenBackAlreadyError: Every row is as it was before the run.
        NothingToUndoError: No row is still as the run wrote it.
    """
    kept: list[Change] = []
    left: list[LeftAlone] = []
    back: set[str] = set()
    rows_back = 0
    for start in range(0, len(plan.changes), _READ_ROWS):
        group = [ready_change(change, kind=plan.kind) for change in plan.changes[start : start + _READ_ROWS]]
        documents = writer.read([each.document_id for each in group])
        for each in group:
            reading = read_change(each, documents.get(each.change.payment_id))
            if reading.row is RowClass.PRISTINE:
                kept.append(each.change)
                continue
            if reading.row is RowClass.ALREADY:
                by = _other_run(reading.stamp, str(plan.run))
                rows_back, back = rows_back + 1, back | {by} - {""}
                said = f"it holds what it held before the run already{f', by run {by}' if by else ''}"
                left.append(LeftAlone(each.change.payment_id, each.change.verdict, said))
                continue
            moved = "; ".join(map(_three_values, reading.moved)) or "it is no longer there"
            left.append(LeftAlone(each.change.payment_id, each.change.verdict, moved))
        progress("rows", start + len(group), len(plan.changes))
    if plan.changes and rows_back == len(plan.changes):
        raise TakenBackAlreadyError(run=str(plan.run), rows=rows_back, by=back)
    if not kept:
        raise NothingToUndoError(run=str(plan.run), asked=" that is still as it wrote it")
    all_left = tuple(sorted((*plan.left_alone, *left), key=lambda item: item.payment_id))
    summary = {**plan.summary, "rows": len(kept)}
    return seal_plan(replace(plan, changes=tuple(kept), left_alone=all_left, summary=summary))


def _other_run(stamp: object, run: str) -> str:
    """The run that wrote a row last, if that is another one; empty otherwise."""
    name = str(stamp).rpartition("/")[0] if isinstance(stamp, str) else ""
    return "" if name == run else name[:100]


def _unfinished(state: RunState, left: int) -> dict[str, str]:
    """What is said of taking back a run whose end the journal does not hold; nothing of one that ended."""
    if state.has_ended:
        return {}
    said = (
        f"Run {state.run} is unfinished: the journal does not hold its end, and {left} of its writes are not settled "
        f'and stay as they are. "recon apply PLAN --resume {state.run}" finishes it; undo it after that.'
    )
    return {"unfinished": said}


def _reverse(state: ChangeState, *, run: str) -> Change:
    intent: Mapping[str, Any] = state.intent or {}
    sets = reversed_sets(intent)
    guard = {path: intent["after"][path] for path in intent["before"] if path not in (STAMP, UPDATED_AT)}
    # Whatever the run itself wrote, an escrow that has moved on since means that others have acted on the row.
    guard.setdefault("escrowState", intent["escrow_state"])
    return Change(
        id=change_id(state.payment_id, f"undo {run}", sets=sets),
        payment_id=state.payment_id,
        document_id=intent["document_id"],
        verdict=_verdict(state),
        tier=Tier.AUTO,
        sets=sets,
        guard=tuple(GuardTerm(path, value) for path, value in sorted(guard.items())),
        parents=parents_of((*guard, STAMP)),
        stamp_before=f"{run}/{state.change}",
        evidence=(f"journal {run}/{state.change}",),
        value_units=int(intent["value"]),
        token=intent["token"],
        symbol=intent["symbol"],
        decimals=intent["decimals"],
        chain_id=intent["chain_id"],
        reason=f"Takes back what run {run} wrote.",
    )


def reversed_sets(intent: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Every field back to what it held before, and the objects away that the run created around them."""
    before, after = intent["before"], intent["after"]
    paths = [path for path in before if path not in (STAMP, UPDATED_AT)]
    added = [path for path in paths if after[path] != MISSING]
    # What the stamp stands in stays with it, even if the run created it.
    own = [path for path in parents_of(added) if not STAMP.startswith(f"{path}.")]
    created = [path for path in own if intent["parents"].get(path) is False]
    sets = [FieldChange(path, after[path], before[path]) for path in paths]
    sets += [FieldChange(path, dict(OBJECT), dict(MISSING)) for path in created]
    return tuple(sorted(sets, key=lambda item: item.path))


def _is_wanted(state: ChangeState, payments: Collection[str], verdicts: Iterable[str]) -> bool:
    if not payments and not verdicts:
        return True
    return state.payment_id in payments or str((state.intent or {}).get("verdict")) in set(verdicts)


def _verdict(state: ChangeState) -> Verdict:
    return Verdict(str((state.intent or {}).get("verdict")))


def check_undo_target(state: RunState, target: Target) -> None:
    """Refuse to take a run back at another target than it wrote to.

    Raises:
        OtherTargetError: It is another one.
    """
    wrote = state.opening.get("target", {})
    for name in ("name", "database", "collection", "collection_uuid"):
        before, given = wrote.get(name), getattr(target, name)
        if given != before:
            raise OtherTargetError(run=state.run, what=name.replace("_", " "), wrote=before, given=given)


def _three_values(item: MovedField) -> str:
    before, ours, now = _word(item.planned), _word(item.reviewed), _word(item.now)
    return f"{item.path} was {before}, the run wrote {ours}, now it is {now}"


def _word(value: Any) -> str:
    if value == MISSING:
        return "not there"
    if isinstance(value, Mapping) and len(value) == 1:
        return str(next(iter(value.values())))[:80]
    return repr(value)[:80]
