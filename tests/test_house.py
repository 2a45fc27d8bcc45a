"""The rules of the house: which way imports run, what decides touches nothing, who writes, where providers are named.

A new folder is placed in :data:`FOLDERS`; whoever needs another rule bent says so there, in one line with its reason.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.house import COLUMNAR, PACKAGE, ROOT, calls, files_of, nodes_of, none, parts, tree_of, where

FOLDERS = (
    "core", "files", "sources", "verdicts", "snapshots", "plans", "runs", "repairs", "rails", "investigation",
    "simulation", "reports", "setup", "testing", "api", "watch", "desk", "cli", "__main__",
)  # fmt: skip
"""The house, in the order in which things are handed on: a file imports only from its own folder and those before."""
PURE = (
    "core", "verdicts/links.py", "verdicts/keys.py", "verdicts/claims.py", "verdicts/deals.py", "verdicts/match.py",
    "verdicts/outflows.py", "verdicts/balances.py", "verdicts/sums.py", "verdicts/fates.py", "verdicts/evidence.py",
    "verdicts/returns.py", "verdicts/destinations.py", "verdicts/strays.py", "verdicts/rivals.py", "verdicts/reach.py",
    "verdicts/excess.py", "verdicts/buyers.py", "verdicts/holdings.py", "verdicts/plainly_sent.py",
    "verdicts/resolving.py", "verdicts/conditions.py", "verdicts/rules.py", "verdicts/classify.py", "plans/limits.py",
    "plans/changes.py", "plans/findings.py", "runs/guard.py", "repairs/deeds.py", "rails/gates/judge.py",
    "rails/gates/records.py", "desk/rows.py", "desk/query.py", "desk/marks.py", "desk/sheet.py", "watch/situations.py",
)  # fmt: skip
"""What decides. It is given everything, ``now`` included."""
IMPURE_MODULES = {
    "asyncio", "builtins", "duckdb", "ftplib", "getpass", "glob", "http", "httpx", "io", "logging", "multiprocessing",
    "os", "platform", "pymongo", "random", "requests", "secrets", "select", "shutil", "signal", "socket",
    "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid", "web3", "filelock",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}
IMPURE_METHODS = {
    "now", "utcnow", "today", "getenv", "open", "read_text", "write_text", "read_bytes", "write_bytes", "exists",
    "is_file", "mkdir", "unlink", "iterdir", "glob", "rglob",
}  # fmt: skip
WRITERS = {
    "runs/stores/payments.py": "the only writer of business records",
    "runs/stores/documents.py": "puts and takes away whole records, for repairs",
    "runs/stores/journal.py": "appends to the tool's own journal",
    "runs/stores/lease.py": "holds the tool's own lease",
    "runs/stores/decisions.py": "adds to what people decided",
    "runs/stores/sql/decisions.py": "adds to what people decided there",
    "runs/stores/embedded.py": "writes the payments of a recorded world",
    "runs/stores/sql/payments.py": "the only writer of business records in a SQL database",
    "runs/stores/sql/journal.py": "appends to the tool's own journal there, and holds its lease",
    "runs/stores/sql/own_tables.py": "makes the tool's own tables there",
}
STORE_USERS = ("runs", "setup", "testing")
"""Folders that know the store: what writes, what opens it, and what checks its promises."""
WRITES = {
    "insert_one", "insert_many", "update_one", "update_many", "replace_one", "delete_one", "delete_many", "bulk_write",
    "find_one_and_update", "find_one_and_replace", "find_one_and_delete", "drop_collection", "drop_database",
    "create_index", "create_collection", "rename_collection",
}  # fmt: skip
DOOR_NAMES_MAX = 10


def imports(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Every imported module as a dotted name, wherever the import stands."""
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            if node.module == "recon":
                yield from ((node, f"recon.{alias.name}") for alias in node.names)
            else:
                yield node, node.module
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.relative_to(ROOT).parts[: -node.level])
            yield node, f"{package}.{node.module or node.names[0].name}"


# Directions and purity


