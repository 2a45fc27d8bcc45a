"""One marketplace over five rails at once, in three stores: reconciled, broken in every way, corrected, and taken back.

Request Network and SHKeeper are paid on one real chain, Relayr's bundles land on another, WHMCS keeps its own books,
and Monero has a wallet and a daemon behind look-alikes; ``test_monero.py`` holds that rail against the real programs.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bson
import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.sources.payments.sql.section import SqlSection
from tests.support import servers
from tests.support.five_rails import (
    APP,
    COLUMNS,
    KINDS,
    SHOP,
    STRANGER,
    WHOLE,
    XMR_HALF,
    Market,
    configuration,
    served,
)
from tests.support.onchain import Chain
from tests.support.sql_stores import SqlPlace, sqlite_place

if TYPE_CHECKING:
    from tests.conftest import PlaceMaker

pytestmark = pytest.mark.postgres
DONE: Mapping[str, Any] = {"status": "completed", "escrowState": "funded"}
NO_TX = "0x" + "de" * 32


def healthy(market: Market) -> None:
    """One payment of each rail that was paid and noted, and one that is under way."""
    paid = market.pay()
    market.request("rn fine", paid, **DONE, tx_hash=paid, confirmations=12)
    market.request("rn under way", None)
    came = market.deposited("sk fine")
    market.deposit("sk fine", came, **DONE, tx_hash=came, confirmations=12)
    market.deposit("sk under way")
    call = market.call()
    market.bundle("relayr fine", call, **DONE, tx_hash=call.tx_hash, confirmations=12)
    market.bundle("relayr under way", market.idle_call("Pending"))
    market.bundle("relayr failed", market.idle_call("Reverted"), status="failed")
    market.invoice("whmcs fine", "Paid", "100.00", status="completed")
    market.invoice("whmcs under way", "Unpaid")
    market.order("monero fine", (XMR_HALF, 20), **DONE, confirmations=10)
    market.rows["monero fine"]["blockchain"]["transactionHash"] = market.proofs["monero fine"]
    market.order("monero under way")
    market.settle()


def of_requests(market: Market) -> None:
    """Request Network, in every way but one."""
    market.request("rn webhook lost", market.pay())
    market.request("rn failed and paid", market.pay(), status="failed")
    market.request("rn no hash", market.pay(), **DONE)
    market.request("rn other hash", market.pay(), **DONE, tx_hash=NO_TX, confirmations=12)
    kept = market.pay()
    market.request("rn no escrow", kept, status="completed", tx_hash=kept, confirmations=12)
    market.request("rn short", market.pay(WHOLE - WHOLE // 100), told="12.375")
    market.request("rn astray", market.pay(to=STRANGER), has_paid=False)
    market.request("rn other coin", market.pay(token=market.usdt), has_paid=False)
    market.request("rn never paid", None, **DONE, tx_hash="0x" + "ad" * 32)
    market.request("rn no money", None, **DONE)
    more = market.pay(WHOLE * 2)
    market.request("rn too much", more, told="25", **DONE, tx_hash=more, confirmations=12)
    one, two = market.pay(), market.pay()
    market.request("rn twice", one, two, **DONE, tx_hash=one, confirmations=12)
    market.request("rn disputed", market.pay(), disputed=True)
    few = market.pay()
    market.request("rn few confirmations", few, **DONE, tx_hash=few, confirmations=3)


def of_deposits(market: Market) -> None:
    """SHKeeper; one deposit is for an order that was paid over the other rail too."""
    market.deposit("sk webhook lost", market.deposited("sk webhook lost"))
    short = market.deposited("sk short", WHOLE // 2)
    market.deposit("sk short", short, said="6.25", word="PARTIAL")
    market.deposited("sk other coin", token=market.usdt)
    market.deposit("sk other coin")
    market.deposit("sk no money", **DONE)
    market.deposit("sk cancelled and paid", market.deposited("sk cancelled and paid"), status="cancelled")
    first = market.pay()
    market.request("rn rival", first, **DONE, tx_hash=first, confirmations=12)
    again = market.deposited("sk rival")
    market.deposit("sk rival", again, like="rn rival", **DONE, tx_hash=again, confirmations=12)


def of_bundles(market: Market) -> None:
    """Relayr."""
    market.bundle("relayr confirmation lost", market.call())
    market.bundle("relayr timed out", market.call(), status="failed")
    market.bundle("relayr in two parts", market.call(7_500_000), market.call(5_000_000))
    market.bundle("relayr half", market.call(), market.idle_call("Reverted"), status="failed")
    market.bundle("relayr no hash", market.call(), **DONE)
    market.bundle("relayr borrowed", market.call(tx_hash=market.proofs["relayr fine"]))
    market.bundle("relayr no bundle", status="failed", bundleId=None)
    market.bundle("relayr unknown", status="failed", bundleId="deadbeef-dead-4bad-8bad-deadbeefdead")
    market.bundle("relayr short", market.call(10_000_000))
    market.bundle("relayr no money", **DONE)


def of_invoices(market: Market) -> None:
    """WHMCS."""
    market.invoice("whmcs not noted", "Paid", "60.00", "40.00")
    market.invoice("whmcs by credit", "Paid", over={"credit": "100.00", "total": "0.00"})
    market.invoice("whmcs no money", "Unpaid", status="completed")
    market.invoice("whmcs refunded", "Refunded", "100.00", "-100.00", status="completed")
    market.invoice("whmcs short", "Paid", "60.00", status="completed")
    market.invoice("whmcs too much", "Paid", "130.00", status="completed")
    market.invoice("whmcs only said", "Paid")
    market.invoice("whmcs torn", "Unpaid", "100.00")
    market.invoice("whmcs cancelled and paid", "Paid", "100.00", status="cancelled")


def of_orders(market: Market) -> None:
    """Monero."""
    market.order("monero not noted", (XMR_HALF // 2, 20), (XMR_HALF - XMR_HALF // 2, 15))
    market.order("monero locked", (XMR_HALF, 4))
    market.order("monero short", (XMR_HALF // 2, 20))
    market.order("monero no hash", (XMR_HALF, 20), **DONE)
    market.order("monero no money", **DONE)
    market.order("monero of nobody", moneroAddress=market.rows["monero fine"]["moneroAddress"][:-4] + "1111")


@dataclass(frozen=True)
class Due:
    """What is due for a broken row: the verdict, the tier, and which fields are written; ``tx`` is the proof's hash."""

    verdict: str
    tier: str
    sets: Mapping[str, Any] | None = None


