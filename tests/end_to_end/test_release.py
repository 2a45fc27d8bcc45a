"""A release: the same bytes twice, whole, without a trace of this machine, and papers that say what is true."""

from __future__ import annotations

import hashlib
import importlib
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from recon.core.version import __version__
from tests.test_house import ROOT

WHEEL: Final = f"recon_toolkit-{__version__}-py3-none-any.whl"
SDIST: Final = f"recon_toolkit-{__version__}.tar.gz"


@pytest.fixture(scope="module")
def parts() -> Iterator[tuple[ModuleType, ModuleType, ModuleType]]:
    """The modules of ``scripts/releasing``: licences, archives, papers."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from releasing import archives, licences, papers

        yield licences, archives, papers
    finally:
        sys.path.remove(str(ROOT / "scripts"))


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A release as the script makes it, and what it said."""
    out = tmp_path_factory.mktemp("release") / "out"
    ran = subprocess.run(
        [sys.executable, "-m", "releasing", str(out), "--tag"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT / 'scripts'}:{ROOT}", "HOME": str(out.parent)},
    )  # fmt: skip
    if "files differ from the last commit" in ran.stderr:
        return out, ran.stdout
    assert ran.returncode == 0, ran.stderr
    return out, ran.stdout


def test_a_release_is_archives_and_their_papers(released: tuple[Path, str]) -> None:
    out, _ = released
    assert sorted(path.name for path in out.iterdir()) == [
        "SHA256SUMS", "licences.txt", "provenance.intoto.json", WHEEL, SDIST, "sbom.cdx.json",
    ]  # fmt: skip
    for line in (out / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest


def test_the_wheel_says_what_it_is(released: tuple[Path, str]) -> None:
    with zipfile.ZipFile(released[0] / WHEEL) as wheel:
        names = wheel.namelist()
        told = wheel.read(f"recon_toolkit-{__version__}.dist-info/METADATA").decode()
        points = wheel.read(f"recon_toolkit-{__version__}.dist-info/entry_points.txt").decode()
        moments = {each.date_time for each in wheel.infolist()}
    assert "License-Expression: Apache-2.0" in told
    assert f"Version: {__version__}\n" in told
    assert "Classifier: Typing :: Typed" in told
    assert "\nHome-page" not in told and "\nProject-URL" not in told, "there is no public address"
    assert "recon = recon.cli:main" in points
    assert {"recon/py.typed", "recon/reports/notebooks/columns.json"} <= set(names)
    assert len(moments) == 1


def test_an_sdist_holds_what_its_own_tests_need(released: tuple[Path, str]) -> None:
    with tarfile.open(released[0] / SDIST) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
        owners = {(each.uid, each.uname, each.mtime) for each in sdist.getmembers()}
    assert {
        "tests/conftest.py", "tests/support/builders.py", "tests/kept/0.1.0/plan.json", "scripts/test", "scripts/setup",
        "constraints-test.txt", "CHANGELOG.md", "docs/architecture.md", "notebooks/01-first-look.ipynb", "LICENSE",
        "tests/support/chain/package-lock.json",
    } <= names  # fmt: skip
    assert not [name for name in names if "node_modules" in name or "__pycache__" in name]
    assert len(owners) == 1


def test_the_papers_name_the_archives_and_all_that_is_pinned(
    released: tuple[Path, str], parts: tuple[ModuleType, ModuleType, ModuleType]
) -> None:
    out, _ = released
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (out / WHEEL, out / SDIST)}
    provenance = json.loads((out / "provenance.intoto.json").read_bytes())
    assert {each["name"]: each["digest"]["sha256"] for each in provenance["subject"]} == sums
    assert provenance["predicateType"] == "https://slsa.dev/provenance/v1"
    bom = json.loads((out / "sbom.cdx.json").read_bytes())
    listed = {each["name"]: each["version"] for each in bom["components"]}
    assert listed == {**parts[0].pinned(ROOT / "constraints.txt"), "echarts": parts[2].echarts_version()}
    refs = {each["bom-ref"] for each in bom["components"]} | {bom["metadata"]["component"]["bom-ref"]}
    assert {each["ref"] for each in bom["dependencies"]} == refs
    assert {needed for each in bom["dependencies"] for needed in each["dependsOn"]} <= refs


def test_what_was_not_done_is_said(released: tuple[Path, str]) -> None:
    said = released[1]
    if said:  # A tree with changes gets no tag, and so no such word.
        assert "No signing key is configured" in said or "no git checkout" in said
        assert "Known weaknesses were not asked for" in said


def test_the_notices_are_those_of_the_pinned_packages(parts: tuple[ModuleType, ModuleType, ModuleType]) -> None:
    licences, _, papers = parts
    found = licences.packages(ROOT / "constraints.txt")
    made = licences.notices(found, echarts=papers.echarts_version())
    assert (ROOT / "THIRD_PARTY_NOTICES.md").read_text(encoding="utf-8") == made, "run scripts/release --notices"
    assert licences.refused(found) == []


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-test.txt"])
def test_every_pinned_package_has_a_licence_that_is_allowed(
    name: str, parts: tuple[ModuleType, ModuleType, ModuleType]
) -> None:
    assert parts[0].refused(parts[0].packages(ROOT / name)) == []


