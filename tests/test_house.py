"""The rules of the house that no linter knows: directions, purity, sizes, writers, and what the columnar code may use.

A new folder is placed in :data:`FOLDERS`; whoever needs another rule bent says so there, in one line with its reason.
"""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import complexity

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "recon"

FOLDERS = (
    "core", "files", "sources", "verdicts", "snapshots", "plans", "runs", "rails", "investigation", "simulation",
    "reports", "setup", "testing", "api", "cli", "__main__",
)  # fmt: skip
"""The house, in the order in which things are handed on: a file imports only from its own folder and those before."""

PURE = (
    "core", "verdicts/links.py", "verdicts/claims.py", "verdicts/match.py", "verdicts/resolving.py",
    "verdicts/conditions.py", "verdicts/rules.py", "verdicts/classify.py", "plans/limits.py",
    "plans/changes.py", "plans/findings.py", "runs/guard.py", "rails/gates/judge.py", "rails/gates/records.py",
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
    "runs/stores/journal.py": "appends to the tool's own journal",
    "runs/stores/lease.py": "holds the tool's own lease",
}
STORE_USERS = ("runs", "setup", "testing")
"""Folders that know the store: what writes, what opens it, and what checks its promises."""
WRITES = {
    "insert_one", "insert_many", "update_one", "update_many", "replace_one", "delete_one", "delete_many", "bulk_write",
    "find_one_and_update", "find_one_and_replace", "find_one_and_delete", "drop_collection", "drop_database",
    "create_index", "create_collection", "rename_collection",
}  # fmt: skip

COLUMNAR = (
    "verdicts/links.py", "verdicts/claims.py", "verdicts/match.py", "verdicts/conditions.py", "verdicts/classify.py",
)  # fmt: skip
COLUMN_OPERATIONS = {
    "alias", "all_horizontal", "agg", "any_horizontal", "cast", "coalesce", "col", "collect_schema", "concat",
    "concat_str", "cum_sum", "drop", "fill_null", "filter", "group_by", "is_in", "is_null", "join", "len", "lit", "max",
    "max_horizontal", "min", "min_horizontal", "n_unique", "otherwise", "over", "rename", "select", "starts_with",
    "sum", "sum_horizontal", "then", "unique", "when", "with_columns",
}  # fmt: skip
"""Operations seen to give the same on DuckDB, Polars, pandas and Spark."""
PLAIN_METHODS = {
    "append", "extend", "get", "items", "join", "keys", "names", "partition", "replace", "split", "update", "values",
}  # fmt: skip
"""Methods of lists, dictionaries and text, which never reach an engine."""
AGGREGATES = {"alias", "cast", "col", "len", "max", "min", "n_unique", "sum"}
WINDOWED = {"cum_sum", "len", "max", "min", "n_unique", "sum"}