def credit(confirmations: int) -> Mapping[str, Any]:
    count = {"blockchain.confirmations": {"$numberInt": str(confirmations)}}
    return {"status": "completed", "escrowState": "funded", "blockchain.transactionHash": "tx", **count}


HASH: Mapping[str, Any] = {"blockchain.transactionHash": "tx"}
BROKEN = {
    "rn webhook lost": Due("local_behind", "auto", credit(12)),
    "rn failed and paid": Due("coordinator_blocked", "review", credit(12)),
    "rn no hash": Due("missing_tx_hash", "auto", HASH),
    "rn other hash": Due("tx_hash_mismatch", "auto", HASH),
    "rn no escrow": Due("escrow_drift", "auto", {"escrowState": "funded"}),
    "rn short": Due("underpaid", "wait"),
    "rn astray": Due("recipient_mismatch", "review", {"disputed": True}),
    "rn other coin": Due("token_mismatch", "review", {"disputed": True}),
    "rn never paid": Due("tx_not_found", "never"),
    "rn no money": Due("local_ahead", "never"),
    "rn too much": Due("overpaid", "review"),
    "rn twice": Due("multiple_transfers", "review"),
    "rn disputed": Due("dispute_hold", "never"),
    "rn few confirmations": Due("confirmations_stale", "auto", {"blockchain.confirmations": {"$numberInt": "12"}}),
    "sk webhook lost": Due("local_behind", "auto", credit(12)),
    "sk short": Due("underpaid", "wait"),
    "sk other coin": Due("token_mismatch", "review", {"disputed": True}),
    "sk no money": Due("local_ahead", "never"),
    "sk cancelled and paid": Due("coordinator_blocked", "review", credit(12)),
    "rn rival": Due("competing_payment", "never"),
    "sk rival": Due("competing_payment", "never"),
    "relayr confirmation lost": Due("local_behind", "auto", credit(12)),
    "relayr timed out": Due("coordinator_blocked", "review", credit(12)),
    "relayr in two parts": Due("local_behind", "auto", credit(12)),
    "relayr half": Due("ambiguous", "never"),
    "relayr no hash": Due("missing_tx_hash", "auto", HASH),
    "relayr borrowed": Due("provider_ahead", "review"),
    "relayr no bundle": Due("missing_reference", "never"),
    "relayr unknown": Due("unproven", "never"),
    "relayr short": Due("underpaid", "wait"),
    "relayr no money": Due("local_ahead", "never"),
    "whmcs not noted": Due("local_behind", "review", {"status": "completed"}),
    "whmcs by credit": Due("local_behind", "review", {"status": "completed"}),
    "whmcs no money": Due("local_ahead", "never"),
    "whmcs refunded": Due("refund_drift", "review"),
    "whmcs short": Due("underpaid", "review"),
    "whmcs too much": Due("overpaid", "review"),
    "whmcs only said": Due("provider_ahead", "review"),
    "whmcs torn": Due("unproven", "never"),
    "whmcs cancelled and paid": Due("coordinator_blocked", "review", {"status": "completed"}),
    "monero not noted": Due("local_behind", "auto", credit(10)),
    "monero locked": Due("insufficient_confirmations", "wait"),
    "monero short": Due("underpaid", "wait"),
    "monero no hash": Due("missing_tx_hash", "auto", HASH),
    "monero no money": Due("local_ahead", "never"),
    "monero of nobody": Due("lookup_failed", "never"),
}
"""What was broken, the verdict that is due, and what may be written."""


