"""A search finds what it is asked for, in a snapshot and in the sources, and says what it could not search."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import recon
from recon.api.search import TwoPlacesError
from recon.cli import cli
from recon.core.errors import SourceError, UsageError
from recon.core.ids import normalise_reference, payment_id_text
from recon.core.times import to_ms
from recon.investigation.search.live import LiveSearch, search_live
from recon.investigation.search.matching import UnknownTokenError
from recon.investigation.search.question import (
    NothingWantedError,
    SearchResult,
    SearchWords,
    WantedAmountError,
    WantedKeyError,
    parse_amount,
)
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import generate_world, write_world
from recon.sources.payments.documents import document_text
from recon.sources.recorded.world import load_world

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    config: Path
    documents: tuple[Document, ...]

    def search(self, **asked: Any) -> SearchResult:
        return recon.search(config=self.config, **asked)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A small world with a snapshot of all of it."""
    folder = tmp_path_factory.mktemp("search") / "world"
    write_world(generate_world(payments=60, seed=4), folder)
    recon.snapshot(folder / "recon.toml", out=folder / "recon-out" / "snapshot-1")
    return Place(folder / "recon.toml", tuple(load_world(folder).payments))


def ids(found: SearchResult) -> set[str]:
    return {str(hit.row["payment_id"]) for hit in found.rows}


def plain(document: Document) -> dict[str, Any]:
    """A document as JSON, its numbers as text."""
    whole: dict[str, Any] = json.loads(document_text(document))
    return whole


def amount_of(document: Document) -> Decimal | None:
    stored = plain(document).get("amount", {}).get("amount")
    text = next(iter(stored.values())) if isinstance(stored, dict) else stored
    try:
        return Decimal(str(text))
    except ArithmeticError:
        return None


def of_usdc(place: Place, low: str, high: str) -> set[str]:
    """The rows of an amount by their documents alone."""
    return {
        str(payment_id_text(each["_id"]))
        for each in place.documents
        if plain(each).get("amount", {}).get("currency") == "USDC"
        and (amount := amount_of(each)) is not None
        and Decimal(low) <= amount <= Decimal(high)
    }


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(("low", "high"), [("20", "400"), ("27.32", "27.32")])
def test_an_amount_finds_every_row_of_it(place: Place, low: str, high: str, live: bool) -> None:
    text = low if low == high else f"{low}..{high}"
    found = place.search(amount=text, token="USDC", live=live)
    assert ids(found) == of_usdc(place, low, high) != set()
    for hit in found.transfers:
        assert any(str(hit.row["tx_hash"]) in side for row in found.rows for side in row.known_by) or hit.known_by


def test_an_amount_finer_than_the_token_is_nobodys_and_one_of_any_token_is_of_every(place: Place) -> None:
    assert ids(place.search(amount="27.3200001", token="USDC")) == set()
    every = place.search(amount="27.32")
    assert of_usdc(place, "27.32", "27.32") <= ids(every)
    assert any(hit.row["amount_fiat"] == "27.32" for hit in every.claims)


def keys_of(document: Document) -> Iterator[tuple[str, str]]:
    said = plain(document)
    if reference := normalise_reference(str(said.get("paymentReference", ""))):
        yield "references", reference
    if isinstance(said.get("requestId"), str):
        yield "request_ids", said["requestId"]
    if isinstance(external := said.get("metadata", {}).get("externalId"), str):
        yield "external_ids", external
    tx_hash = said.get("blockchain", {}).get("transactionHash")
    if isinstance(tx_hash, str) and len(tx_hash) == 66:
        yield "hashes", tx_hash
    if isinstance(buyer := said.get("buyerId"), dict):
        yield "buyers", buyer["$oid"]


def test_every_key_of_a_row_finds_it_offline_and_live(place: Place) -> None:
    shown: dict[str, str] = {}
    for document in place.documents:
        for kind, value in keys_of(document):
            if kind not in shown:
                own = str(payment_id_text(document["_id"]))
                shown[kind] = own
                for live in (False, True):
                    found = place.search(live=live, **{kind: [value]})
                    assert own in ids(found), (kind, value, live)
    assert set(shown) == {"references", "request_ids", "external_ids", "hashes", "buyers"}


def test_a_buyer_leads_to_the_money_that_carries_no_buyer(place: Place) -> None:
    document = next(each for each in place.documents if plain(each).get("paymentReference") and "buyerId" in each)
    buyer = plain(document)["buyerId"]["$oid"]
    for live in (False, True):
        found = place.search(buyers=[buyer], live=live)
        assert found.claims
        assert found.transfers
        assert {hit.found_by for hit in (*found.claims, *found.transfers)} == {f"payment {own}" for own in ids(found)}


