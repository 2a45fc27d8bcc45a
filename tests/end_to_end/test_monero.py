"""A shop and an order book in SQLite over a real Monero daemon and real wallet servers: planned, applied, taken back.

One chain and its wallets serve all tests, which go on from each other's blocks; each makes its own orders.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.sources.providers.monero.networks import with_payment_id
from tests.support.monero_servers import LOGIN, MISSING, RealMonero, are_installed, make_escrow, release
from tests.support.monero_world import FAKECHAIN, XMR

pytestmark = pytest.mark.monero

_TABLE = """
  CREATE TABLE orders (
    id TEXT PRIMARY KEY, provider TEXT, direction TEXT, status TEXT, escrow_state TEXT, amount INTEGER, currency TEXT,
    network TEXT, tx_hash TEXT, confirmations INTEGER, address TEXT, created_at TIMESTAMP, updated_at TIMESTAMP
  )
"""
_CONFIG = """
[target]
name = "shop"
[sql]
table = "orders"
time_zone = "UTC"
[sql.columns]
"amount.amount" = "amount"
"amount.currency" = "currency"
"blockchain.network" = "network"
"blockchain.transactionHash" = "tx_hash"
"blockchain.confirmations" = "confirmations"
"escrowState" = "escrow_state"
"moneroAddress" = "address"
"createdAt" = "created_at"
"updatedAt" = "updated_at"
[sql.kinds]
amount = "units_12"
[[chains]]
chain_id = {chain_id}
confirmations_min = 10
[monero]
daemon_url = "{daemon}"
timeout_s = {timeout_s}
wallets = [
  {{ name = "shop", url = "{shop}", login_variable = "RECON_MONERO_LOGIN", start_height = 0 }},
  {{ name = "vendor", url = "{vendor}", start_height = 0 }},
]
"""


@dataclass
class Market:
    """The servers, and what the tests need to know of the wallets."""

    servers: RealMonero
    shop: str
    miner: str

    def address(self) -> str:
        """A new subaddress of the shop."""
        return str(self.servers.wallets["shop"].ask("create_address", {"account_index": 0})["address"])

    def pay(self, *destinations: tuple[str, int]) -> str:
        """One transaction out of the miner's wallet, in the pool."""
        self.servers.wallets["miner"].ask("refresh")
        sent = [{"address": to, "amount": units} for to, units in destinations]
        return str(self.servers.wallets["miner"].ask("transfer", {"destinations": sent})["tx_hash"])

    def mine(self, count: int) -> None:
        self.servers.mine(count, to=self.miner)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    assert are_installed(), MISSING
    servers = RealMonero(tmp_path_factory.mktemp("monero"))
    try:
        found = {}
        for name, login in (("miner", None), ("shop", LOGIN), ("vendor", None)):
            servers.serve(name, login=login).ask("create_wallet", {"filename": name, "language": "English"})
            found[name] = servers.wallets[name].ask("get_address", {"account_index": 0})["address"]
        servers.mine(90, to=found["miner"])
        yield Market(servers, found["shop"], found["miner"])
    finally:
        servers.close()