@dataclass
class Store:
    """One of the stores: how recon is told of it, how rows come in, and how all of them are looked at."""

    name: str
    section: str
    environment: Mapping[str, str]
    put: Callable[[list[dict[str, Any]]], None]
    rows: Callable[[], Any]


def plain(document: Mapping[str, Any]) -> bytes:
    """A document as bytes without the stamp and the time of its last change; no row here has an empty ``metadata``."""
    copy = dict(document)
    del copy["updatedAt"]
    copy["metadata"] = {key: value for key, value in copy.get("metadata", {}).items() if key != "recon"}
    if not copy["metadata"]:
        del copy["metadata"]
    return bson.encode(copy)


def mongo_store(mongod: servers.Mongod, database: Any) -> Store:
    return Store(
        "mongo",
        f'[mongo]\ndatabase = "{database.name}"',
        {"RECON_MONGO_URI": mongod.uri},
        lambda rows: database.payments.insert_many([dict(row) for row in rows]),
        lambda: {row["_id"]: plain(row) for row in database.payments.find()},
    )


def sql_store(name: str, place: SqlPlace) -> Store:
    time_type = {"sqlite": "TIMESTAMP", "postgres": "timestamp"}[name]
    types = {"amount": {"sqlite": "TEXT", "postgres": "numeric"}[name], "confirmations": "integer",
             "disputed": "boolean", "metadata": {"sqlite": "TEXT", "postgres": "json"}[name]}  # fmt: skip
    place.section = SqlSection(table="payments", columns=COLUMNS, kinds=KINDS, time_zone="UTC")
    declared = [
        f"{column} {types.get(column, time_type if column.endswith('_at') else 'text')}" for column in COLUMNS.values()
    ]
    place.make(", ".join(["id text PRIMARY KEY", *declared]))
    columns = "".join(f'"{path}" = "{column}"\n' for path, column in COLUMNS.items())
    kinds = "".join(f'{column} = "{kind}"\n' for column, kind in KINDS.items())
    listed = ", ".join(f"CAST({column} AS text)" for column in COLUMNS.values() if column != "updated_at")
    return Store(
        name,
        f'[sql]\ntable = "payments"\ntime_zone = "UTC"\n[sql.columns]\n{columns}[sql.kinds]\n{kinds}',
        {"RECON_SQL_URL": place.url},
        place.put,
        lambda: {row[0]: row for row in place.run(f"SELECT id, {listed} FROM payments")},
    )


@dataclass
class Desk:
    """The command line over one store."""

    store: Store
    folder: Path
    urls: Mapping[str, str]
    market: Market

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.config = self.folder / "recon.toml"
        self.config.write_text(configuration(self.market, self.urls, store=self.store.section))

    def run(self, *words: object, code: int) -> str:
        secrets = {
            "RECON_REQUEST_NETWORK_API_KEY": "rn-test-key", "RECON_SHKEEPER_API_KEY": "sh-test-key",
            "RECON_WHMCS_IDENTIFIER": "i", "RECON_WHMCS_SECRET": "s", "RECON_MONGO_URI": None, "RECON_SQL_URL": None,
        }  # fmt: skip
        arguments = [str(word) for word in (*words, "--config", self.config)]
        result = CliRunner().invoke(cli, arguments, env={**secrets, **self.store.environment})
        assert result.exit_code == code, (arguments, result.exit_code, result.output[-2500:], result.stderr[-2500:])
        return result.stdout

    def plan(self, name: str, *, code: int) -> dict[str, Any]:
        self.market.go_on()
        self.run("plan", "--out", self.folder / name, code=code)
        return dict(json.loads((self.folder / name).read_bytes()))

    def apply(self, name: str) -> None:
        """Apply a plan file whole."""
        digest = json.loads((self.folder / name).read_bytes())["digest"]
        reason = ("--accept-unhealthy", "a world of nothing but trouble")
        self.run("apply", self.folder / name, "--digest", digest, "--share-max", "100", *reason, code=0)


