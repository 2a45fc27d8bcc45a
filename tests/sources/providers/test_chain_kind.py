"""Chains of another kind than EVM: found by their entry point, compared by their own addresses, kept apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import narwhals as nw
import polars as pl
import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.core import installed as installing
from recon.core.ids import normalise_address, written_tx_hash
from recon.core.installed import CHAINS, Installed, PluginError, installed
from recon.core.model import Policy
from recon.sources.payments.sql.section import SqlSection
from recon.sources.providers.chain_kind import ChainKind, chain_kinds
from recon.verdicts.reach import Horizon, reach
from tests.support.monero_world import FAKECHAIN, a_subaddress
from tests.support.sql_stores import sqlite_place


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What is installed as kinds of chains, to be added to."""
    known = dict(installed(CHAINS))
    monkeypatch.setattr("recon.sources.providers.chain_kind.installed", lambda group: known)
    monkeypatch.setattr("recon.core.ids.installed", lambda group: known)
    chain_kinds.cache_clear()
    yield known
    chain_kinds.cache_clear()


def test_a_kind_of_another_distribution_brings_its_addresses_and_hashes(chains: dict[str, Any]) -> None:
    facts = SimpleNamespace(chain_id=9_000_001)
    kind = ChainKind(
        "acmechain", chains=(facts,), tokens=(), read_address=lambda text: text if text.startswith("acme:") else None,
        is_reached=lambda section: True, open=lambda terms: None,  # type: ignore[arg-type, return-value]
    )  # fmt: skip
    assert normalise_address("acme:one") is None
    chains["acmechain"] = Installed("acmechain", kind, "acme 1", "acmechain.chain")
    assert normalise_address(" acme:One ") == "acme:One"
    assert chain_kinds()[9_000_001] is kind
    assert written_tx_hash("0xab", chain_id=9_000_001) == "0xab"


def test_what_is_no_kind_of_chain_is_named(chains: dict[str, Any]) -> None:
    chains["odd"] = Installed("odd", SimpleNamespace(name="odd"), "odd 2.0", "odd.chain")
    with pytest.raises(PluginError, match=r"odd 2\.0 installs 'odd'"):
        chain_kinds()


def test_a_provider_without_chains_of_its_own_is_no_kind() -> None:
    assert {each.name for each in installing.installed(CHAINS).values()} == {"monero"}


def test_a_chain_that_nobody_can_mistake_for_another_blinds_no_other() -> None:
    rows = [(8453, 5), (1, 5), (FAKECHAIN, 5)]
    frame = nw.from_native(
        pl.LazyFrame([{"chain_id": chain, "created_at": at, "mode": "deposit"} for chain, at in rows])
    )
    policy = Policy(clock_skew_ms=0)

    def blind(until: dict[int, int]) -> list[bool]:
        horizon = Horizon({(chain, "erc20"): at for chain, at in until.items()}, {}, now_ms=100)
        column = reach(horizon, policy)["blind_elsewhere"]
        return frame.select(blind=column).collect().to_native()["blind"].to_list()  # type: ignore[no-any-return]

    assert blind({8453: 0, FAKECHAIN: 99}) == [False, False, False]
    assert blind({8453: 99, FAKECHAIN: 0}) == [False, True, False]


def test_a_rival_is_found_by_an_address_of_both_cases_and_by_no_other(tmp_path: Path) -> None:
    section = SqlSection(table="payments", columns={"moneroAddress": "address"}, time_zone="UTC")
    place = sqlite_place(tmp_path, section)
    place.make("id TEXT PRIMARY KEY, provider TEXT, address TEXT")
    address = a_subaddress("order 1")
    place.run("INSERT INTO payments VALUES (?, 'monero', ?)", [("a", address), ("b", address.lower())])
    found = list(place.store().find_claimants("recipient", [address]))
    assert [(value, document["_id"]) for value, document in found] == [(address, "a")]
    place.close()


def test_init_writes_the_section_of_a_rail_that_is_asked_for(tmp_path: Path) -> None:
    for name, wanted in (("usual", ()), ("more", ("--with", "monero"))):
        result = CliRunner().invoke(cli, ["init", "--out", str(tmp_path / f"{name}.toml"), *wanted])
        assert result.exit_code == 0, result.output
    assert "[monero]" not in (tmp_path / "usual.toml").read_text()
    text = (tmp_path / "more.toml").read_text()
    assert "[monero]" in text
    assert "RECON_MONERO_LOGIN" in text.partition("[target]")[0]
