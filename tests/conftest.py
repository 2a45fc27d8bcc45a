"""Fixtures that every test module may use: real servers, started when first asked for and stopped by pid."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import attacks, postgres, servers, slow, thorough
from tests.support.onchain import Chain

if TYPE_CHECKING:
    from pymongo.database import Database

    from recon.sources.payments.sql.section import SqlSection
    from tests.support.sql_stores import SqlPlace

    PlaceMaker = Callable[..., SqlPlace]
    MongodStarter = Callable[..., servers.Mongod]
    AnvilStarter = Callable[..., servers.Anvil]
    ChainStarter = Callable[..., Chain]


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--update-golden``: write the scenarios and what is expected of them anew; the diff is reviewed like code."""
    parser.addoption("--update-golden", action="store_true", help="Write tests/scenarios anew instead of comparing.")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Mark what is slow, an attack or for the night, before pytest chooses by marks.

    Without PostgreSQL or Monero, which scripts/test says loudly, their tests are left out.
    """
    missing = [name for name in ("postgres", "monero") if os.environ.get(f"RECON_TEST_WITHOUT_{name.upper()}")]
    for name in missing:
        without = [item for item in items if item.get_closest_marker(name) is not None]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]
    at_night = thorough.left_to_the_night(item.nodeid for item in items)
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if (why := slow.reason(item.nodeid, engine=thorough.engine_of(parameters))) is not None:
            item.add_marker(pytest.mark.slow(reason=why))
        if item.nodeid in at_night or thorough.is_thorough(item.nodeid, parameters):
            item.add_marker(pytest.mark.thorough)
        if attacks.kind_of(item.nodeid) is not None:
            item.add_marker(pytest.mark.attack)


def pytest_configure() -> None:
    """Thousands of tests and all that they import stay to the end: look through them for garbage less often."""
    gc.set_threshold(20_000, 20, 20)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """After ``-m attack``: how many blows of each kind were dealt, and held."""
    if config.getoption("markexpr") != "attack":
        return
    terminalreporter.section("attacks that held: kind, cases, blows")
    for kind, cases, blows in attacks.counted(terminalreporter.stats.get("passed", ())):
        terminalreporter.line(f"{kind}: {cases} cases, {blows} blows")


@pytest.fixture(scope="session")
def mongod() -> Iterator[servers.Mongod]:
    """One real mongod for the whole run, a replica set of one without authentication; use a database of your own."""
    server = servers.start_mongod(journal_ms=10)
    yield server
    server.stop()


@pytest.fixture
def mongo_database(mongod: servers.Mongod, request: pytest.FixtureRequest) -> Iterator[Database[dict[str, Any]]]:
    """An empty database on the shared mongod, named after the test, gone afterwards."""
    name = "".join(letter if letter.isalnum() else "_" for letter in request.node.name)[:50]
    with mongod.client() as client:
        client.drop_database(name)
        yield client[name]
        client.drop_database(name)


@pytest.fixture
def start_mongod() -> Iterator[MongodStarter]:
    """Starts a mongod of the test's own (``auth=``, ``replica_set=``), stopped after the test."""
    with ExitStack() as stack:

        def start(**options: Any) -> servers.Mongod:
            server = servers.start_mongod(**options)
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """One real PostgreSQL for the whole run; use a database of your own."""
    server = postgres.start_postgres()
    yield server
    server.stop()


@pytest.fixture
def postgres_at(postgres_server: postgres.Postgres, request: pytest.FixtureRequest) -> Iterator[PlaceMaker]:
    """Makes a database with a table of payments on the shared PostgreSQL, named after the test, gone afterwards."""
    from tests.support.sql_stores import BY_COLUMNS, postgres_place

    made: list[SqlPlace] = []

    def make(section: SqlSection = BY_COLUMNS) -> SqlPlace:
        name = "".join(letter if letter.isalnum() else "_" for letter in request.node.name.lower())[:40]
        made.append(postgres_place(postgres_server, f"{name}_{len(made)}", section))
        return made[-1]

    yield make
    for place in made:
        place.close()
        with postgres_server.connected() as connection:
            connection.execute(f'DROP DATABASE "{place.url.rpartition("/")[2]}" WITH (FORCE)')  # type: ignore[arg-type]


@pytest.fixture
def start_anvil() -> Iterator[AnvilStarter]:
    """Starts a bare chain of the test's own (see :func:`tests.support.servers.start_anvil`), stopped after the test."""
    with ExitStack() as stack:

        def start(*given: Any, **options: Any) -> servers.Anvil:
            server = servers.start_anvil(*given, **options)
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
def start_chain(start_anvil: AnvilStarter) -> Iterator[ChainStarter]:
    """Starts a chain that carries the real fee proxies and the known tokens of its chain id at their addresses."""
    with ExitStack() as stack:

        def start(chain_id: int = 56, *, block_s: int = 12, **options: Any) -> Chain:
            chain = stack.enter_context(Chain(start_anvil(chain_id, **options), block_s=block_s))
            chain.deploy_proxy()
            chain.deploy_known_tokens()
            return chain

        yield start