@dataclass
class Book:
    """A table of orders with its configuration."""

    folder: Path

    def rows(self) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "orders.db")) as connection:
            columns = "id, status, escrow_state, tx_hash, confirmations"
            return connection.execute(f"SELECT {columns} FROM orders ORDER BY id").fetchall()

    def put(self, name: str, address: str, amount: str, **given: Any) -> None:
        at = (dt.datetime.now(tz=dt.UTC) - dt.timedelta(minutes=1)).strftime("%Y-%m-%d %H:%M:%S")
        row = {
            "id": name, "provider": "monero", "direction": "in", "status": "pending",
            "amount": int(Decimal(amount) * XMR),
            "currency": "XMR", "network": "monero-regtest", "address": address, "created_at": at, "updated_at": at,
            **given,
        }  # fmt: skip
        with closing(sqlite3.connect(self.folder / "orders.db")) as connection, connection:
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO orders ({', '.join(row)}) VALUES ({marks})", list(row.values()))

    def run(self, *arguments: object, code: int = 0) -> str:
        said = [*(str(each) for each in arguments), "--config", str(self.folder / "recon.toml")]
        result = CliRunner().invoke(cli, said)
        assert result.exit_code == code, (said, result.exit_code, result.output[-1500:], result.stderr[-1500:])
        return result.stdout

    def plan(self, *, code: int = 1) -> dict[str, Any]:
        file = self.folder / "plan.json"
        file.unlink(missing_ok=True)
        self.run("plan", "--out", file, code=code)
        return dict(json.loads(file.read_bytes()))

    def verdicts(self, *, code: int = 1) -> dict[str, str]:
        """By order; money of other tests' orders, which no row of this table knows, is left out."""
        found = {each["payment_id"]: each["verdict"] for each in self.plan(code=code)["findings"]}
        return {name: verdict for name, verdict in found.items() if verdict != "missing_local"}

    def apply(self, file: str, digest: str, *, code: int = 0) -> str:
        return self.run("apply", self.folder / file, "--digest", digest, "--share-max", "100", code=code)


