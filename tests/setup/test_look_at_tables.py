"""What ``recon init --yes`` finds out where the payments stand in a table of PostgreSQL or SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from recon.cli import cli
from recon.setup.example import example
from recon.setup.look_around import Surroundings
from recon.setup.open_sources import Opening
from recon.setup.settings import load_settings
from recon.setup.stores.sql.look import payment_tables
from recon.setup.stores.store import FoundCollection
from recon.simulation import plant_world
from recon.sources.payments.sql.section import SqlSection
from tests.support.sql_columns import plainly, section_and_columns
from tests.support.sql_stores import SqlPlace, sqlite_place


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlPlace:
    """A table of payments, an older one, one of which the ids are not unique, and one of other things."""
    bare = SqlSection(table="payments")
    is_file = request.param == "sqlite"
    place = sqlite_place(tmp_path, bare) if is_file else request.getfixturevalue("postgres_at")(bare)
    request.addfinalizer(place.close)
    place.section, columns = section_and_columns(str(request.param))
    place.make(columns)
    place.put([plainly(each) for each in plant_world(*["webhook_lost"] * 3, seed=5).recorded.payments])
    place.run("CREATE TABLE old_payments (payment_id integer PRIMARY KEY, amount text)")
    place.run("CREATE TABLE payment_log (id integer, said text)")
    place.run("CREATE TABLE users (id integer PRIMARY KEY)")
    monkeypatch.delenv("RECON_MONGO_URI", raising=False)
    monkeypatch.setenv("RECON_SQL_URL", place.url)
    return place


def test_the_table_its_columns_chains_and_rails_are_found_and_stand_in_the_file(shop: SqlPlace, tmp_path: Path) -> None:
    found = {each.collection: each for each in payment_tables()}
    assert set(found) == {"payments", "old_payments"}
    assert found["old_payments"].sections["sql"]["id"] == "payment_id"
    if shop.kind == "sqlite":
        assert found["payments"].documents == 3
    result = CliRunner().invoke(cli, ["init", "--yes", "--out", str(tmp_path / "recon.toml")])
    assert result.exit_code == 0, result.output
    assert "3 of the newest payments of" in result.stderr
    text = (tmp_path / "recon.toml").read_text()
    assert "[mongo]" not in text
    settings = load_settings(tmp_path / "recon.toml")
    section = settings.values.sql
    assert section.table.endswith("payments")
    wanted = {path: shop.section.columns[path] for path in ("amount.amount", "blockchain.transactionHash", "createdAt")}
    assert wanted.items() <= section.columns.items()
    assert settings.providers
    assert settings.chain_ids
    assert section.time_zone == "", "nobody said it, so it is not guessed"
    (tmp_path / "recon.toml").write_text(text.replace('# time_zone = "UTC"', 'time_zone = "UTC"', 1))
    store = Opening(load_settings(tmp_path / "recon.toml")).store()
    assert "can be read" in store.check()
    store.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ['odd "name', "back\\slash", "ümlaut"])
def test_the_file_loads_whatever_the_table_is_called(name: str, tmp_path: Path) -> None:
    section = {"table": name, "id": name, "columns": {"createdAt": name}}
    place = FoundCollection("main", name, 3, {"sql": section})
    (tmp_path / "recon.toml").write_text(example(Surroundings(place, (), (), 3)))
    found = load_settings(tmp_path / "recon.toml").values.sql
    assert (found.table, found.id, found.columns) == (name, name, {"createdAt": name})


def test_an_address_that_leads_nowhere_is_said_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECON_MONGO_URI", raising=False)
    for address in ("postgresql://reader:hunter2@127.0.0.1:9/shop", "hunter2", "sqlite:///gone-hunter2.db"):
        monkeypatch.setenv("RECON_SQL_URL", address)
        out = tmp_path / f"{len(address)}.toml"
        result = CliRunner().invoke(cli, ["init", "--yes", "--out", str(out)])
        assert (result.exit_code, "The database was not looked at" in result.stderr) == (0, True), address
        assert "hunter2" not in result.output or address.startswith("sqlite"), "a file's name is no secret"
        assert out.read_text() == example()