@pytest.mark.parametrize(
    ("expression", "is_allowed"),
    [
        ("MIT", True), ("MIT OR GPL-3.0-only", True), ("MIT AND GPL-3.0-only", False), ("GPL-3.0-or-later", False),
        ("", False), ("(Apache-2.0 OR BSD-2-Clause)", True), ("Proprietary", False),
    ],
)  # fmt: skip
def test_a_licence_that_is_not_listed_is_refused(
    expression: str, is_allowed: bool, parts: tuple[ModuleType, ModuleType, ModuleType]
) -> None:
    package = parts[0].Package("x", "1", expression, "", ())
    assert (parts[0].refused([package]) == []) is is_allowed


def test_a_file_that_is_missing_strange_or_of_this_machine_is_told(
    tmp_path: Path, released: tuple[Path, str], parts: tuple[ModuleType, ModuleType, ModuleType]
) -> None:
    out, archives = released[0], parts[1]
    changed: Any = {name: data for name, data in archives.contents(out / WHEEL) if name != "recon/py.typed"}
    changed["other/module.py"] = f"# made in {ROOT}".encode()
    spoiled = tmp_path / WHEEL
    with zipfile.ZipFile(spoiled, "w") as wheel:
        for name, data in changed.items():
            wheel.writestr(name, data)
    told = archives.faults(out / SDIST, spoiled, version=__version__)
    assert "the wheel lacks recon/py.typed" in told
    assert "the wheel holds other/module.py, which is no part of the package" in told
    assert f"the wheel's other/module.py names {ROOT}" in told
    assert archives.faults(out / SDIST, out / WHEEL, version=__version__) == []


def test_a_version_without_a_day_in_the_changelog_is_no_release(
    parts: tuple[ModuleType, ModuleType, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    with pytest.raises(parts[0].ReleaseError, match=r"no line '## 9\.9\.9 \(YYYY-MM-DD\)'"):
        parts[1].release_moment("9.9.9")
    assert parts[1].release_moment("0.1.0") == 1_795_219_200
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12")
    assert parts[1].release_moment("9.9.9") == 12


def test_silence_about_weaknesses_is_no_word_that_there_are_none(
    parts: tuple[ModuleType, ModuleType, ModuleType],
) -> None:
    from releasing import advisories

    skipped = {"name": "click", "skip_reason": "not found"}
    clean = {"name": "rich", "version": "1", "vulns": []}
    weak = {"name": "jinja2", "version": "3.1.2", "vulns": [{"id": "X"}]}
    for answer in ({}, {"dependencies": [skipped]}):
        assert "nothing is known" in advisories.learned(answer, service="pypi")
    assert advisories.learned({"dependencies": [clean, skipped]}, service="osv") == (
        "pip-audit asked osv about 1 packages and knows no weakness; 1 could not be asked about: click."
    )
    with pytest.raises(parts[0].ReleaseError, match=r"jinja2 3\.1\.2"):
        advisories.learned({"dependencies": [clean, weak]}, service="osv")


@pytest.fixture
def installs(parts: tuple[ModuleType, ModuleType, ModuleType]) -> ModuleType:
    """The module that tries installations."""
    return importlib.import_module("releasing.installs")


def _program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def test_a_python_that_cannot_make_environments_is_passed_over_for_one_that_can(
    installs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _program(tmp_path / "bin" / "python3.99", "exit 127")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert installs.python_of("3.99") is None
    whole = _program(tmp_path / "versions" / "3.99.1" / "bin" / "python", f"echo {tmp_path}/whole")
    assert whole.exists()
    assert installs.python_of("3.99") == tmp_path / "whole"


def test_an_installation_whose_plan_differs_fails_and_a_python_that_is_missing_is_said(
    installs: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def installed(version: str, tool: str, *_: object, **__: object) -> Any:
        return installs.Installed(
            version, tool, 1.0, 330.0, "b" * 64 if (version, tool) == ("3.12", "pip") else "a" * 64
        )

    monkeypatch.setattr(installs, "build", lambda out, **_: (out, out))
    monkeypatch.setattr(installs, "_run", lambda *_, **__: None)
    monkeypatch.setattr(installs, "_installed", installed)
    monkeypatch.setattr(installs, "python_of", {"3.11": tmp_path, "3.12": tmp_path}.get)
    with pytest.raises(installs.InstallError, match=r"3\.12.*pip.*differs"):
        list(installs.try_all(tmp_path))
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(installs, "python_of", {"3.13": tmp_path}.get)
    (tmp_path / "out").rmdir()
    assert [one.tool for one in installs.try_all(tmp_path)] == list(installs.TOOLS)
    assert "Python 3.14  is not on this machine: nothing was tried with it." in capsys.readouterr().out
