"""The published schemas are those of the records, real files fit them, and files of earlier versions fit and load."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

import recon
from recon.core.tables import TABLES
from recon.core.times import parse_iso
from recon.plans.approvals import DecisionRecords
from recon.plans.file import load_plan
from recon.plans.history import load_history
from recon.rails.flags.journal import FlagJournal
from recon.rails.flags.plan import load_flag_plan
from recon.rails.gates.sample import load_sample
from recon.runs.stores.journal import FileJournal, verify_journal
from recon.snapshots.sealed import open_snapshot
from tests.support.artefacts import KEPT, ROOT, documents, make_artefacts

FOLDER: Final = ROOT / "docs" / "schemas"
VERSIONS: Final = sorted(path.name for path in KEPT.iterdir())
KEPT_LATER: Final = {"case.v1"}
"""Schemas of files that this version reads and does not write."""


def maker() -> ModuleType:
    """The script that makes the schemas, as a module."""
    loader = importlib.machinery.SourceFileLoader("schemas_script", str(ROOT / "scripts" / "schemas"))
    made = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader, origin=loader.path))
    made.__file__ = loader.path
    loader.exec_module(made)
    return made


def validators() -> dict[str, Draft202012Validator]:
    """A validator for each kind and version, ``plan.v1``."""
    return {
        path.name.removesuffix(".schema.json"): Draft202012Validator(json.loads(path.read_bytes()))
        for path in FOLDER.glob("*.json")
    }


def name_of(kind: str, document: dict[str, Any]) -> str:
    return f"{kind}.v{document.get('format', document.get('v', 1))}"


def misfits(folder: Path) -> Iterator[str]:
    known = validators()
    for kind, place, document in documents(folder):
        for error in known[name_of(kind, document)].iter_errors(document):
            yield f"{place}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefacts")
    make_artefacts(folder)
    return folder


def test_the_published_schemas_are_those_that_are_made() -> None:
    held = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix == ".json"}
    made = maker().made_schemas()
    assert sorted(held) == sorted(made), "run scripts/schemas"
    assert [name for name in made if made[name] != held[name]] == [], "run scripts/schemas"


def test_every_schema_is_one_and_is_named_for_its_kind_and_version() -> None:
    for name, validator in validators().items():
        Draft202012Validator.check_schema(validator.schema)
        kind, _, version = name.partition(".v")
        assert validator.schema["$id"] == f"urn:recon:schema:{kind}:{version}"
        assert validator.schema["description"]


def test_real_files_fit(artefacts: Path) -> None:
    assert list(misfits(artefacts)) == []
    found = {name_of(kind, document) for kind, _, document in documents(artefacts)}
    assert found == set(validators()) - KEPT_LATER, "each kind is made by a person in this test"


def test_a_key_that_nobody_knows_and_one_that_is_missing_are_found(artefacts: Path) -> None:
    known = validators()
    seen: dict[str, dict[str, Any]] = {name_of(kind, document): document for kind, _, document in documents(artefacts)}
    for name, document in seen.items():
        validator = known[name]
        assert not validator.is_valid({**document, "further": 1}), name
        assert not validator.is_valid({}), name
        lacking = [key for key in document if not validator.is_valid({k: v for k, v in document.items() if k != key})]
        assert lacking, f"{name}: no key is needed"
        for key in lacking:
            assert not validator.is_valid({**document, key: object()}) or key == "body", (name, key)


def test_an_unsealed_case_fits_the_schema_of_its_version(artefacts: Path) -> None:
    case = json.loads((artefacts / "case.json").read_bytes())
    older = {name: value for name, value in case.items() if name != "seal"} | {"format": 1}
    known = validators()
    assert known["case.v1"].is_valid(older)
    assert not known["case.v1"].is_valid(case)
    assert not known["case.v2"].is_valid(older)


def test_tables_and_schemas_name_the_same_columns() -> None:
    shown = json.loads((FOLDER / "case.v2.schema.json").read_bytes())["$defs"]
    assert set(shown["payments_row"]["properties"]) == set(TABLES["payments"])


@pytest.mark.parametrize("version", VERSIONS)
def test_files_of_an_earlier_version_fit(version: str) -> None:
    assert list(misfits(KEPT / version)) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_files_of_an_earlier_version_load(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kept"
    monkeypatch.chdir(tmp_path)
    shutil.copytree(KEPT / version, folder)
    plan = load_plan(folder / "plan.json")
    assert [load_plan(folder / name).kind for name in ("decided.json", "undo.json")] == ["correction", "undo"]
    assert plan.snapshot == open_snapshot(folder / "snapshot").digest
    again = recon.plan(folder / "snapshot", out=folder / "again.json")
    assert {each.payment_id for each in again.changes} == {each.payment_id for each in plan.changes}
    case = recon.replay_case(folder / "case.json")
    assert case.judged is not None
    assert load_flag_plan(folder / "flags.json").recipe == "read-only"
    assert load_sample(folder / "sample.json").size == 2
    assert FlagJournal(folder / "flags-journal.ndjson").read()[0].kind == "intent"
    assert verify_journal(FileJournal(folder / "world")).is_whole
    assert load_history(folder).unreadable == load_history(folder).changed == 0
    now = parse_iso(plan.created_at)
    assert now is not None
    approved = DecisionRecords(folder / "decisions").approvals(plan, now=now)
    assert [str(each.person) for each in approved] == ["Ann"]


def test_files_of_every_version_that_was_released_are_kept() -> None:
    told = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\d+\.\d+\.\d+)", told, re.MULTILINE)
    assert released, "the changelog names what was released"
    assert set(released) - {recon.__version__} <= set(VERSIONS)
