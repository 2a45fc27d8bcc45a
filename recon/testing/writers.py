"""The promises of a store, each tried: a write is exact or nothing, stamped, settled and undone, and read as it is.

A plug-in's test gives a writer over exactly the documents that it is handed::

    def test_it_keeps_the_promises_of_a_store(database):
        def open_writer(documents):
            database.payments.replace_all(documents)
            return AcmeWriter(database.payments)

        check_store(open_writer, open_reader=lambda: AcmeStore(database.payments))

A store of typed columns has no room for some of them; there the opener raises ``UnheldDocumentError``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from recon.core.ids import payment_id_text
from recon.core.model import MISSING, Change, FieldChange, GuardTerm, Tier, Verdict
from recon.core.text import count_text
from recon.core.values import ABSENT, OBJECT, STAMP, UPDATED_AT, parents_of, same, to_extended, value_at
from recon.runs.guard import GuardedUpdate, RowClass, guarded_update, read_change, ready_change, without_marks
from recon.runs.writing import confirmed_reader, group_writer
from recon.testing.contract import ContractError, UnheldDocumentError, require
from recon.testing.readers import check_reading

if TYPE_CHECKING:
    from recon.runs.guard import ReadyChange
    from recon.runs.stores.payments import PaymentWriter
    from recon.testing.readers import OpenReader

    OpenWriter = Callable[[Sequence[Mapping[str, Any]]], PaymentWriter]

_AT: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_CREATED: Final = datetime(2026, 11, 19, 8, 0, 0, 123000, tzinfo=UTC)
_OWN: Final = "run-1/c0123456789abcdef"
_FOREIGN: Final = "run-2/cfedcba9876543210"
_SETS: Final[Mapping[str, Any]] = {
    "status": "completed", "escrowState": "funded", "blockchain.transactionHash": "0x" + "ab" * 32,
}  # fmt: skip
_GUARDED: Final = ("amount.amount", "amount.currency", "blockchain.confirmations", "disputed", "provider")
_RACERS: Final = 8
_MOVES_MIN: Final = 5
"""So many kinds of moves every store has room for; one that holds fewer was not tried."""


def check_store(open_writer: OpenWriter, *, open_reader: OpenReader | None = None) -> None:
    """Try every promise of a store's writing side, and of its reading side where that is given.

    Args:
        open_writer: Gives a writer over exactly these documents; it is called anew for each trial.
        open_reader: Gives the side that is read, over what the last writer holds.

    Raises:
        ContractError: A promise is broken; the sentence says which.
    """
    _check_identity(open_writer)
    _check_written(open_writer)
    _check_refused(open_writer)
    _check_read_back(open_writer)
    _check_race(open_writer)
    _check_confirmed(open_writer)
    _check_group(open_writer)
    if open_reader is not None:
        _check_reading_side(open_writer, open_reader)
    for sets in (_SETS, {"fresh.leaf": "x", "status": "completed"}):
        _check_undone(open_writer, sets)


def _document(number: int) -> dict[str, Any]:
    """A pending payment as a backend stores it."""
    from bson import ObjectId

    return {
        "_id": ObjectId(f"{number + 1:024x}"),
        "amount": {"amount": 12.5, "currency": "USDC"},
        "provider": "contract",
        "direction": "in",
        "status": "pending",
        "blockchain": {"network": "bsc", "confirmations": 3},
        "metadata": {"requestId": f"01{number:064x}"},
        "createdAt": _CREATED,
        "updatedAt": _CREATED,
        "__v": 0,
    }


def _moves() -> dict[str, dict[str, Any]]:
    """What may happen to a payment between review and write, by what it is called; ABSENT takes a field away."""
    from bson import Decimal128, Int64

    return {
        "the value moved": {"status": "processing"},
        "the value is spelled otherwise": {"status": "Pending"},
        "the value stands in an array": {"status": ["pending"]},
        "the value is gone": {"status": ABSENT},
        "the value is null": {"status": None},
        "a guarded value moved": {"amount.amount": 12},
        "a guarded value has another type": {"amount.amount": Decimal128("12.5")},
        "a whole number has another width": {"blockchain.confirmations": Int64(3)},
        "a whole number became a fraction": {"blockchain.confirmations": 3.0},
        "a guarded value stands in an array": {"provider": ["contract"]},
        "a missing value became null": {"disputed": None},
        "a field to be added is there": {"escrowState": None},
        "a parent is missing": {"blockchain": ABSENT},
        "a parent is null": {"blockchain": None},
        "a parent is a text": {"blockchain": "bsc"},
        "a parent is an array": {"blockchain": [{"network": "bsc", "confirmations": 3}]},
        "the record was touched since": {"updatedAt": _AT},
        "the version moved": {"__v": 1},
        "the version has another type": {"__v": Int64(0)},
        "another run stamped it": {"metadata.recon": {"last": _FOREIGN}},
        "the place of the stamp is null": {"metadata": None},
        "the place of the stamp is an array": {"metadata": []},
    }


def _moved(document: Mapping[str, Any], move: Mapping[str, Any]) -> dict[str, Any]:
    found = deepcopy(dict(document))
    for path, value in move.items():
        *parents, last = path.split(".")
        inner = found
        for name in parents:
            inner = inner.setdefault(name, {})
        if value is ABSENT:
            del inner[last]
        else:
            inner[last] = value
    return found


def _change(document: Mapping[str, Any], sets: Mapping[str, Any] = _SETS) -> Change:
    paths = sorted({*sets, *_GUARDED})
    return Change(
        id=_OWN.partition("/")[2],
        payment_id=payment_id_text(document["_id"]),
        document_id=to_extended(document["_id"]),
        verdict=Verdict.LOCAL_BEHIND,
        tier=Tier.AUTO,
        sets=tuple(
            FieldChange(path, to_extended(value_at(document, path)), to_extended(value))
            for path, value in sorted(sets.items())
        ),
        guard=tuple(GuardTerm(path, to_extended(value_at(document, path))) for path in paths),
        parents=tuple(parents_of((*paths, STAMP))),
        stamp_before=to_extended(value_at(document, STAMP)),
    )


def _reversed(change: Change, document: Mapping[str, Any]) -> Change:
    """The change that takes one back, and the objects with it that the change made."""
    parents = sorted(set(parents_of([item.path for item in change.sets])))
    created = [path for path in parents if value_at(document, path) is ABSENT]
    sets = [
        *(FieldChange(item.path, item.after, item.before) for item in change.sets),
        *(FieldChange(path, OBJECT, dict(MISSING)) for path in created),
    ]
    return replace(
        change,
        sets=tuple(sorted(sets, key=lambda item: item.path)),
        guard=tuple(GuardTerm(item.path, item.after) for item in change.sets),
        stamp_before=_OWN,
    )


def _update(document: Mapping[str, Any], *, stamp: str = _OWN) -> tuple[ReadyChange, GuardedUpdate]:
    ready = ready_change(_change(document), kind="correction")
    return ready, guarded_update(ready, document, stamp=stamp, at=_AT)


def _stored(writer: PaymentWriter, document_id: Any) -> Mapping[str, Any]:
    writer.flush()
    found = writer.read([document_id])
    require(list(found) == [payment_id_text(document_id)], f"read() gives {list(found)} for one stored document")
    return found[payment_id_text(document_id)]


def _bytes_of(document: Mapping[str, Any]) -> bytes:
    """The document as the database keeps it: values, their types and the order of fields."""
    from bson import encode

    return encode(document)


def _require_same(found: Mapping[str, Any], wanted: Mapping[str, Any], broken: str) -> None:
    require(_bytes_of(found) == _bytes_of(wanted), f"{broken}: {dict(found)} instead of {dict(wanted)}")


def _written(writer: PaymentWriter, update: GuardedUpdate, *, where: str) -> int:
    try:
        return writer.write(update).matched
    except Exception as error:
        raise ContractError(
            f"{where}: write() raises {type(error).__name__} on a row that only does not fit"
        ) from error


def _check_identity(open_writer: OpenWriter) -> None:
    writer = open_writer([_document(0)])
    identity = writer.identity()
    is_whole = bool(identity.hosts and identity.database and identity.collection)
    require(is_whole, f"the identity is not whole: {identity}")
    require(open_writer([_document(0)]).identity().database == identity.database, "the identity changes by itself")
    require(writer.in_flight_max >= 1, "a writer that takes no write at a time can never write")
    writer.check_writable()
    _require_same(_stored(writer, _document(0)["_id"]), _document(0), "check_writable() changed a document")


def _check_written(open_writer: OpenWriter) -> None:
    """A fitting write sets all its fields and its stamp, touches no neighbour, and is not done twice."""
    documents = [_document(number) for number in range(3)]
    ready, update = _update(documents[1])
    writer = open_writer(documents)
    require(_written(writer, update, where="a fitting write") == 1, "a write whose guard fits is not carried out")
    found = _stored(writer, documents[1]["_id"])
    for path, value in {**_SETS, STAMP: _OWN, UPDATED_AT: _AT}.items():
        require(same(value_at(found, path), value), f"a write left {path} as {value_at(found, path)!r}, not {value!r}")
    untouched = {"_id", "amount", "provider", "direction", "createdAt", "__v"}
    kept, wanted = ({name: row[name] for name in row if name in untouched} for row in (found, documents[1]))
    _require_same(kept, wanted, "a write changed a field that it does not name")
    for neighbour in (documents[0], documents[2]):
        _require_same(_stored(writer, neighbour["_id"]), neighbour, "a write changed another document")
    require(read_change(ready, found, own_stamps={_OWN}).row is RowClass.OURS, "a write is not known by its stamp")
    again = _written(writer, update, where="the same write again")
    require(again == 0, "the same write is carried out twice: the stamp from before is no part of its guard")
    _, foreign = _update(documents[1], stamp=_FOREIGN)
    taken = _written(writer, foreign, where="another run's write")
    require(taken == 0, "a run wrote over the stamp of another")
    _require_same(_stored(writer, documents[1]["_id"]), found, "a refused write changed its document")


def _check_refused(open_writer: OpenWriter) -> None:
    """Whatever moved since the review: the write is refused, and none of it is written."""
    reviewed = _document(0)
    ready, update = _update(reviewed)
    tried = 0
    for what, move in _moves().items():
        there = _moved(reviewed, move)
        try:
            writer = open_writer([there])
        except UnheldDocumentError:
            continue
        tried += 1
        found = _stored(writer, there["_id"])
        require(read_change(ready, found).row is RowClass.MOVED or what.startswith(("the record", "the version")),
                f"{what}, and reading back does not show it")  # fmt: skip
        require(_written(writer, update, where=what) == 0, f"{what}, and the write is carried out all the same")
        _require_same(_stored(writer, there["_id"]), there, f"{what}, the write is refused, and something is written")
    require(tried >= _MOVES_MIN, f"only {tried} kinds of moves could be tried, so nothing is known of the guard")
    writer = open_writer([_document(1)])
    require(_written(writer, update, where="the document is gone") == 0, "a write is carried out on no document")
    writer.flush()
    require(writer.read([reviewed["_id"]]) == {}, "a write made the document that was gone")


def _check_group(open_writer: OpenWriter) -> None:
    """Rows that are written by one call: each that fits is written, each that moved is refused, as if it were alone."""
    moves = [*_moves().items()]
    reviewed = [_document(number) for number in range(2 * len(moves))]
    there = [_moved(row, moves[n // 2][1]) if n % 2 else row for n, row in enumerate(reviewed)]
    kept = [number for number, row in enumerate(there) if _is_held(open_writer, row)]
    writer = open_writer([there[number] for number in kept])
    several = group_writer(writer)
    if several is None:
        return
    before = {number: _stored(writer, there[number]["_id"]) for number in kept}
    found = several([_update(reviewed[number])[1] for number in kept])
    require(
        len(found) == len(kept),
        f"write_group() gives {count_text(len(found), 'result')} for {count_text(len(kept), 'write')}",
    )
    for number, result in zip(kept, found, strict=True):
        stored = _stored(writer, there[number]["_id"])
        if number % 2:
            what = moves[number // 2][0]
            require(result.matched == 0, f"{what}, and write_group() says that it wrote to the row")
            _require_same(stored, before[number], f"{what}, and write_group() wrote to the row")
        else:
            require(result.matched == 1, "write_group() says of a row that fits that it was not written")
            require(same(value_at(stored, STAMP), _OWN), "write_group() left out a row that fits")


def _is_held(open_writer: OpenWriter, document: Mapping[str, Any]) -> bool:
    try:
        open_writer([document])
    except UnheldDocumentError:
        return False
    return True


def _check_read_back(open_writer: OpenWriter) -> None:
    """Documents come back whole, with their types; what is not there is left out."""
    from bson import Binary, Decimal128, Int64

    odd = {**_document(0), "a": Int64(1), "b": Decimal128("12.50"), "c": Binary(b"x" * 16, 3), "d": [None, {"e": "ü"}]}
    try:
        writer = open_writer([odd])
    except UnheldDocumentError:
        odd = _document(0)
        writer = open_writer([odd])
    ready, _ = _update(odd)
    _require_same(_stored(writer, odd["_id"]), odd, "a document does not come back as it is stored")
    found = writer.read([odd["_id"], _document(7)["_id"]])
    require(list(found) == [payment_id_text(odd["_id"])], "read() gives documents that are not stored")
    row = read_change(ready, found[payment_id_text(odd["_id"])]).row
    require(row is RowClass.PRISTINE, f"a document that nobody touched reads back as {row}")
    done = _moved(_document(0), _SETS)
    writer = open_writer([done])
    row = read_change(ready, _stored(writer, done["_id"])).row
    require(row is RowClass.ALREADY, f"a document that another hand made right reads back as {row}")


def _check_race(open_writer: OpenWriter) -> None:
    """Of many writes of one document at once, one is carried out, and the stamp is its own."""
    document = _document(0)
    writer = open_writer([document])
    matched: dict[str, int] = {}
    start = threading.Barrier(_RACERS)

    def race(stamp: str) -> None:
        _, update = _update(document, stamp=stamp)
        start.wait()
        matched[stamp] = writer.write(update).matched

    racers = [threading.Thread(target=race, args=(f"run-{number}/c",)) for number in range(_RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    won = [stamp for stamp, count in matched.items() if count]
    require(len(won) == 1, f"of {_RACERS} writes of one document at once, {len(won)} were carried out")
    stamp = value_at(_stored(writer, document["_id"]), STAMP)
    require(stamp == won[0], f"{won[0]} wrote, and the stamp says {stamp!r}: it is not written with the write")


def _check_confirmed(open_writer: OpenWriter) -> None:
    """What became of a write: all that was confirmed before the question is in the answer, however many write."""
    documents = [_document(number) for number in range(_RACERS)]
    writer = open_writer(documents)
    read = confirmed_reader(writer)
    said: dict[int, str] = {}

    def write(number: int) -> None:
        _, update = _update(documents[number])
        writer.write(update)
        writer.flush()
        found = read([documents[number]["_id"]]).get(payment_id_text(documents[number]["_id"]), {})
        said[number] = str(value_at(found, STAMP))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(_RACERS)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    unseen = sorted(number for number in range(_RACERS) if said.get(number) != _OWN)
    require(
        not unseen,
        f"a read that decides what became of a write does not show {count_text(len(unseen), 'confirmed write')}",
    )
    ids = [document["_id"] for document in documents]
    found, plain = read([*ids, _document(_RACERS + 1)["_id"]]), writer.read(ids)
    require(found.keys() == plain.keys(), f"a confirmed read gives {sorted(found)}, and a plain one {sorted(plain)}")
    for name, document in plain.items():
        _require_same(found[name], document, "a confirmed read gives another document than a plain one")


def _check_reading_side(open_writer: OpenWriter, open_reader: OpenReader) -> None:
    documents = [_document(number) for number in range(3)]
    _, update = _update(documents[1])
    writer = open_writer(documents)
    require(_written(writer, update, where="a write to be read") == 1, "a write whose guard fits is not carried out")
    held = [_stored(writer, document["_id"]) for document in documents]
    store, written = open_reader(), writer.identity()
    names = (store.identity().database, store.identity().collection)
    require(names == (written.database, written.collection), f"{names} is read, and what is written is {written}")
    check_reading(store, held, written=held[1], others=[payment_id_text(_document(7)["_id"])])


def _check_undone(open_writer: OpenWriter, sets: Mapping[str, Any]) -> None:
    """A write and the write that takes it back leave every byte as it was, the marks aside."""
    document = _document(0)
    change = _change(document, sets)
    writer = open_writer([document])
    forward = guarded_update(ready_change(change, kind="correction"), document, stamp=_OWN, at=_AT)
    require(_written(writer, forward, where="a write to be undone") == 1, "a write whose guard fits is not carried out")
    there = _stored(writer, document["_id"])
    undo = ready_change(_reversed(change, document), kind="undo")
    row = read_change(undo, there).row
    require(row is RowClass.PRISTINE, f"what a write left reads back as {row} to its undo")
    back = guarded_update(undo, there, stamp=_FOREIGN, at=_AT)
    require(_written(writer, back, where="an undo") == 1, "an undo whose guard fits is not carried out")
    found = without_marks(_stored(writer, document["_id"]), created_metadata=False)
    _require_same(found, without_marks(document, created_metadata=False), "an undo does not restore every byte")