def test_conditions_hold_together(place: Place) -> None:
    document = next(each for each in place.documents if plain(each).get("paymentReference"))
    reference = plain(document)["paymentReference"]
    own = amount_of(document)
    assert ids(place.search(references=[reference], amount=str(own))) == {str(payment_id_text(document["_id"]))}
    assert ids(place.search(references=[reference], amount="0.000001")) == set()


def test_money_of_ours_that_no_row_knows_is_told(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "world"
    shutil.copytree(place.config.parent, folder, ignore=shutil.ignore_patterns("recon-out"))
    lines = (folder / "payments.ndjson").read_text(encoding="utf-8").splitlines()
    gone = next(json.loads(line) for line in lines if '"paymentReference"' in line and '"completed"' in line)
    kept = [line for line in lines if json.loads(line)["_id"] != gone["_id"]]
    (folder / "payments.ndjson").write_text("\n".join(kept) + "\n", encoding="utf-8")
    line = ["search", gone["requestId"], "--live", "--config", str(folder / "recon.toml"), "--format", "json"]
    result = CliRunner().invoke(cli, line, prog_name="recon")
    assert result.exit_code == 1, result.output
    said = json.loads(result.stdout)
    assert said["rows"] == []
    assert said["claims"][0]["known_by"].startswith("NONE: ")


def test_money_to_a_wallet_of_many_payments_does_not_ask_for_all_of_them(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    with open_sources(load_settings(place.config)) as sources:
        store = type(sources.store)
        usual = store.find_claimants

        def heard(self: Any, field: str, values: Any) -> Any:
            held = list(values)
            asked.extend(held if field == "recipient" else ())
            return usual(self, field, held)

        monkeypatch.setattr(store, "find_claimants", heard)
        found = search_live(sources, SearchWords(amount="1..10000").question(), how=how_of(place.config))
    wallets = load_settings(place.config).recipients
    assert any(hit.row["recipient"] in wallets for hit in found.transfers)
    assert asked
    assert not set(asked) & set(wallets)


def how_of(config: Path) -> LiveSearch:
    settings = load_settings(config)
    return LiveSearch(settings.policy(), settings.registry(), settings.now(), 0, to_ms(settings.now()))


class _Away:
    """A source that does not answer."""

    name = "shkeeper"
    chain_id = 1

    def read(self, *_: Any, **__: Any) -> Any:
        raise SourceError("it is away.")

    read_window = look_up = read


def test_what_does_not_answer_is_told_and_the_search_is_not_whole(place: Place) -> None:
    question = SearchWords(amount="27.32").question()
    with open_sources(load_settings(place.config)) as sources:
        for part in ("claims", "chains"):
            broken: Any = replace(sources, **{part: (_Away(),)})
            found = search_live(broken, question, how=how_of(place.config))
            assert not found.is_whole
            assert any("it is away" in line for line in found.untold)


def test_nothing_found_with_a_gap_is_cannot_tell(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "world"
    shutil.copytree(place.config.parent, folder, ignore=shutil.ignore_patterns("recon-out"))
    rules = [{"source": "chain:1", "match": "*", "status": 500}]
    (folder / "faults.json").write_text(json.dumps({"format": 1, "rules": rules}), encoding="utf-8")
    line = ["search", "--address", "0x" + "5a" * 20, "--live", "--config", str(folder / "recon.toml")]
    result = CliRunner().invoke(cli, line, prog_name="recon")
    assert result.exit_code == 4, result.output
    assert "CANNOT TELL" in result.stdout


def test_what_cannot_be_searched_for_is_refused_by_name(place: Place) -> None:
    refused: list[tuple[type[UsageError], dict[str, Any]]] = [
        (NothingWantedError, {}),
        (NothingWantedError, {"from_at": None}),
        (TwoPlacesError, {"amount": "1", "live": True, "snapshot": "latest"}),
        (UnknownTokenError, {"amount": "1", "token": "USDX"}),
        (WantedKeyError, {"hashes": ["0x12"]}),
        (WantedKeyError, {"buyers": [" "]}),
        (WantedAmountError, {"token": "USDC"}),
    ]
    for error, asked in refused:
        with pytest.raises(error):
            place.search(**asked)
    for text in ("1,5", "-1", "1e3", "2..1", "NaN", ""):
        with pytest.raises(WantedAmountError):
            parse_amount(text)