def modules() -> dict[str, Path]:
    """Every file of the package by its dotted name; a folder's name is its front door."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }


def imported(path: Path, names: Collection[str]) -> Iterator[tuple[ast.AST, str, str]]:
    """The modules of the package that a file imports, each with the name that is taken from it."""
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module and node.module.startswith("recon"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (node, inner, "") if inner in names else (node, node.module, alias.name)
        elif isinstance(node, ast.Import):
            yield from ((node, alias.name, "") for alias in node.names if alias.name in names)


def test_every_folder_has_its_place() -> None:
    assert set(parts()) == set(FOLDERS) & set(parts()), "place it in FOLDERS of tests/test_house.py"


def test_no_import_runs_up() -> None:
    names = modules()
    none(
        f"{where(path, node)} imports {target}"
        for name, path in names.items()
        if name != "recon"
        for node, target, _ in imported(path, names)
        if target != "recon" and FOLDERS.index(target.split(".")[1]) > FOLDERS.index(name.split(".")[1])
    )
    none(
        f"{where(path, node)} imports the package's own front door"
        for name, path in names.items()
        for node, target, _ in imported(path, names)
        if target == "recon"
    )


def rings(needs: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """What is left when everything is taken away that needs nothing any more: the rings, and what rests on them."""
    left = {name: set(needed) & set(needs) - {name} for name, needed in needs.items()}
    while ready := [name for name, needed in left.items() if not needed]:
        left = {name: needed.difference(ready) for name, needed in left.items() if name not in ready}
    return left


def test_files_never_import_each_other_in_a_ring() -> None:
    names = modules()
    needs = {name: {target for _, target, _ in imported(path, names)} for name, path in names.items()}
    none(f"{name} is in a ring with {', '.join(sorted(needed))}" for name, needed in rings(needs).items())


@pytest.mark.parametrize("part", [part for part in parts() if (PACKAGE / part).is_dir()])
def test_the_parts_of_a_folder_never_import_each_other_in_a_ring(part: str) -> None:
    names = modules()
    needs: dict[str, set[str]] = {}
    for name, path in names.items():
        inside = name.split(".")[2:]
        if name.startswith(f"recon.{part}.") and inside:
            needs.setdefault(inside[0], set()).update(
                target.split(".")[2] for _, target, _ in imported(path, names) if target.startswith(f"recon.{part}.")
            )
    none(f"{name} is in a ring with {', '.join(sorted(needed))}" for name, needed in rings(needs).items())


def test_no_file_takes_a_private_name_from_another() -> None:
    names = modules()
    none(
        f"{where(path, node)} imports {target}.{taken}"
        for path in names.values()
        for node, target, taken in imported(path, names)
        if taken.startswith("_") and not taken.startswith("__")
    )


DOORS = sorted(path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("__init__.py"))


@pytest.mark.parametrize("folder", DOORS)
def test_a_front_door_says_one_sentence_and_shows_at_most_ten_names(folder: str) -> None:
    door = PACKAGE / folder / "__init__.py"
    said = (ast.get_docstring(tree_of(door)) or "").split("\n\n")[0].replace("\n", " ")
    assert said.endswith(".") and ". " not in said, f"{door.relative_to(ROOT)}: {said!r}"
    shown = [
        name
        for node in tree_of(door).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
        for name in ast.literal_eval(node.value)
    ]
    assert len(shown) <= (DOOR_NAMES_MAX if folder != "." else len(shown)), f"{folder} shows {len(shown)} names"
    package = importlib.import_module(".".join(("recon", *Path(folder).parts)))
    assert [name for name in shown if not hasattr(package, name)] == []


def test_no_module_imports_the_tests_or_the_scripts() -> None:
    none(
        f"{where(path, node)} imports {name}"
        for part in parts()
        for path in files_of(part)
        for node, name in imports(path)
        if name.split(".")[0] in ("tests", "scripts", "pytest", "hypothesis")
    )


@pytest.mark.parametrize("part", PURE)
def test_what_decides_touches_nothing_outside(part: str) -> None:
    paths = files_of(part)
    none(
        f"{where(path, node)} imports {name}"
        for path in paths
        for node, name in imports(path)
        if name.split(".")[0] in IMPURE_MODULES and name != "urllib.parse"
    )
    # The registry reads the data files beside it, once; they are part of the program.
    none(
        f"{where(path, node)} calls {name}"
        for path in paths
        for node, name in calls(path)
        if name
        in (
            IMPURE_METHODS - ({"read_text"} if "registry" in path.parts else set())
            if isinstance(node.func, ast.Attribute)
            else IMPURE_CALLS
        )
    )


# Writers


def test_only_the_store_writes_business_records() -> None:
    none(
        f"{where(path, node)} calls {name}; only {', '.join(WRITERS)} may"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).as_posix() not in WRITERS
        for node, name in calls(path)
        if name in WRITES and isinstance(node.func, ast.Attribute)
    )


SQL_WRITES = {"insert", "update", "delete"}
SQL_WORDS = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|CREATE|ALTER|DROP|TRUNCATE|GRANT|MERGE)\s+[A-Z_a-z]")
SQL_NOT_STORED = ("snapshots/", "verdicts/", "sources/exports/", "reports/", "investigation/")
"""Folders whose SQL is about tables in memory, which an engine forgets."""


def sql_that_writes(path: Path) -> Iterator[str]:
    """Expressions of SQLAlchemy and texts of SQL that change something."""
    for node, name in calls(path):
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if name in SQL_WRITES and isinstance(owner, ast.Name) and owner.id in ("sa", "sqlalchemy"):
            yield f"{where(path, node)} calls {owner.id}.{name}"
    for node in plain_texts(path):
        if SQL_WORDS.match(str(node.value)):
            yield f"{where(path, node)} says {str(node.value)[:40]!r}"


def test_only_the_store_writes_by_sql() -> None:
    none(
        problem
        for path in sorted(PACKAGE.rglob("*.py"))
        if (name := path.relative_to(PACKAGE).as_posix()) not in WRITERS and not name.startswith(SQL_NOT_STORED)
        for problem in sql_that_writes(path)
    )


@pytest.mark.parametrize("code", ["sa.update(table)", 'run("DELETE FROM payments")', "TEXT = 'UPDATE t SET a = 1'"])
def test_sql_that_writes_elsewhere_is_noticed(code: str, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(code)
    assert list(sql_that_writes(path))


DRIVERS = {
    "sqlalchemy": ("sources/payments/sql/", "runs/stores/sql/"),
    "psycopg": ("sources/payments/sql/",),
    "sqlite3": ("sources/payments/sql/", "sources/recorded/", "runs/stores/embedded.py"),
}
"""Where each driver of a database of SQL is known."""


def test_a_driver_is_known_in_the_folders_of_its_store_only() -> None:
    none(
        f"{where(path, node)} imports {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node, name in imports(path)
        if (places := DRIVERS.get(name.split(".")[0])) is not None
        and not path.relative_to(PACKAGE).as_posix().startswith(places)
    )


def test_only_apply_and_what_opens_it_know_the_store() -> None:
    none(
        f"{where(path, node)} imports {name}"
        for part in parts()
        if part not in STORE_USERS
        for path in files_of(part)
        for node, name in imports(path)
        if name == "recon.runs.stores.payments"
    )


def test_sources_never_write() -> None:
    none(
        f"{where(path, node)} imports {name}"
        for path in files_of("sources")
        for node, name in imports(path)
        if name.startswith(("recon.runs.stores.payments", "recon.runs.stores.journal", "recon.apply"))
    )


DURABLE = {"fsync", "fdatasync", "hardlink_to", "link_to", "renames", "NamedTemporaryFile", "mkstemp", "mktemp"}
"""Calls that make a file last or appear, which is the business of files.py alone, whoever they are called on."""
PUTS = {"replace", "rename", "link"}
"""The same where they are called on ``os``, and with one argument, as on a path: text is replaced with two."""
TEXT_WRITES = {"write_text", "write_bytes"}
WRITES_ITSELF = {
    "simulation/world.py": "writes a made-up world, which can be made again from its seed",
}
"""Files that may write others by themselves, with the reason; every other asks files.py."""


def places_files(path: Path) -> Iterator[str]:
    for node, name in calls(path):
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        on_os = isinstance(owner, ast.Name) and owner.id in ("os", "shutil")
        on_path = owner is not None and len(node.args) == 1 and not node.keywords and name in ("replace", "rename")
        # Frames of the columnar modules are renamed with one argument, too; no path is ever there.
        is_columnar = path.relative_to(PACKAGE).as_posix() in COLUMNAR if path.is_relative_to(PACKAGE) else False
        if (
            name in DURABLE | TEXT_WRITES
            or (name in PUTS | {"move", "copy"} and on_os)
            or (on_path and not is_columnar)
        ):
            yield f"{where(path, node)} calls {name}"


def test_only_files_py_puts_files_in_their_place() -> None:
    assert len(list(places_files(PACKAGE / "files.py"))) > 4, "it looks for what files.py does"
    none(
        problem
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).as_posix() not in {"files.py", *WRITES_ITSELF}
        for problem in places_files(path)
    )


@pytest.mark.parametrize(
    "code",
    [
        "os.replace(waiting, path)",
        "os.rename(waiting, path)",
        "os.link(waiting, path)",
        "waiting.replace(path)",
        "waiting.rename(path.with_name('a'))",
        "path.hardlink_to(waiting)",
        "os.fsync(handle)",
        "tempfile.NamedTemporaryFile()",
        "shutil.move(waiting, path)",
        "path.write_text(text)",
    ],
)
def test_a_file_put_in_its_place_by_hand_is_noticed(code: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.py"
    path.write_text(code)
    assert list(places_files(path))
    path.write_text("text.replace('a', 'b'); replace(plan, digest=''); moment.replace(tzinfo=UTC)")
    tree_of.cache_clear()
    nodes_of.cache_clear()
    assert list(places_files(path)) == []


# Providers

PROVIDER_FOLDERS = sorted(
    path.name for path in (PACKAGE / "sources" / "providers").iterdir() if (path / "provider.py").exists()
)
KNOW_PROVIDERS = ("simulation",)
"""What stands in for the world plays each provider by its name; the example file shows the built-in ones."""


STYLES = {("monero", "investigation/incident/styles.py"), ("monero", "setup/example.py")}
"""Files that name a style of incident texts, a house's habit of writing, which is called as the provider is."""