@pytest.fixture
def book(market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    monkeypatch.setenv("RECON_SQL_URL", f"sqlite:///{tmp_path / 'orders.db'}")
    monkeypatch.setenv("RECON_MONERO_LOGIN", LOGIN)
    with closing(sqlite3.connect(tmp_path / "orders.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(_TABLE)
    urls = {name: server.url for name, server in market.servers.wallets.items()}
    text = _CONFIG.format(
        chain_id=FAKECHAIN, daemon=market.servers.daemon.url, shop=urls["shop"], vendor=urls["vendor"], timeout_s=20
    )
    (tmp_path / "recon.toml").write_text(text)
    return Book(tmp_path)


def test_orders_are_planned_applied_and_taken_back(market: Market, book: Book) -> None:
    whole, part, none, late = (market.address() for _ in range(4))
    integrated = str(with_payment_id(market.shop, "1122334455667788"))
    paid = market.pay((whole, 3 * XMR // 2), (part, XMR // 2))
    market.pay((integrated, XMR))
    market.mine(1)
    market.pay((late, XMR))
    market.mine(9)
    for name, address in (("whole", whole), ("part", part), ("none", none), ("late", late)):
        book.put(name, address, "1.5" if name != "late" else "1")
    book.put("integrated", integrated, "1")
    assert "fakechain at block" in book.run("doctor")
    before = book.rows()
    assert book.verdicts() == {
        "whole": "local_behind", "part": "underpaid", "late": "insufficient_confirmations",
        "integrated": "local_behind",
    }  # fmt: skip
    plan = json.loads((book.folder / "plan.json").read_bytes())
    book.apply("plan.json", plan["digest"])
    after = {row[0]: row[1:] for row in book.rows()}
    assert after["whole"] == ("completed", "funded", paid, 10)
    assert after["part"] == ("pending", None, None, None)
    (entry,) = json.loads(book.run("runs", "--format", "json"))["runs"]
    book.run("undo", entry["run"], "--out", book.folder / "undo.json")
    book.apply("undo.json", json.loads((book.folder / "undo.json").read_bytes())["digest"])
    assert book.rows() == before
    assert LOGIN.partition(":")[2] not in "".join(each.read_text() for each in book.folder.glob("*.json"))


def test_a_frozen_daemon_and_a_closed_wallet_have_not_been_asked(market: Market, book: Book) -> None:
    address = market.address()
    book.put("order", address, "1", status="completed", escrow_state="funded")
    assert book.verdicts() == {"order": "local_ahead"}
    config = book.folder / "recon.toml"
    config.write_text(config.read_text().replace("timeout_s = 20", "timeout_s = 1"))
    market.servers.freeze()
    try:
        assert book.verdicts(code=4) == {"order": "lookup_failed"}
    finally:
        market.servers.thaw()
    market.servers.wallets["vendor"].ask("close_wallet")
    assert book.verdicts(code=4) == {"order": "unproven"}
    market.servers.wallets["vendor"].ask("open_wallet", {"filename": "vendor"})
    assert book.verdicts() == {"order": "local_ahead"}


def test_a_wallet_restored_too_late_proves_nothing_and_its_canary_tells(market: Market, book: Book) -> None:
    address = market.address()
    canary = market.pay((address, XMR))
    market.mine(10)
    shop = market.servers.wallets["shop"]
    key = shop.ask("query_key", {"key_type": "view_key"})["key"]
    height = market.servers.daemon.ask("get_block_count")["count"]
    late = market.servers.serve("late")
    made = {"filename": "late", "address": market.shop, "viewkey": key, "restore_height": height, "password": ""}
    late.ask("generate_from_keys", made)
    book.put("order", address, "1", status="completed", escrow_state="funded", tx_hash=canary)
    config = book.folder / "recon.toml"
    named = f'{{ name = "late", url = "{late.url}" }},\n]'
    config.write_text(config.read_text().partition("wallets = [")[0] + "wallets = [\n" + named)
    assert late.ask("get_balance").get("balance", 0) == 0
    assert book.verdicts(code=4) in ({"order": "unproven"}, {"order": "lookup_failed"})
    config.write_text(config.read_text().replace("}", f', canary = "{canary}" }}'))
    assert "restored at too late a block" in book.run("doctor", code=4)


def test_an_escrow_of_two_out_of_three_is_funded_and_released(market: Market, book: Book) -> None:
    parties = {name: market.servers.serve(name) for name in ("buyer", "seller", "arbiter")}
    escrow = make_escrow(list(parties.values()), name="escrow")
    payout = str(market.servers.wallets["miner"].ask("create_address", {"account_index": 0})["address"])
    deposit = market.pay((escrow, 3 * XMR // 2))
    market.mine(10)
    sent = release(parties["buyer"], parties["seller"], to=payout, units=2 * XMR // 5)
    config = book.folder / "recon.toml"
    named = "".join(
        f'  {{ name = "{name}", url = "{each.url}", start_height = 0 }},\n' for name, each in parties.items()
    )
    config.write_text(config.read_text().partition("wallets = [")[0] + f"wallets = [\n{named}]\n")
    book.put("in", escrow, "1.5")
    book.put("out", payout, "0.4", direction="out", escrow_state="releasing", tx_hash=sent)
    with config.open("a") as file:
        file.write('[fields]\npayout_recipient = ["moneroAddress"]\n')
    # The arbiter's wallet takes the change for a deposit; the buyer's does not know of the release yet.
    assert book.verdicts() == {"in": "local_behind", "out": "insufficient_confirmations"}
    market.mine(10)
    assert book.verdicts() == {"in": "local_behind", "out": "local_behind"}
    book.apply("plan.json", json.loads((book.folder / "plan.json").read_bytes())["digest"])
    assert {row[0]: row[1:] for row in book.rows()} == {
        "in": ("completed", "funded", deposit, 10), "out": ("pending", "releasing", sent, None)
    }  # fmt: skip


def test_a_chain_that_turns_after_the_plan_takes_its_proof_away(market: Market, book: Book) -> None:
    address = market.address()
    market.pay((address, XMR))
    market.mine(10)
    book.put("order", address, "1")
    plan = book.plan()
    assert plan["findings"][0]["verdict"] == "local_behind"
    before = book.rows()
    market.servers.daemon.post("/pop_blocks", {"nblocks": 10})
    book.apply("plan.json", plan["digest"], code=3)
    assert book.rows() == before
    # Two blocks fewer, and the wallet still knows better: it stands before its daemon.
    assert book.verdicts(code=4) == {"order": "lookup_failed"}
    market.mine(11)
    assert book.verdicts() == {"order": "local_behind"}
