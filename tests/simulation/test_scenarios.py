"""One file per verdict and per trap: a digest of its inputs, and what the tool says of them.

``pytest tests/simulation/test_scenarios.py --update-golden`` writes them anew. The inputs are planted from the
catalogue of the simulator; what the tool said must agree with their ``truth.ndjson``, which it never read.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from recon.core.model import Plan, Verdict
from recon.simulation import Truth, World, load_truth
from recon.simulation.scenarios import SCENARIOS
from recon.simulation.score import BENIGN, score
from recon.sources.recorded.world import load_world
from tests.support.scenarios import FOLDER, digest_of, kept, plant
from tests.support.worlds import merged, plan_of, plan_of_directory, said

NAMES = sorted(SCENARIOS)


def expected(name: str) -> dict[str, Any]:
    """What is kept of a scenario, without the digest of its inputs."""
    stored: dict[str, Any] = json.loads(kept(name).read_text(encoding="utf-8"))
    del stored["inputs"]
    return stored


def expected_of(plan: Plan, truths: tuple[Truth, ...]) -> dict[str, Any]:
    """What a plan says of some payments, in a form that a person can review."""
    ids = {truth.payment_id for truth in truths}
    return {
        "findings": [
            {"payment_id": row.payment_id, "findings": list(row.findings), "tier": row.tier, "reason": row.reason}
            for row in plan.findings
            if row.payment_id in ids
        ],
        "changes": [
            {
                "payment_id": row.payment_id,
                "tier": row.tier,
                "set": [{"path": item.path, "before": item.before, "after": item.after} for item in row.sets],
            }
            for row in plan.changes
            if row.payment_id in ids
        ],
    }


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every scenario as a world on disk, planted once."""
    folder = tmp_path_factory.mktemp("planted")
    return {name: plant(name, folder) for name in NAMES}


@pytest.fixture(scope="module")
def truths(planted: dict[str, Path]) -> dict[str, tuple[Truth, ...]]:
    return {name: load_truth(directory / "truth.ndjson") for name, directory in planted.items()}


@pytest.fixture(scope="module")
def plan(
    planted: dict[str, Path], truths: dict[str, tuple[Truth, ...]], tmp_path_factory: pytest.TempPathFactory
) -> Plan:
    """All scenarios judged at once; one small world after the other would take minutes."""
    together = merged(load_world(planted[name]) for name in NAMES)
    everything = tuple(truth for several in truths.values() for truth in several)
    return plan_of(World(together, everything), tmp_path_factory.mktemp("scenarios"))


@pytest.fixture(scope="module", autouse=True)
def updated(request: pytest.FixtureRequest) -> None:
    """With ``--update-golden`` everything is written anew, once, before anything is compared."""
    if not request.config.getoption("--update-golden"):
        return
    planted, truths, plan = map(request.getfixturevalue, ("planted", "truths", "plan"))
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name in NAMES:
        found = {"inputs": digest_of(planted[name]), **expected_of(plan, truths[name])}
        kept(name).parent.mkdir(parents=True, exist_ok=True)
        kept(name).write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def test_there_is_a_file_for_every_verdict_and_every_trap(truths: dict[str, tuple[Truth, ...]]) -> None:
    assert sorted(path for path in FOLDER.rglob("*") if path.is_file()) == sorted(map(kept, NAMES))
    assert {truth.verdict for several in truths.values() for truth in several} == set(Verdict)


@pytest.mark.parametrize("name", NAMES)
def test_the_inputs_are_those_that_were_reviewed(name: str, planted: dict[str, Path]) -> None:
    assert digest_of(planted[name]) == json.loads(kept(name).read_text(encoding="utf-8"))["inputs"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_is_true_and_as_it_was(name: str, plan: Plan, truths: dict[str, tuple[Truth, ...]]) -> None:
    found = expected_of(plan, truths[name])
    assert expected(name) == json.loads(json.dumps(found))
    said_of = {row["payment_id"]: row["findings"][0] for row in found["findings"]}
    for truth in truths[name]:
        assert said_of.get(truth.payment_id) == truth.verdict or (
            truth.verdict in BENIGN and truth.payment_id not in said_of
        )


def test_all_of_it_together_agrees_with_the_truth(plan: Plan, truths: dict[str, tuple[Truth, ...]]) -> None:
    found = score(plan, [truth for several in truths.values() for truth in several])
    assert found.is_perfect, said(found)


@pytest.mark.parametrize("name", ["webhook_lost", "two_invoices_one_address", "twin_request_paid", "completed"])
def test_a_scenario_alone_is_judged_as_among_the_others(
    name: str, planted: dict[str, Path], truths: dict[str, tuple[Truth, ...]], tmp_path: Path
) -> None:
    alone = plan_of_directory(planted[name], tmp_path)
    assert expected(name) == json.loads(json.dumps(expected_of(alone, truths[name])))
