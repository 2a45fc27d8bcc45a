"""Entries that put a ledger right: after them the books agree, and the way back is a counter-entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recon.core.ids import payment_id_text
from recon.core.registry import load_registry
from recon.core.values import STAMP, changed_document, to_extended, value_at
from recon.repairs.deeds import Deed, read_document
from recon.repairs.entries import EntryRequest, EntryTerms, counter_entries, propose_entries
from recon.setup.settings import load_settings
from recon.simulation.books import Books, BooksWorld, world_with_books
from recon.sources.ledger.entries import PaymentFacts
from recon.sources.recorded.format import RecordedWorld
from tests.support.worlds import plan_of

FLAWED = {
    "missing": 1, "doubled": 1, "wrong_amount": 1, "wrong_sign": 1, "orphan": 1, "wrong_account": 1, "wrong_token": 1,
    "fee_forgotten": 1, "refund_forgotten": 1, "release_doubled": 1, "reversed": 1,
}  # fmt: skip


def terms_of(folder: Path) -> EntryTerms:
    given = load_settings(folder / "world" / "recon.toml").values.ledger
    mapping = given.mapping()
    assert mapping is not None
    token_as = "symbol" if given.books == "single" else "contract"
    return EntryTerms(
        "ledgerentries", mapping, load_registry(), key="idempotencyKey", reason="note", token_as=token_as
    )  # fmt: skip


def rows_of(world: RecordedWorld, finding: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of the deal of a finding, the pay-in first."""
    found = [
        row
        for row in world.payments
        if payment_id_text(row["_id"]) == finding["payment_id"]
        or str(row.get("purchaseRequestId")) == finding["deal"]
    ]  # fmt: skip
    return sorted(found, key=lambda row: row.get("direction", "in") != "in")


def proposal(finding: Mapping[str, Any], world: RecordedWorld, terms: EntryTerms, now: datetime) -> Deed | str:
    rows = rows_of(world, finding)
    ids = [row["_id"] for row in rows]
    named = [payment_id_text(each) for each in ids] or [str(finding["payment_id"])]
    held = [each for each in world.ledger if payment_id_text(each["paymentId"]) in named]
    payment = None
    if rows:
        payment = PaymentFacts(
            named[0], finding["chain_id"], finding["token"], finding["decimals"], finding["symbol"]
        )  # fmt: skip
    order = rows[0].get("purchaseRequestId") if rows else None
    asked = EntryRequest(
        finding=finding, entries=held, payment=payment, payments=tuple(named), order=order, reason="it was found",
        now=now, rest_kind="fee",
    )  # fmt: skip
    return propose_entries(asked, terms)


def written(deed: Deed, run: str) -> Iterator[dict[str, Any]]:
    for each in deed.documents:
        yield changed_document(read_document(each, where=deed.payment_id), {STAMP: f"{run}/d"})


@pytest.mark.parametrize("books", ["single", "double"])
def test_the_proposed_entries_make_the_books_agree_and_their_counters_bring_the_flaws_back(
    books: Books, tmp_path: Path
) -> None:
    made = world_with_books(payments=400, seed=41, books=books, flaws=FLAWED)
    first = judged(made, tmp_path / "first")
    terms = terms_of(tmp_path / "first")
    now = made.world.recorded.now.replace(hour=0)
    told = {each["deal"]: each for each in reversed(first["findings"]) if each["reason"] != "group"}
    deeds = {deal: proposal(each, made.world.recorded, terms, now) for deal, each in told.items()}
    refused = {deal: each for deal, each in deeds.items() if isinstance(each, str)}
    assert refused == {}
    appended = [each for deed in deeds.values() if isinstance(deed, Deed) for each in written(deed, "run1")]
    assert len({each["idempotencyKey"] for each in appended}) == len(appended)
    assert all(each.get("note", "it was found") == "it was found" for each in appended)
    if books == "double":
        assert even_groups([each for each in appended if "reversalOf" not in each])
    after = judged(with_entries(made, appended), tmp_path / "after")
    assert [(each["reason"], each["deal"]) for each in after["findings"]] == []
    assert {row["unexplained"] for row in after["totals"]} == {"0"}

    back = []
    for deed in deeds.values():
        assert isinstance(deed, Deed)
        stored = [
            each for each in appended if each["_id"] in {read_document(d, where="")["_id"] for d in deed.documents}
        ]
        counter = counter_entries(deed, [to_extended(each) for each in stored], terms=terms, now=now)
        assert isinstance(counter, Deed)
        back += list(written(counter, "run2"))
    again = judged(with_entries(made, [*appended, *back]), tmp_path / "again")
    where = {(row["chain_id"], row["token"]): row["unexplained"] for row in first["totals"]}
    assert {(row["chain_id"], row["token"]): row["unexplained"] for row in again["totals"]} == where
    assert {each["deal"] for each in again["findings"]} == {each["deal"] for each in first["findings"]}


def judged(world: BooksWorld, folder: Path) -> Mapping[str, Any]:
    folder.mkdir()
    block = plan_of(world.world, folder, engine="polars").ledger
    assert block is not None
    return block


def with_entries(made: BooksWorld, entries: list[dict[str, Any]]) -> BooksWorld:
    recorded = replace(made.world.recorded, ledger=(*made.world.recorded.ledger, *entries))
    return replace(made, world=replace(made.world, recorded=recorded))


def even_groups(entries: list[dict[str, Any]]) -> bool:
    sums: dict[Any, int] = {}
    for each in entries:
        sign = 1 if each["direction"] == "credit" else -1
        sums[each["batch"]] = sums.get(each["batch"], 0) + sign * int(value_at(each, "units"))
    return set(sums.values()) == {0}
