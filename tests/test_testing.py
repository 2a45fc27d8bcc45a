"""The built-in providers and stores keep the promises that a plug-in must keep, and broken promises are noticed."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bson import json_util
from pymongo import MongoClient

from recon.core.errors import SourceError
from recon.plans.shelf import FileShelf
from recon.runs.guard import GuardedUpdate
from recon.runs.stores.decisions import MongoShelf
from recon.runs.stores.embedded import EmbeddedStore
from recon.runs.stores.payments import MongoWriter, WriteResult
from recon.sources.interface import ClaimKey, ClaimSource, Coverage, Gap, Progress, Reading, Selection, StoreIdentity
from recon.sources.payments.mongo import MongoSettings, MongoStore
from recon.sources.payments.read import ListStore
from recon.sources.providers.claims import Said, failed_row, not_found_row, reading_of
from recon.sources.providers.installed import providers
from recon.sources.providers.provider import Books, OpeningTerms, Provider, Webhooks
from recon.sources.recorded.store_file import payment_lines
from recon.testing import ContractError, check_decisions, check_provider, check_store
from recon.testing.providers import SECRET
from tests.support import plugins
from tests.support.provider_servers import (
    RequestNetworkWorld,
    ShkeeperWorld,
    rn_payment,
    rn_request,
    rn_request_id,
    sh_invoice,
    sh_tx,
)

if TYPE_CHECKING:
    from pymongo.database import Database

    from recon.testing.writers import OpenWriter
    from tests.support.servers import Mongod

# Providers


@pytest.mark.parametrize("name", sorted(providers()))
def test_a_built_in_provider_keeps_its_promises(name: str) -> None:
    check_provider(providers()[name])


def test_request_network_finds_what_is_known_and_invents_no_absence_when_it_is_cut() -> None:
    world = RequestNetworkWorld(api_key=SECRET)
    world.payments = [rn_payment(number) for number in range(1, 251)]
    world.requests = {rn_request_id(1): rn_request(1, hasBeenPaid=True)}
    key = ClaimKey(payment_id="p1", request_id=rn_request_id(1))
    check_provider(providers()["request_network"], answers=world.handler, known=[key])


def test_shkeeper_finds_what_is_known_and_invents_no_absence_when_it_is_cut() -> None:
    world = ShkeeperWorld(invoices=[sh_invoice("order-1", sh_tx(1)), sh_invoice("order-2")], api_key=SECRET)
    key = ClaimKey(payment_id="p1", external_id="order-1")
    check_provider(providers()["shkeeper"], answers=world.handler, known=[key])


@pytest.fixture
def acmepay(monkeypatch: pytest.MonkeyPatch) -> Provider:
    """The example provider, imported from its own folder."""
    monkeypatch.syspath_prepend(str(plugins.SOURCES))
    provider = importlib.import_module("acmepay.provider").PROVIDER
    assert isinstance(provider, Provider)
    return provider


def test_the_example_provider_keeps_its_promises(acmepay: Provider, tmp_path: Path) -> None:
    charge = {"id": "ch_1", "state": "captured", "chain": 56, "coin": "USDC", "paid": "12.5"}
    (tmp_path / "acmepay.json").write_text(json.dumps([charge]))
    check_provider(acmepay, home=tmp_path, known=[ClaimKey(payment_id="p1", external_id="ch_1")])


class Spoken:
    """A source that never asks anything, and says whatever it was told to."""

    name = "acmepay"

    def __init__(self, *, outcome: str, is_complete: bool, word: str, has_gaps: bool = True) -> None:
        self._outcome, self._is_complete, self._word, self._has_gaps = outcome, is_complete, word, has_gaps

    def check(self) -> str:
        raise SourceError(f"{self.name}: {self._word}")

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress) -> Reading:
        row = Coverage(
            self.name, "bulk", complete=self._is_complete, done_from=from_ms, problem=None if self._is_complete else "x"
        )
        gaps = [Gap(self.name, "bulk", from_ms, to_ms, self._word)] if self._has_gaps else []
        return reading_of([], coverage=[row], gaps=gaps)

    def look_up(self, keys: Sequence[ClaimKey], *, progress: Progress) -> Reading:
        said = []
        for key in keys:
            named: dict[str, Any] = {"claim_id": key.payment_id, "at_ms": 1, "kind": "charge"}
            if self._outcome == "failed":
                said.append(Said(failed_row(self.name, key, reason=self._word, **named)))
            elif self._outcome == "not_found":
                said.append(Said(not_found_row(self.name, key, **named)))
        is_whole = self._outcome == "not_found" or self._is_complete
        return reading_of(said, coverage=[Coverage(self.name, "lookup", complete=is_whole, problem="x")])


def spoken(**given: Any) -> Callable[[OpeningTerms], ClaimSource]:
    honest: dict[str, Any] = {"outcome": "failed", "is_complete": False, "word": "it does not answer"}
    return lambda terms: Spoken(**{**honest, **given})


def test_a_provider_that_only_ever_fails_is_honest(acmepay: Provider) -> None:
    check_provider(replace(acmepay, open=spoken()))


def raising(terms: OpeningTerms) -> ClaimSource:
    source = Spoken(outcome="failed", is_complete=False, word="x")
    source.read_window = lambda from_ms, to_ms, *, progress: {}["x"]  # type: ignore[method-assign]
    return source


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"open": spoken(outcome="not_found")}, "absence is invented"),
        ({"open": spoken(outcome="silent")}, "gives no claim for contract-external-id"),
        ({"open": spoken(is_complete=True)}, "the coverage of bulk says that all was read"),
        ({"open": spoken(has_gaps=False)}, "what was not read is no gap"),
        ({"open": spoken(word=f"the key {SECRET} is refused")}, "the secret is shown"),
        ({"open": raising}, "raises KeyError"),
        ({"name": "AcmePay"}, "is not lower case"),
        ({"aliases": ("acme", "acme")}, "has a name twice"),
        ({"state_words": {"captured": "payed"}}, "which is no state"),
        ({"asked_by": frozenset()}, "no payment can be looked up"),
        ({"books": Books(lambda section: ())}, "hold no currency"),
        ({"books": Books(lambda section: ("usd",))}, "are no ISO 4217 codes"),
        ({"books": Books(lambda section: ("USD",))}, "in which nothing has an address"),
        ({"webhooks": Webhooks(accepted=(500,))}, "is said to take HTTP 500"),
        ({"webhooks": Webhooks(verify=lambda headers, body, key, now: True)}, "missing or wrong signature for right"),
        ({"webhooks": Webhooks(verify=lambda headers, body, key, now: headers["x-sig"] == "")}, "raises KeyError"),
        ({"webhooks": Webhooks(sent=lambda headers, payload: True)}, "takes a delivery that says nothing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_provider_that_breaks_a_promise_is_noticed(acmepay: Provider, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError, match=said):
        check_provider(replace(acmepay, **changed))


# Stores


def mongo_opener(database: Database[dict[str, Any]], kind: type[MongoWriter] = MongoWriter) -> OpenWriter:
    def open_writer(documents: Sequence[Mapping[str, Any]]) -> MongoWriter:
        database.payments.delete_many({})
        database.payments.insert_many([dict(document) for document in documents])
        return kind(database.payments)

    return open_writer


def test_the_mongo_store_keeps_its_promises(mongo_database: Database[dict[str, Any]], mongod: Mongod) -> None:
    with MongoStore(MongoSettings(mongod.uri, mongo_database.name)) as store:
        check_store(mongo_opener(mongo_database), open_reader=lambda: store)


def test_the_embedded_store_keeps_its_promises(tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text('{"database": "marketplace", "collection": "payments"}')

    def open_writer(documents: Sequence[Mapping[str, Any]]) -> EmbeddedStore:
        lines = [json_util.dumps(document, json_options=json_util.CANONICAL_JSON_OPTIONS) for document in documents]
        (tmp_path / "payments.db").unlink(missing_ok=True)
        (tmp_path / "payments.ndjson").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return EmbeddedStore(tmp_path)

    def open_reader() -> ListStore:
        lines = payment_lines(tmp_path)
        identity = StoreIdentity(("embedded",), "marketplace", "payments", None)
        return ListStore([json_util.loads(line) for line in lines], identity=identity)

    check_store(open_writer, open_reader=open_reader)


# Decisions


def test_the_built_in_places_of_decisions_keep_their_promises(
    mongo_database: Database[dict[str, Any]], mongod: Mongod, tmp_path: Path
) -> None:
    check_decisions(lambda: FileShelf(tmp_path / "decisions"))
    check_decisions(lambda: MongoShelf(lambda: MongoClient(mongod.uri), database=mongo_database.name))


class Unguarded(MongoWriter):
    """Writes whatever is there."""

    def write(self, update: GuardedUpdate) -> WriteResult:
        return super().write(replace(update, filter={"_id": update.filter["_id"]}))


class Untyped(MongoWriter):
    """Compares values and no types."""

    def write(self, update: GuardedUpdate) -> WriteResult:
        terms = {path: {"$eq": term["$eq"]} if "$eq" in term else term for path, term in update.filter.items()}
        return super().write(replace(update, filter=terms))


class Unstamped(MongoWriter):
    """Leaves the stamp for later."""

    def write(self, update: GuardedUpdate) -> WriteResult:
        return super().write(replace(update, sets={k: v for k, v in update.sets.items() if "recon" not in k}))


class Halfway(MongoWriter):
    """Says that a row did not match, and has written to it."""

    def write(self, update: GuardedUpdate) -> WriteResult:
        found = super().write(update)
        if not found.matched:
            self._collection.update_one({"_id": update.document_id}, {"$set": {"touched": True}})
        return found


class Lossy(MongoWriter):
    """Does not take away what it is told to."""

    def write(self, update: GuardedUpdate) -> WriteResult:
        return super().write(replace(update, unsets=()))


class Sloppy(MongoWriter):
    """Takes what the server says of a group for what it says of each row."""

    def write_group(self, updates: Sequence[GuardedUpdate]) -> list[WriteResult]:
        return [WriteResult(int(any(result.matched for result in super().write_group(updates))))] * len(updates)


class Short(MongoWriter):
    """Leaves the last row of a group out."""

    def write_group(self, updates: Sequence[GuardedUpdate]) -> list[WriteResult]:
        return [*super().write_group(updates[:-2]), *[WriteResult(0)] * 2]


class Behind(MongoWriter):
    """Asks a copy that is behind what became of a write."""

    def read_confirmed(self, document_ids: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
        found = super().read_confirmed(document_ids)
        return {name: {**document, "metadata": {}} for name, document in found.items()}


class Twice(MongoStore):
    """Gives the first batch twice."""

    def scan(self, selection: Selection) -> Iterator[Sequence[Mapping[str, Any]]]:
        batches = list(super().scan(selection))
        yield from (*batches[:1], *batches)


class Stale(MongoStore):
    """Gives rows as they were before a write."""

    def fetch(self, payment_ids: Iterable[str]) -> Iterator[Mapping[str, Any]]:
        for row in super().fetch(payment_ids):
            yield {**row, "status": "pending"}


class Literal(MongoStore):
    """Looks for a hash in the spelling that it is given."""

    def find_claimants(self, field: str, values: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        yield from super().find_claimants(field, [value for value in values if value == value.lower()])


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Twice, r"scan\(\) gives"), (Stale, r"fetch\(\) gives status"), (Literal, r"find_claimants\(\) finds \[\]")],
)
def test_a_reading_side_that_breaks_a_promise_is_noticed(
    mongo_database: Database[dict[str, Any]], mongod: Mongod, kind: type[MongoStore], said: str
) -> None:
    with kind(MongoSettings(mongod.uri, mongo_database.name)) as store, pytest.raises(ContractError, match=said):
        check_store(mongo_opener(mongo_database), open_reader=lambda: store)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Behind, "does not show 8 confirmed writes"),
        (Unguarded, "the same write is carried out twice"),
        (Untyped, "and the write is carried out all the same"),
        (Unstamped, r"a write left metadata\.recon\.last"),
        (Halfway, "a refused write changed its document"),
        (Lossy, "an undo does not restore every byte"),
        (Sloppy, "says that it wrote to the row"),
        (Short, "says of a row that fits that it was not written"),
    ],
)
def test_a_store_that_breaks_a_promise_is_noticed(
    mongo_database: Database[dict[str, Any]], kind: type[MongoWriter], said: str
) -> None:
    with pytest.raises(ContractError, match=said):
        check_store(mongo_opener(mongo_database, kind))