CODE_LINES_MAX = 60
FILE_LINES_MAX = 600
POSITIONAL_MAX = 2
ARGUMENTS_MAX = 6
DOOR_NAMES_MAX = 10
TWICE_PUBLIC: dict[str, str] = {}
"""Public names of more than one place, with the reason; the list may only shrink."""
GIVEN_SIGNATURES = {
    "convert": "click calls it",
    "settings_customise_sources": "pydantic calls it",
    "payment_reference": "the order is Request Network's own",
    "no_progress": "every reader calls it, once per piece of work",
    "take_snapshot": "a run has six inputs, and somebody may watch it",
    "verify_webhook": "provider, headers, body, secret: the order that the design gives users",
}
"""Functions whose positional arguments are not ours to choose, with the reason."""
HEAVY = {"pandas", "web3", "duckdb", "pyarrow", "polars", "pymongo", "numpy", "narwhals", "mongomock"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def files_of(part: str) -> list[Path]:
    """The files of one folder or module of the package, named by its path in it."""
    place = PACKAGE / part
    if place.suffix == ".py":
        return [place]
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def parts() -> list[str]:
    """Every module and folder of the package."""
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    return sorted(found - {"__init__"})


def where(path: Path, node: ast.AST) -> str:
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
    return f"{shown}:{getattr(node, 'lineno', 1)}"


def imports(path: Path) -> Iterator[tuple[ast.AST, str]]:
    """Every imported module as a dotted name, wherever the import stands."""
    for node in ast.walk(tree_of(path)):
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


def calls(path: Path) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the last name of what is called."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                yield node, node.func.attr
            elif isinstance(node.func, ast.Name):
                yield node, node.func.id


def functions(tree: ast.AST, *, public: bool = False, in_class: bool = False) -> Iterator[tuple[Function, bool]]:
    """Every function with whether it is a method; ``public`` leaves out private and nested ones."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            if not public or not node.name.startswith("_") or node.name == "__init__":
                yield node, in_class
            if not public:
                yield from functions(node)
        elif isinstance(node, ast.ClassDef):
            if not public or not (node.name.startswith("_") or is_protocol(node)):
                yield from functions(node, public=public, in_class=True)
        elif not isinstance(node, ast.expr):
            yield from functions(node, public=public, in_class=in_class)


def is_protocol(node: ast.ClassDef) -> bool:
    """Whether a class only describes what others have; its members are documented where they are."""
    return any(getattr(base, "id", getattr(base, "attr", "")) == "Protocol" for base in node.bases)


def is_command(function: Function) -> bool:
    """Whether click calls it: then its arguments are the command's options, by name."""
    return any(
        isinstance(name, ast.Attribute | ast.Name)
        and (name.attr if isinstance(name, ast.Attribute) else name.id) in ("command", "group", "option", "argument")
        for decorator in function.decorator_list
        for name in ast.walk(decorator)
    )


def code_lines(function: Function) -> int:
    """Lines of code: no docstring, no blank lines."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return sum(1 + (node.end_lineno or node.lineno) - node.lineno for node in body)


def none(problems: Iterable[str]) -> None:
    found = sorted(problems)
    assert not found, "\n" + "\n".join(found)


# Directions and purity


def modules() -> dict[str, Path]:
    """Every file of the package by its dotted name; a folder's name is its front door."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }


def imported(path: Path, names: Collection[str]) -> Iterator[tuple[ast.AST, str, str]]:
    """The modules of the package that a file imports, each with the name that is taken from it."""
    for node in ast.walk(tree_of(path)):
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
    assert list(places_files(path)) == []


# Providers


PROVIDER_FOLDERS = sorted(
    path.name for path in (PACKAGE / "sources" / "providers").iterdir() if (path / "provider.py").exists()
)
KNOW_PROVIDERS = ("simulation", "setup/example.py")
"""What stands in for the world plays each provider by its name; the example file shows the built-in ones."""


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
        if own.startswith(f"sources/providers/{name}/"):
            continue
        word = re.compile(rf"(?<![\w/-]){name}(?![\w/-]| §)")
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


# The columnar code


def foreign_operations(path: Path) -> Iterator[str]:
    for node, name in calls(path):
        if isinstance(node.func, ast.Attribute) and name not in COLUMN_OPERATIONS | PLAIN_METHODS:
            yield f"{where(path, node)} uses .{name}()"


def inexact_arithmetic(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(
            node.op, ast.Mod | ast.Div | ast.FloorDiv | ast.Pow | ast.MatMult
        ):
            yield f"{where(path, node)} uses {type(node.op).__name__}"


def computed_aggregates(path: Path) -> Iterator[str]:
    """On pandas a condition inside ``agg`` is ignored without an error: columns first, then a plain sum."""
    found = [node for node, name in calls(path) if name == "agg"]
    for part in (part for node in found for given in [*node.args, *node.keywords] for part in ast.walk(given)):
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr not in AGGREGATES:
            yield f"{where(path, part)} calls .{part.func.attr}() inside agg"
        if isinstance(part, ast.BinOp | ast.Compare | ast.UnaryOp | ast.IfExp):
            yield f"{where(path, part)} computes inside agg"


def odd_windows(path: Path) -> Iterator[str]:
    """``first().over`` and ``rank`` differ between engines: a row number is a cumulative sum of 1."""
    for node, name in calls(path):
        if name == "over" and isinstance(node.func, ast.Attribute):
            inner = node.func.value
            is_plain = isinstance(inner, ast.Call) and getattr(inner.func, "attr", "") in WINDOWED
            if not is_plain:
                yield f"{where(path, node)} .over() follows {ast.unparse(inner)[:60]}"


COLUMN_RULES = (foreign_operations, inexact_arithmetic, computed_aggregates, odd_windows)


@pytest.mark.parametrize("rule", COLUMN_RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("part", COLUMNAR)
def test_the_columnar_modules_keep_to_what_means_the_same_on_every_engine(
    part: str, rule: Callable[[Path], Iterator[str]]
) -> None:
    [path] = files_of(part)
    used = [name for _, name in calls(path) if name in COLUMN_OPERATIONS - PLAIN_METHODS]
    assert len(used) > 10, f"{part} is no columnar module"
    none(rule(path))


@pytest.mark.parametrize(
    "code",
    [
        'frame.with_columns(nw.col("a").rank())',
        'frame.select(nw.col("a").map_batches(f))',
        'frame.unpivot(on="a")',
        'frame.filter(nw.col("a") % 2 == 0)',
        'frame.select(nw.col("a") / nw.col("b"))',
        'frame.select(nw.col("a") // 2)',
        'frame.select(nw.col("at").dt.timestamp())',
        'frame.select(nw.col("at").dt.total_seconds())',
        'frame.group_by("k").agg(nw.when(nw.col("a") > 1).then(nw.col("b")).sum())',
        'frame.group_by("k").agg(nw.col("b").filter(nw.col("a") > 1).sum())',
        'frame.group_by("k").agg((nw.col("b") - nw.col("a")).sum())',
        'frame.group_by("k").agg(total=(nw.col("b") > 1).sum())',
        'frame.with_columns(nw.col("a").first().over("k"))',
        'frame.with_columns((nw.col("a") + 1).over("k"))',
        "frame.collect().rows()",
        "frame.to_native().apply(f)",
        'frame.select(nw.col("a").round(2))',
    ],
)
def test_an_operation_that_engines_disagree_on_is_noticed(code: str, tmp_path: Path) -> None:
    path = tmp_path / "match.py"
    path.write_text(code)
    assert [problem for rule in COLUMN_RULES for problem in rule(path)]


# Sizes and words


@pytest.mark.parametrize("part", parts())
def test_functions_and_files_stay_small(part: str) -> None:
    none(
        f"{where(path, function)} {function.name} has {code_lines(function)} lines of code"
        for path in files_of(part)
        for function, _ in functions(tree_of(path))
        if code_lines(function) > CODE_LINES_MAX
    )
    none(
        f"{path.relative_to(ROOT)} has {lines} lines"
        for path in files_of(part)
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES_MAX
    )


@pytest.mark.parametrize("part", parts())
def test_public_functions_take_few_arguments(part: str) -> None:
    problems = []
    for path in files_of(part):
        for function, is_method in functions(tree_of(path), public=True):
            if is_command(function) or function.name in GIVEN_SIGNATURES:
                continue
            positional = [*function.args.posonlyargs, *function.args.args]
            is_static = any(getattr(each, "id", "") == "staticmethod" for each in function.decorator_list)
            count = len(positional) - (1 if is_method and not is_static else 0)
            # A function of api takes its command's options, by name.
            total = count if part == "api" else count + len(function.args.kwonlyargs)
            if count > POSITIONAL_MAX or (total > ARGUMENTS_MAX and function.name != "__init__"):
                problems.append(f"{where(path, function)} {function.name}: {count} positional, {total} in all")
    none(problems)


def test_no_function_is_more_complex_than_it_was() -> None:
    """After a function was made simpler, ``.venv/bin/python -m tests.support.complexity`` writes the list anew."""
    found, kept = complexity.found(complexity.COMPLEXITY_MAX), complexity.kept()
    none(
        f"{name}: complexity {found.get(name, 'fine')}; tests/too_complex.json says {kept.get(name, 'at most 12')}"
        for name in {*found, *kept}
        if found.get(name) != kept.get(name)
    )


def test_a_function_that_is_too_complex_is_noticed(tmp_path: Path) -> None:
    branches = "\n".join(f"        if x == {number}: return {number}" for number in range(complexity.COMPLEXITY_MAX))
    (tmp_path / "odd.py").write_text(f"class Odd:\n    def many(self, x):\n{branches}\n")
    assert complexity.found(complexity.COMPLEXITY_MAX, package=tmp_path) == {f"{tmp_path.name}/odd.py: Odd.many": 13}


def test_a_public_name_means_one_thing() -> None:
    """A command and a function of ``api`` bear the name of what they call; nothing else is called as another thing."""
    places: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in tree_of(path).body:
            if not isinstance(node, ast.ClassDef | Function) or node.name.startswith("_"):
                continue
            is_api = path.parent == PACKAGE / "api" and path.stem not in ("common", "choosing")
            if isinstance(node, Function) and (is_api or is_command(node)):
                continue
            places.setdefault(node.name, []).append(where(path, node))
    twice = {name: found for name, found in places.items() if len(found) > 1}
    none(f"{name}: {', '.join(found)}" for name, found in twice.items() if name not in TWICE_PUBLIC)
    none(f"{name} is one thing now: take it from TWICE_PUBLIC" for name in TWICE_PUBLIC if name not in twice)


@pytest.mark.parametrize("part", parts())
def test_every_public_name_has_a_docstring(part: str) -> None:
    problems = []
    for path in files_of(part):
        tree = tree_of(path)
        if tree.body and ast.get_docstring(tree) is None:
            problems.append(f"{path.relative_to(ROOT)} has no docstring")
        for function, _ in functions(tree, public=True):
            if function.name != "__init__" and ast.get_docstring(function) is None:
                problems.append(f"{where(path, function)} {function.name} has no docstring")
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and ast.get_docstring(node) is None:
                problems.append(f"{where(path, node)} {node.name} has no docstring")
    none(problems)


def tracked_text() -> Iterator[tuple[str, str]]:
    """Name and text of every file that is, or could be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        try:
            yield name, (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # no text, or deleted and not committed yet


def test_nothing_committed_names_this_machine_a_registry_or_unfinished_work() -> None:
    # Written in pieces, so that this file does not hold what it looks for.
    hosts = "|".join(("pypi" + r"\.org", "python" + "hosted", "npm" + r"js\.(?:org|com)", "deb" + r"\.debian"))
    folders = "|".join(("wo" + "rk", "ro" + "ot", "fa" + "rm", "ho" + "me"))
    forbidden = {
        "a registry's address": re.compile(hosts),
        "a path of one machine": re.compile(rf"(?<![\w.~}}-])/(?:{folders})/\w"),
        "a folder beside the repository": re.compile(r"\.\./" + "shared"),
        "unfinished work": re.compile(r"\b(?:" + "TO" + "DO|FIX" + r"ME)\b"),
    }
    none(
        f"{name}:{text.count(chr(10), 0, found.start()) + 1} holds {what}: {found[0]!r}"
        for name, text in tracked_text()
        for what, pattern in forbidden.items()
        if (found := pattern.search(text))
    )


WRITTEN_INTO_JOURNALS = "somebody wrote to the row after this run did"
"""Stands in the journals of earlier runs, word for word."""


def test_texts_are_plain() -> None:
    vague = re.compile(r"\b(?:" + "some" + "body|who" + "ever|any" + r"body|to be h" + r"ad)\b", re.IGNORECASE)
    none(
        f"{name}:{text.count(chr(10), 0, found.start()) + 1} says {found[0]!r}: say who, or leave it out"
        for name, text in tracked_text()
        if name.startswith(("recon/", "docs/")) or name == "README.md"
        for found in [vague.search(text.replace(WRITTEN_INTO_JOURNALS, ""))]
        if found
    )


def test_constraints_pin_every_requirement_with_a_hash() -> None:
    for path in sorted(ROOT.glob("constraints*.txt")):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        none(f"{path.name}: {line[:60]}" for line in lines if "==" not in line or "--hash=sha256:" not in line)


@pytest.mark.parametrize(
    ("extra", "file"),
    [("", "constraints.txt"), ("test", "constraints-test.txt"), ("spark", "constraints-spark.txt")],
)
def test_every_dependency_is_pinned(extra: str, file: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"].get(extra, [])]
    pinned = dict(re.findall(r"^([a-z0-9._-]+)==([^ ]+)", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE))
    none(
        f"{file} lacks {requirement}: run scripts/lock"
        for requirement in map(Requirement, wanted)
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0.dev0"))
    )


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    words = {"skip", "skipif", "xfail", "importorskip"}
    none(
        f"{where(path, node)} uses {node.attr}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr in words
    )


# Start-up


def loaded_after(code: str) -> set[str]:
    report = "import sys; sys.stderr.write('loaded ' + ' '.join(sorted({m.split('.')[0] for m in sys.modules})))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(ran.stderr.rpartition("loaded ")[2].split())


def test_importing_the_package_costs_next_to_nothing() -> None:
    assert loaded_after("import recon") & HEAVY == set()


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['recon', '--help']\nfrom recon.cli import main\ntry: main()\nexcept SystemExit: pass"
    )
    loaded = loaded_after(code)
    assert "click" in loaded
    assert loaded & (HEAVY | {"pydantic", "rich", "httpx", "jinja2"}) == set()
