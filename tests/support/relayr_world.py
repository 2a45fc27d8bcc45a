"""A pay app over Relayr: its table in PostgreSQL, its bundles behind a look-alike, its chains, and a configuration."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recon.sources.payments.sql.section import SqlSection
from tests.support.onchain import Chain, call_data
from tests.support.relayr_server import Bundle, Entry, RelayrServer
from tests.support.sql_stores import SqlPlace
from tests.support.terminals import TERMINAL_CODE, paid, pay_call, request_of

TERMINAL = "0x52869db3d61dde1e391967f2ce5039ad0ecd371c"
NEWER = "0x52869db3d61dde1e391967f2ce5039ad0ecd371d"
KEEPER = "0x" + "6e" * 20
"""The wallet that pays the gas: it has 0.1 of Base's coin and 0.01 of the others'."""

USDC = {
    1: "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
    10: "0x0b2c639c533813f4aa9d7837caf62653d097ff85",
    8453: "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913",
    42161: "0xaf88d065e77c8cc2239327c5edb3a432268e5831",
}
SECTION = SqlSection(
    table="transactions",
    columns={
        "amount.amount": "amount_usd",
        "blockchain.network": "chain_id",
        "blockchain.transactionHash": "tx_hash",
        "createdAt": "created_at",
        "direction": "type",
    },
    words={
        "status": {"confirmed": "completed"},
        "type": {"payment": "in", "cash_out": "out", "payout": "out", "withdrawal": "out"},
    },
    constants={"provider": "relayr", "amount.currency": "USDC"},
)
SCHEMA = """
CREATE TYPE tx_type AS ENUM ('payment','received','bonus_claim','payout','consolidation','cash_out','withdrawal');
CREATE TYPE tx_status AS ENUM ('pending','confirmed','failed');
CREATE TYPE tx_chain AS ENUM ('1','10','8453','42161');
DROP TABLE IF EXISTS transactions;
CREATE TABLE transactions (
  id uuid PRIMARY KEY, from_user_id uuid, to_user_id uuid, store_id uuid, type tx_type NOT NULL,
  status tx_status NOT NULL DEFAULT 'pending', amount_usd numeric(18,6) NOT NULL, tokens_used jsonb,
  rewards_earned jsonb, chain_id tx_chain, bundle_id text, tx_hash varchar(66), block_number bigint,
  confirmation_code varchar(6), error_code varchar(50), error_message text, idempotency_key text UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now(), confirmed_at timestamptz
);
CREATE INDEX ON transactions (created_at);
"""
"""The app's table, as its facts tell it: no time of change, no version."""


def toml_of(section: SqlSection, *, base_url: str, endpoints: Mapping[int, str], dead: Sequence[int] = ()) -> str:
    """The configuration of such an app; ``dead`` chains are in scope and have no endpoint."""
    columns = "".join(f'"{path}" = "{column}"\n' for path, column in section.columns.items())
    words = "".join(
        f"[sql.words.{column}]\n" + "".join(f'{word} = "{meaning}"\n' for word, meaning in table.items())
        for column, table in section.words.items()
    )
    constants = "".join(f'"{path}" = "{text}"\n' for path, text in section.constants.items())
    listed: dict[int, list[str]] = {chain: [url] for chain, url in endpoints.items()}
    listed |= {chain: [] for chain in dead}
    chains = "".join(
        f"[[chains]]\nchain_id = {chain}\nendpoints = {json.dumps(urls)}\nconfirmations_min = 2\ncalls_per_s = 10000\n"
        + "".join(
            f'[[emitters]]\nchain_id = {chain}\naddress = "{terminal}"\nkind = "terminal"\n'
            for terminal in (TERMINAL, NEWER)
        )
        for chain, urls in listed.items()
    )
    chains += "".join(
        f'[[reserves]]\nchain_id = {chain}\naddress = "{KEEPER}"\nwarn_below = "0.3"\ncritical_below = "0.03"\n'
        for chain in listed
    )
    chains += '[failures]\nfield = "error_code"\n'
    return (
        f'[target]\nname = "app"\n[sql]\ntable = "{section.table}"\n[sql.columns]\n{columns}{words}'
        f"[sql.constants]\n{constants}[fields]\nescrow_state = []\nconfirmations = []\ndisputed = []\n"
        "[window]\nhours = 0\n"
        f'[relayr]\nbase_url = "{base_url}"\ncalls_per_s = 1000\n{chains}[output]\ndir = "out"\n'
    )