def judged(plan: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["payment_id"]: (each["verdict"], each["tier"]) for each in plan["findings"]}


def writes(plan: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["payment_id"]: {item["path"]: item["after"] for item in each["set"]} for each in plan["changes"]}


@pytest.fixture
def market() -> Iterator[Market]:
    begin = int(time.time()) - 3_000
    with ExitStack() as stack:
        chains = []
        for chain_id, number in ((SHOP, 70_000_000), (APP, 30_000_000)):
            anvil = servers.start_anvil(chain_id, number=number, timestamp=begin)
            stack.callback(anvil.stop)
            chains.append(stack.enter_context(Chain(anvil, block_s=3)))
        yield Market(*chains).open()


def test_one_marketplace_over_five_rails_in_three_stores(
    market: Market, tmp_path: Path, mongod: servers.Mongod, mongo_database: Any, postgres_at: PlaceMaker
) -> None:
    bare = SqlSection(table="payments")
    places = {"sqlite": sqlite_place(tmp_path, bare), "postgres": postgres_at(bare)}
    stores = [mongo_store(mongod, mongo_database), *(sql_store(name, place) for name, place in places.items())]
    healthy(market)
    fine = list(market.rows.values())
    with served(market) as urls:
        desks = [Desk(store, tmp_path / f"work-{store.name}", urls, market) for store in stores]
        for desk in desks:
            desk.store.put(fine)
        nothing = desks[0].plan("fine.json", code=0)
        assert not nothing["findings"]
        assert not nothing["changes"]
        assert {row["source"] for row in nothing["coverage"] if not row["complete"]} == set()
        for break_them in (of_requests, of_deposits, of_bundles, of_invoices, of_orders):
            break_them(market)
        market.settle()
        broken = [row for row in market.rows.values() if row not in fine]
        assert len(broken) == len(BROKEN) > 40
        plans = {}
        for desk in desks:
            desk.store.put(broken)
            plans[desk.store.name] = corrected_and_taken_back(desk)
    places["sqlite"].close()
    assert plans["postgres"] == plans["mongo"]
    assert plans["sqlite"] == plans["mongo"]


def corrected_and_taken_back(desk: Desk) -> str:
    """Plan, apply everything that may be written, plan again, take it back; gives what the plan says."""
    before = desk.store.rows()
    plan = desk.plan("plan.json", code=4)
    assert judged(plan) == {name: (due.verdict, due.tier) for name, due in BROKEN.items()}
    due = {
        name: {path: desk.market.proofs[name] if value == "tx" else value for path, value in each.sets.items()}
        for name, each in BROKEN.items()
        if each.sets is not None
    }
    assert writes(plan) == due
    picks = [part for name in due for part in ("--payment", name)]
    desk.run("select", desk.folder / "plan.json", *picks, "--out", desk.folder / "picked.json", code=0)
    desk.apply("picked.json")
    now = desk.store.rows()
    assert {name for name, row in now.items() if row != before[name]} == set(due)
    again = desk.plan("again.json", code=4)
    assert not again["changes"]
    marked = {name for name, sets in due.items() if sets == {"disputed": True}}
    left = {name: said for name, said in judged(plan).items() if name not in due or name in marked}
    assert judged(again) == left, "what was corrected is in sync, what was marked as disputed stays a break"
    (entry,) = json.loads(desk.run("runs", "--format", "json", code=0))["runs"]
    desk.run("undo", entry["run"], "--out", desk.folder / "undo.json", code=0)
    desk.apply("undo.json")
    assert desk.store.rows() == before
    return told(plan)


def told(plan: Mapping[str, Any]) -> str:
    """What a plan says of every payment and would write, as text, but for the moment at which it was made.

    How many calls a chain takes depends on its height, and a block comes before each plan.
    """
    kept = {name: plan[name] for name in ("findings", "changes", "left_alone")}
    kept["summary"] = {name: value for name, value in plan["summary"].items() if name != "chain_calls"}
    return re.sub(r'"age_s": \d+|(?<=Z to )[-\dT:]+Z, all read', "then", json.dumps(kept, indent=1))