def plain_texts(path: Path) -> Iterator[ast.Constant]:
    """The text constants of a file that are code: no docstrings, and no texts that are statements of their own."""
    tree = tree_of(path)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node


def named_providers(path: Path) -> Iterator[str]:
    own = path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else ""
    for name in PROVIDER_FOLDERS:
        if own.startswith(f"sources/providers/{name}/") or (name, own) in STYLES:
            continue
        word = re.compile(rf"(?<![\w/-]){name}(?![\w/-])")
        for node in plain_texts(path):
            if word.search(str(node.value)):
                yield f"{where(path, node)} names {name}: {str(node.value)[:60]!r}"
        for node, target in imports(path):
            if target.startswith(f"recon.sources.providers.{name}"):
                yield f"{where(path, node)} imports {target}"


def test_a_provider_is_named_in_its_own_folder_only() -> None:
    assert len(PROVIDER_FOLDERS) >= 2
    none(
        problem
        for path in sorted(PACKAGE.rglob("*.py"))
        if not path.relative_to(PACKAGE).as_posix().startswith(KNOW_PROVIDERS)
        for problem in named_providers(path)
    )


@pytest.mark.parametrize(
    "code",
    [
        'good = provider == "shkeeper"',
        'PATHS = ("shkeeper:metadata.externalId",)',
        'hint = f"use request_network or {other}"',
        "from recon.sources.providers.shkeeper.api import Shkeeper",
    ],
)
def test_a_provider_named_elsewhere_is_noticed(code: str, tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text(code)
    assert list(named_providers(path))
