"""The stores that are installed: the built-in ones without metadata, those of others by entry point, one chosen."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recon.core.installed import STORES, PluginError, installed
from recon.setup.doctor import check_sources
from recon.setup.open_runs import open_ledger
from recon.setup.open_sources import Opening
from recon.setup.settings import Settings, load_settings
from recon.setup.stores.installed import StoreUnclearError, store_of, stores

ROOT = Path(__file__).parents[2]

Installing = Callable[..., None]

STORE = """
import os
from recon.setup.stores import Store
from recon.sources.payments.read import ListStore

PAYMENTS = ListStore([{"_id": "payment of {name}"}])

def means(settings):
    return "ACME_BASE" in os.environ

STORE = Store("{name}", "AcmeBase", means, lambda terms: PAYMENTS, lambda settings: "ledger of {name}")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installing]:
    """Installs a distribution with one store, until the test ends."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def put(name: str, code: str = STORE) -> None:
        (site / f"{name}_store.py").write_text(code.replace("{name}", name))
        info = site / f"{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{STORES}]\n{name} = {name}_store:STORE\n")
        monkeypatch.setenv("ACME_BASE", "1")
        monkeypatch.delitem(sys.modules, f"{name}_store", raising=False)
        forget()

    def forget() -> None:
        installed.cache_clear()
        stores.cache_clear()

    yield put
    monkeypatch.undo()
    forget()


def settings_of(folder: Path, *, text: str = "") -> Settings:
    (folder / "recon.toml").write_text(text)
    return load_settings(folder / "recon.toml")


def test_the_built_in_stores_are_those_that_the_project_declares() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][STORES]
    found = {each.name: f"{each.module}:STORE" for each in installed(STORES).values() if each.is_built_in}
    assert found == declared


def test_a_recorded_world_is_a_store_and_everything_else_is_mongodb(tmp_path: Path) -> None:
    assert store_of(settings_of(tmp_path)).name == "mongo"
    (tmp_path / "world.json").write_text(json.dumps({"format": 1, "now": "2026-11-20T12:00:00Z", "seed": 1}))
    assert store_of(settings_of(tmp_path, text='[recorded]\npath = "."')).name == "recorded"


def test_an_installed_store_is_opened_on_both_sides_when_the_configuration_means_it(
    tmp_path: Path, install: Installing, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("acmebase")
    settings = settings_of(tmp_path)
    [payment] = Opening(settings).store().fetch(["payment of acmebase"])
    assert payment["_id"] == "payment of acmebase"
    assert str(open_ledger(settings)) == "ledger of acmebase"
    checks = {each.name: each for each in check_sources(settings)}
    assert "acmebase from acmebase 1.2 (acmebase_store)" in checks["installed"].says
    assert "mongo from recon " in checks["installed"].says
    assert checks["database"].state == "ok"
    monkeypatch.delenv("ACME_BASE")
    assert store_of(settings).name == "mongo"


def test_a_recorded_world_is_never_taken_over_by_an_installed_store(tmp_path: Path, install: Installing) -> None:
    install("acmebase")
    (tmp_path / "world.json").write_text(json.dumps({"format": 1, "now": "2026-11-20T12:00:00Z", "seed": 1}))
    assert store_of(settings_of(tmp_path, text='[recorded]\npath = "."')).name == "recorded"


def test_two_stores_that_a_configuration_means_are_refused(tmp_path: Path, install: Installing) -> None:
    install("acmebase")
    install("otherbase")
    with pytest.raises(StoreUnclearError, match="acmebase and otherbase"):
        store_of(settings_of(tmp_path))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("class STORE:\n    name = 'acmebase'", "no Store"),
        (STORE.replace("{name}", "mongodb"), "calls itself 'mongodb'"),
        ("raise RuntimeError('broken')", "RuntimeError: broken"),
    ],
)
def test_what_is_installed_and_is_no_store_is_refused(install: Installing, code: str, said: str) -> None:
    install("acmebase", code)
    with pytest.raises(PluginError, match=said):
        stores()
