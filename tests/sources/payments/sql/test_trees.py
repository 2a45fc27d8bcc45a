"""Keys inside JSON are found by the database itself, none is left out, and a missing index is told with its making."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recon.sources.payments.fields import FieldPaths
from recon.sources.payments.sql.section import SqlSection
from recon.sources.payments.sql.store import SqlStore
from recon.sources.payments.sql.table import PaymentTable
from recon.sources.payments.sql.trees import KEYS_IN_TREES
from tests.support.sql_stores import SqlPlace, sqlite_place

HASH = "0x" + "ab" * 32
REQUEST = "01" + "cd" * 32
ROWS: dict[str, Any] = {
    "plain": {"txHash": HASH, "requestNetwork": {"requestId": REQUEST}},
    "upper": {"txHash": HASH.upper().replace("0X", "0x"), "requestId": f"0x{REQUEST.upper()}"},
    "bare": {"txHash": f"  {HASH[2:]} "},
    "page": {"txHash": f"https://polygonscan.com/tx/{HASH}#eventlog"},
    "listed": {"requests": [{"requestId": "other"}, {"requestId": REQUEST}], "requestIds": ["x", REQUEST]},
    "number": {"externalId": 4711},
    "order": {"externalId": "order-4711"},
    "beside": {"note": f"see {HASH}", "requestId": "01" + "ce" * 32},
    "silent": {},
}
WANTED = {
    "tx_hash": {(HASH, "plain"), (HASH, "upper"), (HASH, "bare"), (HASH, "page")},
    "request_id": {(REQUEST, "plain"), (REQUEST, "upper"), (REQUEST, "listed")},
    "external_id": {("4711", "number"), ("order-4711", "order")},
}
ASKED = {"tx_hash": [HASH], "request_id": [REQUEST], "external_id": ["4711", "order-4711"]}
MADE = """
  id {text} PRIMARY KEY, provider {text}, status {text}, metadata {json}, created_at {text}, amount {text},
  currency {text}
"""


@pytest.fixture(params=["sqlite", *(pytest.param(each, marks=pytest.mark.postgres) for each in ("json", "jsonb"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> SqlPlace:
    """Rows whose keys stand in one column of JSON, one of them with letters that are escaped without need."""
    kind = str(request.param)
    section = SqlSection(table="payments", kinds={"metadata": "json"} if kind == "sqlite" else {})
    found = sqlite_place(tmp_path, section) if kind == "sqlite" else request.getfixturevalue("postgres_at")(section)
    request.addfinalizer(found.close)
    found.make(MADE.replace("{json}", "TEXT" if kind == "sqlite" else kind))
    made = [(name, json.dumps(tree)) for name, tree in ROWS.items()]
    escaped = json.dumps({"txHash": HASH}).replace("abab", "\\u0061bab")
    found.run("INSERT INTO payments (id, provider, metadata) VALUES (?, 'contract', ?)", [*made, ("escaped", escaped)])
    return found


def claimed(store: SqlStore, field: str, values: list[str]) -> set[tuple[str, str]]:
    return {(value, str(row["_id"])) for value, row in store.find_claimants(field, values)}


def test_what_stands_inside_json_is_found_wherever_and_however_it_is_spelled(
    place: SqlPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = place.store(fields=FieldPaths.with_overrides({"external_id": ["metadata.externalId"]}))
    wanted = {**WANTED, "tx_hash": {*WANTED["tx_hash"], (HASH, "escaped")}}
    whole = {field: claimed(store, field, [*values, *many(field)]) for field, values in ASKED.items()}
    assert whole == wanted, "many at once: by reading the whole table"
    read: list[int] = []
    pages = PaymentTable.pages

    def counted(*given: Any, **named: Any) -> Any:
        for page in pages(*given, **named):
            read.append(len(page))
            yield page

    monkeypatch.setattr(PaymentTable, "pages", counted)
    for field, values in ASKED.items():
        read.clear()
        assert claimed(store, field, values) == wanted[field]
        assert sum(read) < len(ROWS) + 1, "the rows without any of them stay where they are"
    assert claimed(store, "external_id", ["käse"]) == set()
    assert claimed(store, "recipient", ["0x" + "12" * 20]) == set()


def many(field: str) -> list[str]:
    size = {"tx_hash": 64, "request_id": 66}.get(field, 12)
    return [f"{number:0{size}x}" for number in range(1, KEYS_IN_TREES + 5)]


@pytest.mark.postgres
def test_the_index_that_is_missing_is_told_and_the_statement_makes_one(place: SqlPlace) -> None:
    said = place.store().check()
    if place.kind == "sqlite":
        assert "CREATE" not in said, "a file has no such index"
        return
    statement = said.partition("the owner makes one by: ")[2].partition("; no ")[0].rstrip(".")
    assert statement.startswith("CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE INDEX CONCURRENTLY ON ")
    for part in statement.split("; "):
        place.run(part)
    store = place.store()
    assert "inside metadata" not in store.check()
    assert claimed(store, "tx_hash", [HASH, *many("tx_hash")]) == {*WANTED["tx_hash"], (HASH, "escaped")}
    place.run("SET enable_seqscan = off")
    plan = place.run(f"EXPLAIN SELECT id FROM payments WHERE lower(CAST(metadata AS text)) LIKE '%{HASH[2:]}%'")
    assert "Bitmap Index Scan" in str(plan)
