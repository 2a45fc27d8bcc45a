"""One folder per verdict and per trap: its inputs, its truth, and what the tool says of it.

``pytest tests/simulation/test_scenarios.py --update-golden`` writes them anew. The inputs come from the catalogue of
the simulator; ``expected.json`` is what the tool said, and must agree with ``truth.ndjson``, which it never read.
"""

from __future__ import annotations

import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest

from recon.core.model import Plan, Verdict
from recon.simulation import Truth, World, load_truth, plant_world, write_world
from recon.simulation.catalogue import BREAKS, HEALTHY
from recon.simulation.score import BENIGN, score
from recon.sources.recorded.world import load_world
from tests.support.worlds import merged, plan_of, plan_of_directory, said

FOLDER = Path(__file__).parents[1] / "scenarios"
NAMES = sorted((*(plant.name for plant in HEALTHY), *BREAKS))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "expected.json"}


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
def update(request: pytest.FixtureRequest) -> bool:
    """Whether the folders are written anew; done once, before anything is compared."""
    if not request.config.getoption("--update-golden"):
        return False
    kept = {name: FOLDER / name / "expected.json" for name in NAMES}
    old = {name: path.read_bytes() for name, path in kept.items() if path.exists()}
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name in NAMES:
        write_world(plant_world(name, seed=zlib.crc32(name.encode())), FOLDER / name)
        if name in old:
            kept[name].write_bytes(old[name])
    return True


@pytest.fixture(scope="module")
def truths(update: bool) -> dict[str, tuple[Truth, ...]]:
    return {name: load_truth(FOLDER / name / "truth.ndjson") for name in NAMES}


@pytest.fixture(scope="module")
def plan(truths: dict[str, tuple[Truth, ...]], tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """All scenarios judged at once; one small world after the other would take minutes."""
    together = merged(load_world(FOLDER / name) for name in NAMES)
    everything = tuple(truth for several in truths.values() for truth in several)
    return plan_of(World(together, everything), tmp_path_factory.mktemp("scenarios"))


def test_there_is_a_folder_for_every_verdict_and_every_trap(truths: dict[str, tuple[Truth, ...]]) -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == NAMES
    assert {truth.verdict for several in truths.values() for truth in several} == set(Verdict)


@pytest.mark.parametrize("name", NAMES)
def test_the_inputs_are_those_of_the_catalogue(update: bool, name: str, tmp_path: Path) -> None:
    write_world(plant_world(name, seed=zlib.crc32(name.encode())), tmp_path)
    assert contents(FOLDER / name) == contents(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_is_true_and_as_it_was(
    update: bool, name: str, plan: Plan, truths: dict[str, tuple[Truth, ...]]
) -> None:
    path = FOLDER / name / "expected.json"
    found = expected_of(plan, truths[name])
    if update:
        path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(found))
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
    name: str, truths: dict[str, tuple[Truth, ...]], tmp_path: Path
) -> None:
    alone = plan_of_directory(FOLDER / name, tmp_path)
    assert json.loads((FOLDER / name / "expected.json").read_text()) == json.loads(
        json.dumps(expected_of(alone, truths[name]))
    )
