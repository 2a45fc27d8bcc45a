"""What no linter knows of how the code is written: columns, sizes, words, names, pinned requirements, start-up."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import complexity
from tests.support.house import COLUMNAR, PACKAGE, ROOT, calls, files_of, nodes_of, none, parts, tree_of, where

COLUMN_OPERATIONS = {
    "alias", "all_horizontal", "agg", "any_horizontal", "cast", "coalesce", "col", "collect_schema", "concat",
    "concat_str", "cum_sum", "drop", "fill_null", "filter", "group_by", "is_in", "is_null", "join", "len", "lit", "max",
    "max_horizontal", "min", "min_horizontal", "n_unique", "otherwise", "over", "rename", "select", "starts_with",
    "sum", "sum_horizontal", "then", "unique", "when", "with_columns",
}  # fmt: skip
"""Operations seen to give the same on DuckDB, Polars, pandas and Spark."""
PLAIN_METHODS = {
    "append", "extend", "get", "items", "join", "keys", "names", "partition", "replace", "split", "update", "values",
    "is_polars", "keep", "keep_any",
}  # fmt: skip
"""Methods of lists, dictionaries and text, which never reach an engine; and what an engine is asked or told."""
AGGREGATES = {"alias", "cast", "col", "len", "max", "min", "n_unique", "sum"}
WINDOWED = {"cum_sum", "len", "max", "min", "n_unique", "sum"}
CODE_LINES_MAX = 60
FILE_LINES_MAX = 600
POSITIONAL_MAX = 2
ARGUMENTS_MAX = 6
TWICE_PUBLIC: dict[str, str] = {}
"""Public names of more than one place, with the reason; the list may only shrink."""
GIVEN_SIGNATURES = {
    "convert": "click calls it",
    "settings_customise_sources": "pydantic calls it",
    "payment_reference": "the order is Request Network's own",
    "no_progress": "every reader calls it, once per piece of work",
    "plan_page": "a page has six inputs, and somebody may watch it",
    "take_snapshot": "a run has six inputs, and somebody may watch it",
    "verify_webhook": "provider, headers, body, secret: the order that the design gives users",
}
"""Functions whose positional arguments are not ours to choose, with the reason."""
HEAVY = {"pandas", "web3", "duckdb", "pyarrow", "polars", "pymongo", "numpy", "narwhals"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


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


# The columnar code


def foreign_operations(path: Path) -> Iterator[str]:
    for node, name in calls(path):
        if isinstance(node.func, ast.Attribute) and name not in COLUMN_OPERATIONS | PLAIN_METHODS:
            yield f"{where(path, node)} uses .{name}()"


def inexact_arithmetic(path: Path) -> Iterator[str]:
    for node in nodes_of(path):
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


def tracked_names() -> list[str]:
    """The files of the repository; of an unpacked sdist, those of which it says that it holds them."""
    if not (ROOT / ".git").exists():
        held = (ROOT / "recon_toolkit.egg-info" / "SOURCES.txt").read_text(encoding="utf-8").splitlines()
        return [name for name in held if not name.startswith("recon_toolkit.egg-info/")]
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [name for name in listed.stdout.split("\0") if name]


def tracked_text() -> Iterator[tuple[str, str]]:
    """Name and text of every file that is, or could be, committed."""
    for name in tracked_names():
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
    [
        ("", "constraints.txt"),
        ("test", "constraints-test.txt"),
        ("spark", "constraints-spark.txt"),
        ("connect-test", "constraints-connect.txt"),
        ("watch", "constraints-watch.txt"),
        ("otel", "constraints-otel.txt"),
    ],
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
        for node in nodes_of(path)
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


def test_joins_of_arrow_keep_one_order() -> None:
    """Arrow's threads give the rows of a join in any order, and a snapshot's digest is of its bytes."""

    def is_loose(node: ast.Call) -> bool:
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        threads = given.get("use_threads")
        return "join_type" in given and not (isinstance(threads, ast.Constant) and threads.value is False)

    none(where(path, call) for path in files_of("") for call, name in calls(path) if name == "join" and is_loose(call))