@dataclass
class PayApp:
    """The app, its relay and its chains.

    Args:
        rows: By name of a row, its id.
    """

    place: SqlPlace
    chains: Mapping[int, Chain]
    relay: RelayrServer = field(default_factory=RelayrServer)
    rows: dict[str, str] = field(default_factory=dict)

    def open(self) -> None:
        """Make the table, and put terminals and tokens on the chains."""
        self.place.run(SCHEMA)
        for chain_id, chain in self.chains.items():
            chain.deploy_known_tokens()
            self.lay_terminal(chain, TERMINAL, TERMINAL_CODE)
            held = 10**17 if chain_id == 8453 else 10**16
            chain.rpc("anvil_setBalance", KEEPER, hex(held))

    def lay_terminal(self, chain: Chain, address: str, code: str) -> str:
        """Put code at an address and let it take the first account's USDC."""
        chain.lay_code(address, code)
        chain.approve(USDC[chain.chain_id], address)
        return address

    def row(self, name: str, *, usd: str = "25.000000", **given: Any) -> None:
        """Insert a row; a minute old unless told otherwise."""
        number = len(self.rows) + 1
        self.rows[name] = f"00000000-0000-4000-8000-{number:012d}"
        at = dt.datetime.now(tz=dt.UTC) - dt.timedelta(minutes=2)
        columns = {
            "id": self.rows[name], "type": "payment", "status": "pending", "amount_usd": usd, "chain_id": "8453",
            "confirmation_code": "ABC123", "created_at": at.isoformat(), **given,
        }  # fmt: skip
        marks = ", ".join(["?"] * len(columns))
        self.place.run(f"INSERT INTO transactions ({', '.join(columns)}) VALUES ({marks})", [list(columns.values())])

    def pays(
        self, chain_id: int, units: int, *, terminal: str = TERMINAL, check: bool = True, token: str | None = None
    ) -> Entry:
        """A payment on a chain, and the entry of a bundle that tells of it."""
        chain = self.chains[chain_id]
        data = pay_call(token or USDC[chain_id], units, buyer=len(self.rows) + 100)
        tx_hash = paid(chain, terminal, data, check=check)
        return Entry(request_of(chain, terminal, data), tx_hash=tx_hash)

    def sends(self, chain_id: int, units: int) -> Entry:
        """Money that goes out on a chain: a plain transfer, and the entry of a bundle that tells of it."""
        chain, data = self.chains[chain_id], call_data("transfer(address,uint256)", "0x" + "5e" * 20, units)
        tx_hash = chain.send(USDC[chain_id], data)
        return Entry(request_of(chain, USDC[chain_id], data), tx_hash=tx_hash)

    def bundle(self, *entries: Entry, **given: Any) -> str:
        """A bundle at the relay; gives its id."""
        return self.relay.add(Bundle(entries=entries, **given))

    def settle(self) -> None:
        """Make everything final, and the chains as old as the clock."""
        for chain in self.chains.values():
            chain.mine(80)
            chain.set_next_time(int(time.time()) - 1)
            chain.mine()

    def hash_of(self, name: str, chain_id: int) -> str | None:
        """The transaction on a chain that the bundle of a row names."""
        ((bundle_id,),) = self.place.run(f"SELECT bundle_id FROM transactions WHERE id = '{self.rows[name]}'")
        entries = self.relay.bundles[bundle_id].entries
        return next(entry.tx_hash for entry in entries if entry.request["chain"] == chain_id)

    def dump(self) -> list[Any]:
        """Every row with every column, as text."""
        return self.place.run("SELECT t::text FROM transactions t ORDER BY id")

    def configured(self, folder: Path, base_url: str, *, dead: Sequence[int] = ()) -> Path:
        """Write the configuration."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "recon.toml"
        endpoints = {chain_id: chain.url for chain_id, chain in self.chains.items()}
        path.write_text(toml_of(SECTION, base_url=base_url, endpoints=endpoints, dead=dead), encoding="utf-8")
        return path
