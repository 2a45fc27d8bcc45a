"""What became of announced writes of an interrupted run: read off the stamp in each document, and journalled.

A value alone proves nothing, for another writer may have written the same one: after-values without the run's stamp are
left to a person.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from recon.core.model import Change, Plan
from recon.plans.file import is_picked
from recon.runs.notes import outcome_body
from recon.runs.states import FINAL, ChangeState, Result, RowResult, blocked_payments, row_result
from recon.runs.writing import READ_ROWS, Writing, chunks, read_again, settled_row


def settle_announced(writing: Writing, states: Mapping[str, ChangeState]) -> array[int]:
    """Find out what became of announced writes, journal it, and give the places that are still to be written."""
    plan = writing.plan
    held = blocked_payments(writing.notes.journal, but=writing.run)
    pending = array("I")
    for group in chunks(range(len(plan.changes)), READ_ROWS):
        settled = _settled_rows(writing, [place for place in group if _is_open(states.get(plan.changes[place].id))])
        for place in group:
            row = settled.get(place) or _known_row(plan, plan.changes[place], states=states, held=held)
            if row is None or row.result is Result.NOT_REACHED:
                pending.append(place)
            else:
                writing.rows.note(place, row)
        notes = [(plan.changes[place], {**outcome_body(row), "settled": True}) for place, row in settled.items()]
        writing.notes.append([writing.notes.note("outcome", body, change=change) for change, body in notes])
    return pending


def _is_open(state: ChangeState | None) -> bool:
    return state is not None and state.is_open


def _known_row(
    plan: Plan, change: Change, *, states: Mapping[str, ChangeState], held: Mapping[str, str]
) -> RowResult | None:
    """What is certain of a row without reading its document; None for a row that is still to be written."""
    state = states.get(change.id)
    if state is not None and state.result in FINAL:
        return row_result(change, state.result, reason=str(state.outcome.get("reason", "")))
    if not is_picked(plan, change):
        return row_result(change, Result.NOT_PICKED)
    if change.payment_id in held:
        why = f"belongs to the unfinished run {held[change.payment_id]}"
        return row_result(change, Result.BLOCKED, reason=why)
    return None


def _settled_rows(writing: Writing, places: Sequence[int]) -> dict[int, RowResult]:
    rows = {}
    for place, each, document in read_again(writing.plan, places, writer=writing.writer, is_confirmed=True):
        rows[place] = settled_row(each, document, stamp=writing.stamp(each.id))
    return rows
