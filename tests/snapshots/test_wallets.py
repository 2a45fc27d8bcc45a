"""Known wallets in a snapshot: built upon another one, continued after an interruption, shared, of chains unread."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest

from recon.core.registry import load_registry
from recon.core.registry.off_chain import OFF_CHAIN, with_books
from recon.plans.file import plan_bytes
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import write_world
from recon.simulation.stage import NOW
from recon.snapshots.address import Export, opened
from recon.snapshots.sealed import Snapshot
from recon.snapshots.take import take_snapshot
from recon.snapshots.unfinished import OtherRunError
from recon.snapshots.wallets import WalletReader
from recon.sources.chain.evm import EvmChain
from recon.sources.interface import Reading, Selection, no_progress
from tests.support.monero_world import FAKECHAIN
from tests.support.wallets import CHAIN, LEAK_UNITS, WalletWorld, wallet_world


@pytest.fixture(scope="module")
def played() -> WalletWorld:
    return wallet_world()


@pytest.fixture(scope="module")
def folder(played: WalletWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wallets") / "world"
    write_world(played.world, folder)
    return folder


def take(
    folder: Path, out: Path, *, without_chain: int | None = None, wallets: tuple[str, ...] | None = None, **given: Any
) -> Snapshot:
    settings = load_settings(folder / "recon.toml")
    with open_sources(settings) as sources:
        chains = tuple(chain for chain in sources.chains if chain.chain_id != without_chain)
        named = sources.wallets if wallets is None else wallets
        return take_snapshot(
            replace(sources, chains=chains, wallets=named),
            **{
                "selection": settings.selection(),
                "policy": settings.policy(),
                "registry": settings.registry(),
                "now": settings.now(),
                "out": out,
                **given,
            },
        )


def block_of(snapshot: Snapshot, folder: Path) -> Any:
    settings = load_settings(folder / "recon.toml")
    return make_plan(snapshot, policy=settings.policy(), registry=settings.registry(), engine="polars").balances


def test_a_snapshot_built_upon_another_proves_the_same(folder: Path, tmp_path: Path) -> None:
    first = take(folder, tmp_path / "first")
    second = take(folder, tmp_path / "second", since=first)
    assert block_of(second, folder) == block_of(first, folder)


def test_an_interrupted_snapshot_goes_on_and_asks_for_no_balance_twice(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = block_of(take(folder, tmp_path / "whole"), folder)
    with monkeypatch.context() as broken:
        broken.setattr("recon.snapshots.take._Taking._read_again", _dead)
        with pytest.raises(RuntimeError):
            take(folder, tmp_path / "half")
    asked: list[int] = []
    read = EvmChain.read_balances
    monkeypatch.setattr(EvmChain, "read_balances", lambda self, *a, **k: asked.append(1) or read(self, *a, **k))
    with pytest.raises(OtherRunError, match="known wallets"):
        take(folder, tmp_path / "half", wallets=("0x" + "12" * 20,))
    assert block_of(take(folder, tmp_path / "half"), folder) == whole
    assert asked == []


def _dead(*given: Any, **more: Any) -> Reading:
    raise RuntimeError("the process ended here")


def test_a_shared_snapshot_gives_the_same_plan(folder: Path, tmp_path: Path) -> None:
    address = "memory://wallets/today"
    sealed = take(folder, tmp_path / "snapshot", export=Export(address))
    settings = load_settings(folder / "recon.toml")
    given: dict[str, Any] = {"policy": settings.policy(), "registry": settings.registry(), "engine": "duckdb"}
    with opened(address, engine="duckdb") as shared:
        assert plan_bytes(make_plan(shared, **given)) == plan_bytes(make_plan(sealed, **given))
    fsspec.filesystem("memory").rm(address, recursive=True)


def test_a_chain_that_nobody_can_be_asked_about_is_cannot_tell(folder: Path, tmp_path: Path) -> None:
    block = block_of(take(folder, tmp_path / "snapshot", without_chain=CHAIN), folder)
    rows = [row for row in block["rows"] if row["chain_id"] == CHAIN]
    assert rows and all(row["opening"] is row["in"] is row["closing"] is row["residual"] is None for row in rows)
    assert {text for row in rows for text in row["problems"]} == {"No endpoint is configured for this chain."}
    assert all(row["residual"] == "0" for row in block["rows"] if row["chain_id"] != CHAIN)


def test_wallets_are_not_asked_of_a_place_in_which_they_cannot_be() -> None:
    """A shop with a rail of another kind of chain, or in books, has its wallets where they are; nothing is missing."""

    def asked_of(chain_id: int) -> Reading:
        chain: Any = SimpleNamespace(chain_id=chain_id)
        registry = with_books(load_registry(), ("USD",))
        reader = WalletReader(("0x" + "12" * 20,), None, registry, no_progress)
        assert bool(reader.unread([chain_id]).tables["balances"].num_rows) == (chain_id == CHAIN)
        return reader.read(chain, from_ms=0)

    assert asked_of(FAKECHAIN) == asked_of(OFF_CHAIN) == Reading()
    assert [row.complete for row in asked_of(CHAIN).coverage] == [False]


def test_a_window_that_ends_earlier_is_proven_to_its_end(played: WalletWorld, folder: Path, tmp_path: Path) -> None:
    """What leaked after the end of the window is no movement of it."""
    ends = Selection(from_at=NOW - timedelta(days=6), to_at=NOW - timedelta(hours=6))
    block = block_of(take(folder, tmp_path / "early", selection=ends), folder)
    assert played.leak.tx_hash not in {row["tx_hash"] for row in block["unexplained"]}
    assert all(row["residual"] == "0" for row in block["rows"])
    later = replace(ends, to_at=NOW - timedelta(hours=4, minutes=30))
    block = block_of(take(folder, tmp_path / "late", selection=later), folder)
    assert [row["units"] for row in block["unexplained"] if row["tx_hash"] == played.leak.tx_hash] == [str(LEAK_UNITS)]


def test_payments_chosen_by_id_are_no_stretch_of_time(folder: Path, tmp_path: Path) -> None:
    chosen = take(folder, tmp_path / "snapshot", selection=Selection(ids=("unknown",)))
    assert "balances" not in chosen.manifest["tables"]
