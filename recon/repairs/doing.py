"""One deed at work: read again, announced in the journal, written under its guard, and what became of it.

What a write left behind is read off the stamp, never off the values alone: another writer may have written the same.
A record that was put in is looked at once more: where another one bears the same key by then, ours goes away again, if
nobody touched it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from recon.core.ids import payment_id_text
from recon.core.model import MISSING
from recon.core.values import to_extended
from recon.repairs.deeds import (
    Deed,
    Found,
    as_records,
    class_new,
    class_old,
    deed_result,
    differences,
    document_ids,
    read_document,
    ready_set,
    records_of,
)
from recon.runs.guard import GuardedUpdate, RowClass, guarded_update, read_change
from recon.runs.states import Result, RowResult
from recon.runs.stores.documents import NewRecord, RecordWriter, WriteResult
from recon.runs.writing import ATTEMPTS_MAX, intent_body, row_of, settled_row

FIRST_WAIT_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class AnnouncedDeed:
    """A deed that is ready to be written: what the journal is told of it before, and how it is written."""

    intent: Mapping[str, Any]
    write: Callable[[], RowResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """How the deeds of one run are done.

    Args:
        run: Its name, which every stamp begins with.
        own_runs: Earlier runs of the same plan, whose stamps count as this run's own.
        undoes: Whether the plan takes a run back; only then may fields be taken away.
        step, sleep: See :class:`recon.runs.pace.RunHooks`.
        may_write: Asked before a write is tried again; raises StoppedError where it must not be.
    """

    records: RecordWriter
    run: str = ""
    own_runs: tuple[str, ...] = ()
    undoes: bool = False
    step: Callable[[str], None] = lambda name: None
    sleep: Callable[[float], None] = lambda seconds: None
    may_write: Callable[[], None] = lambda: None

    def stamp(self, deed: Deed) -> str:
        """The mark that this run leaves in a record."""
        return f"{self.run}/{deed.id}"

    def _own_stamps(self, deed: Deed) -> Collection[str]:
        return {f"{run}/{deed.id}" for run in (*self.own_runs, self.run) if run}

    def _read(self, deed: Deed) -> Found:
        return self.records.read(deed.collection, document_ids(deed))

    # Before the write

    def classed(self, deed: Deed) -> RowResult | None:
        """What a re-read says of a deed; None where everything is as reviewed and it can be done."""
        found = self._read(deed)
        if deed.kind == "set":
            return self._class_set(deed, found)
        if deed.kind == "remove":
            return class_old(deed, found)
        return class_new(deed, found, own_stamps=self._own_stamps(deed)) or self._rivalled(deed)

    def _class_set(self, deed: Deed, found: Found) -> RowResult | None:
        ready = ready_set(deed, undoes=self.undoes)
        reading = read_change(ready, found.get(ready.change.payment_id), own_stamps=self._own_stamps(deed))
        return None if reading.row is RowClass.PRISTINE else self._renamed(deed, row_of(ready.change, reading))

    def _rivalled(self, deed: Deed) -> RowResult | None:
        """The result of a new record whose key another one bears; None where none was found to."""
        rivals = self._rivals(self._new_records(deed, dt.datetime.fromtimestamp(0, dt.UTC)))
        if not rivals:
            return None
        why = f"{deed.collection} holds a record that bears its key by now ({', '.join(rivals[:3])}), left alone"
        return deed_result(deed, Result.MOVED, reason=why)

    def _rivals(self, records: Collection[NewRecord]) -> tuple[str, ...]:
        own = {payment_id_text(each.document_id) for each in records}
        found = {name for each in records for name in self.records.bearers(each)}
        return tuple(sorted(found - own))

    def _new_records(self, deed: Deed, at: dt.datetime) -> tuple[NewRecord, ...]:
        return records_of(deed, stamp=self.stamp(deed), at=at)

    def announced(self, deed: Deed, *, at: dt.datetime) -> RowResult | AnnouncedDeed:
        """Read once more, and give what is to be journalled and how it is written; or why it is not written.

        Args:
            at: The time that the write is to bear, aware UTC.
        """
        if (row := self.classed(deed)) is not None:
            return row
        if deed.kind == "set":
            return self._announced_set(deed, at)
        if deed.kind == "remove":
            documents = [read_document(each, where=deed.payment_id) for each in deed.documents]
            body = _record_intent(deed, documents, was=True)
            return AnnouncedDeed(body, lambda: self._take_away(deed, documents[0]))
        records = self._new_records(deed, at)
        body = _record_intent(deed, [each.document for each in records], was=False)
        return AnnouncedDeed(body, lambda: self._put(deed, records))

    def _announced_set(self, deed: Deed, at: dt.datetime) -> RowResult | AnnouncedDeed:
        ready = ready_set(deed, undoes=self.undoes)
        document = self._read(deed).get(ready.change.payment_id)
        if document is None:
            return deed_result(deed, Result.GONE)
        update = guarded_update(ready, document, stamp=self.stamp(deed), at=at)
        body = {**intent_body(ready, update, document=document), **_common(deed)}
        return AnnouncedDeed(body, lambda: self._set(deed, update))

    # The write

    def _put(self, deed: Deed, records: tuple[NewRecord, ...]) -> RowResult:
        self.step("store.write:before")
        result = self.records.put(records)
        self.step("store.write:after")
        if result.code is not None:
            return deed_result(
                deed, Result.FAILED, reason=f"was refused by the store: {result.message}", code=result.code
            )
        if result.matched == len(records):
            return self.put_in(deed, records)
        row = class_new(deed, self._read(deed), own_stamps={self.stamp(deed)})
        if row is not None and row.result is Result.OURS:
            return self.put_in(deed, records)
        rivals = self._rivals(records)
        why = f"a record that bears its key landed at the very moment ({', '.join(rivals[:3]) or 'its own id'})"
        return deed_result(deed, Result.REFUSED, reason=f"{why}; nothing was put in")

    def put_in(self, deed: Deed, records: tuple[NewRecord, ...]) -> RowResult:
        """What becomes of records that are in: they stay, unless another one bears a key of theirs by now."""
        rivals = self._rivals(records)
        if not rivals:
            return deed_result(deed, Result.APPLIED)
        named = ", ".join(rivals[:3])
        if len(records) == 1:
            self.step("store.take_back:before")
            is_gone = self._taken_away(deed, records[0].document).matched
            self.step("store.take_back:after")
            if is_gone:
                why = f"another record bears its key since ({named}), so ours was taken away again"
                return deed_result(deed, Result.REFUSED, reason=why)
        why = f"another record bears its key since ({named}) and ours stays; a person must decide which one counts"
        return deed_result(deed, Result.UNSETTLED, reason=why)

    def _take_away(self, deed: Deed, document: Mapping[str, Any]) -> RowResult:
        self.step("store.write:before")
        result = self._taken_away(deed, document)
        self.step("store.write:after")
        if result.code is not None:
            return deed_result(
                deed, Result.FAILED, reason=f"was refused by the store: {result.message}", code=result.code
            )
        if result.matched:
            return deed_result(deed, Result.APPLIED)
        row = class_old(deed, self._read(deed))
        if row is None:
            return deed_result(deed, Result.REFUSED, reason="kept changing while it was to be taken away, left alone")
        return self._removed(deed) if row.result is Result.ALREADY and result.is_repeated else row

    def _taken_away(self, deed: Deed, document: Mapping[str, Any]) -> WriteResult:
        """Take a record away if it is this one; the server compares it in the order of fields that it holds."""
        name = payment_id_text(document["_id"])
        now = self.records.read(deed.collection, [document["_id"]]).get(name)
        if now is None or any(differences(document, now)):
            return WriteResult(0)
        return self.records.take_away(deed.collection, now)

    def _removed(self, deed: Deed) -> RowResult:
        """A removal leaves no stamp: who took the record away is not known for certain, and it is gone."""
        return deed_result(deed, Result.APPLIED, reason="is gone after this run announced to take it away")

    def _set(self, deed: Deed, update: GuardedUpdate) -> RowResult:
        ready, wait, may_be_ours = ready_set(deed, undoes=self.undoes), FIRST_WAIT_S, False
        for _ in range(ATTEMPTS_MAX):
            self.step("store.write:before")
            result = self.records.change(deed.collection, update)
            self.step("store.write:after")
            if result.matched:
                return deed_result(deed, Result.APPLIED)
            if result.code is not None:
                why = f"was refused by the store: {result.message}"
                return deed_result(deed, Result.FAILED, reason=why, code=result.code)
            may_be_ours = may_be_ours or result.is_repeated
            document = self._read(deed).get(ready.change.payment_id)
            reading = read_change(ready, document, own_stamps=(self.stamp(deed),))
            if reading.stamp == self.stamp(deed):
                return deed_result(deed, Result.APPLIED)
            if reading.row is not RowClass.PRISTINE or document is None:
                return self._renamed(deed, settled_row(ready, document, stamp=self.stamp(deed)))
            # Only updatedAt or __v moved: look again, then ask again.
            self.sleep(wait)
            wait *= 2
            self.may_write()
            update = guarded_update(ready, document, stamp=self.stamp(deed), at=update.sets["updatedAt"])
        return deed_result(deed, Result.REFUSED, reason="kept changing while it was written")

    def _renamed(self, deed: Deed, row: RowResult) -> RowResult:
        """A result of the machinery of corrections under the deed's own names."""
        return deed_result(deed, row.result, reason=row.reason, moved=row.moved, code=row.code)

    # After a crash

    def settled(self, deed: Deed, intent: Mapping[str, Any]) -> RowResult | None:
        """What became of a deed that was announced and never followed up; None where it is still to be done."""
        found = self._read(deed)
        if deed.kind == "set":
            ready = ready_set(deed, undoes=self.undoes)
            row = settled_row(ready, found.get(ready.change.payment_id), stamp=self.stamp(deed))
            return None if row.result is Result.NOT_REACHED else self._renamed(deed, row)
        if deed.kind == "remove":
            row_of_old = class_old(deed, found)
            is_gone = row_of_old is not None and row_of_old.result is Result.ALREADY
            return self._removed(deed) if is_gone else row_of_old
        return self._settled_new(deed, intent, found)

    def _settled_new(self, deed: Deed, intent: Mapping[str, Any], found: Found) -> RowResult | None:
        row = class_new(deed, found, own_stamps={self.stamp(deed)})
        if row is None:
            return None
        written = [read_document(each, where=deed.payment_id) for each in intent.get("documents", ())]
        records = as_records(deed, written)
        if row.result is Result.OURS:
            return self.put_in(deed, records)
        if any(self._shows_ours(each, found) for each in written):
            return deed_result(deed, Result.UNSETTLED)
        return row

    def _shows_ours(self, document: Mapping[str, Any], found: Found) -> bool:
        """Whether a record of ours is there but for its stamp, which another writer may have taken away."""
        now = found.get(payment_id_text(document["_id"]))
        return now is not None and not [
            each for each in differences(document, now) if each.path not in ("metadata", "updatedAt")
        ]


def _common(deed: Deed) -> dict[str, Any]:
    """What every intent of a repair says, by the names that readers of the journal know."""
    return {
        "verdict": deed.finding,
        "tier": "review",
        "value": deed.value,
        "token": deed.token,
        "symbol": deed.symbol,
        "decimals": deed.decimals,
        "chain_id": deed.chain_id,
        "deed": asdict(deed),
    }


def _record_intent(deed: Deed, documents: Collection[Mapping[str, Any]], *, was: bool) -> dict[str, Any]:
    """The intent of a deed about whole records: with each of them as it is put in, or was left."""
    there = f"in {deed.collection}"
    return {
        "document_id": to_extended(next(iter(documents))["_id"]),
        "before": {"record": there if was else dict(MISSING)},
        "after": {"record": dict(MISSING) if was else there},
        "parents": {},
        "escrow_state": dict(MISSING),
        "created": [],
        "documents": [to_extended(each) for each in documents],
        **_common(deed),
    }
