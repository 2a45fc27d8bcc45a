"""Taking repairs back: a plan made from the journal, of which every deed is guarded on what the run left.

A record that was put in is taken away if it is, to the last field, as it was put in; one that was touched since stays.
A field goes back to its reviewed value, while everything else that was reviewed still is as it was. Entries of a ledger
are never taken away: their undo is a counter-entry, which the caller who knows the ledger gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from recon.core.model import GuardTerm
from recon.core.values import STAMP, UPDATED_AT
from recon.repairs.apply import RUN_KIND
from recon.repairs.deeds import Deed
from recon.repairs.doing import Doing
from recon.repairs.plan import (
    LeftOut,
    NamedCollection,
    RepairPlan,
    RepairPlanError,
    RepairRequest,
    make_repair_plan,
)
from recon.runs.states import ChangeState, Result, RowResult, RunState, read_run
from recon.runs.stores.documents import RecordWriter
from recon.runs.stores.journal import Journal
from recon.runs.undo import NothingToUndoError, TakenBackAlreadyError, check_undo_target, reversed_sets

Counter = Callable[[Deed, Sequence[Any]], Deed | str]
"""Gives the deed that makes up for appended entries as they were written, or why there is none."""

CANNOT: Final = ("Whatever the backend or a person did meanwhile because of the records stays done.",)
_NO_COUNTER: Final = "entries of a ledger are not taken away, and nothing here makes counter-entries for them"


def no_counter(deed: Deed, documents: Sequence[Any]) -> Deed | str:
    """The usual answer where nobody knows the ledger: no counter-entry."""
    return _NO_COUNTER


def plan_repair_undo(
    journal: Journal,
    records: RecordWriter,
    *,
    run: str,
    request: RepairRequest,
    counter: Counter = no_counter,
) -> RepairPlan:
    """The plan that takes a run of repairs back; it is reviewed and applied like any other.

    Args:
        counter: Makes counter-entries for what an ``append`` put in.

    Raises:
        UnknownRunError: The journal knows no such run.
        RepairPlanError: It is no run of repairs.
        OtherTargetError: It wrote to another target.
        TakenBackAlreadyError, NothingToUndoError: Nothing is left to take back.
    """
    state = read_run(journal, run)
    if state.opening.get("kind") != RUN_KIND:
        why = f'run {run} is no run of repairs; "recon undo {run}" plans its way back'
        raise RepairPlanError(path="journal", why=why)
    check_undo_target(state, request.target)
    written = [each for each in state.changes.values() if each.result is Result.APPLIED and each.intent is not None]
    if not written:
        raise NothingToUndoError(run=run, asked="")
    asked = [(each, _reversed(each, run=run, counter=counter)) for each in sorted(written, key=_newest_first)]
    deeds, left = _still_ours(asked, Doing(records=records, undoes=True))
    if not deeds:
        raise _nothing(run, left=left, written=len(written))
    open_ = [LeftOut(each.payment_id, "its write is not settled yet") for each in state.changes.values() if each.blocks]
    told = (*open_, *(LeftOut(row.payment_id, row.reason) for row in left))
    return make_repair_plan(
        "undo",
        deeds,
        request=request,
        collections=_collections(state),
        left_out=tuple(sorted(told, key=lambda each: (each.about, each.why))),
        parent=state.plan,
        run=run,
        cannot=CANNOT,
    )


def _still_ours(asked: Sequence[tuple[ChangeState, Deed | str]], doing: Doing) -> tuple[list[Deed], list[RowResult]]:
    """The reversals of what is as the run left it, and of all others why there is none."""
    deeds: list[Deed] = []
    left: list[RowResult] = []
    for state, found in asked:
        if isinstance(found, str):
            left.append(RowResult(state.change, state.payment_id, "", Result.NOT_PICKED, found))
        elif (row := doing.classed(found)) is not None:
            left.append(row)
        else:
            deeds.append(found)
    return deeds, left


def _newest_first(state: ChangeState) -> int:
    return -state.order


def _nothing(run: str, *, left: Sequence[RowResult], written: int) -> Exception:
    if sum(row.result is Result.ALREADY for row in left) == written:
        return TakenBackAlreadyError(run=run, rows=written, by=())
    return NothingToUndoError(run=run, asked=" that is still as it wrote it")


def _collections(state: RunState) -> tuple[NamedCollection, ...]:
    return tuple(NamedCollection(str(each["name"]), each["uuid"]) for each in state.opening.get("collections", ()))


def _reversed(state: ChangeState, *, run: str, counter: Counter) -> Deed | str:
    """The deed that takes one back, or why there is none."""
    intent: Mapping[str, Any] = state.intent or {}
    deed = deed_of(intent)
    back = replace(
        deed,
        id="",
        reason=f"Takes back what run {run} did.",
        evidence=(f"journal {run}/{state.change}",),
        times=(),
    )
    if deed.kind == "set":
        sets = reversed_sets(intent)
        return replace(back, sets=sets, guard=tuple(_guard_after(deed, intent)), stamp_before=f"{run}/{state.change}")
    documents = tuple(intent.get("documents", ()))
    if deed.kind == "insert":
        return replace(back, kind="remove", documents=documents)
    if deed.kind == "remove":
        return replace(back, kind="insert", documents=documents)
    return counter(deed, documents)


def _guard_after(deed: Deed, intent: Mapping[str, Any]) -> Iterator[GuardTerm]:
    """What was reviewed, with the fields that the run set as it left them."""
    after = intent["after"]
    paths = {term.path for term in deed.guard} | {path for path in after if path not in (STAMP, UPDATED_AT)}
    reviewed = {term.path: term.value for term in deed.guard}
    for path in sorted(paths):
        yield GuardTerm(path, after[path] if path in after else reviewed[path])


def deed_of(intent: Mapping[str, Any]) -> Deed:
    """The deed as the journal holds it."""
    from pydantic import TypeAdapter

    deed: Deed = TypeAdapter(Deed).validate_python(intent["deed"], strict=False)
    return deed
