"""Simulated worlds: repeatable, well formed, with a truth for everything, and judged right."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import json_util

from recon.core.errors import UsageError
from recon.core.ids import payment_id_text, payment_reference, reference_topic
from recon.core.model import Verdict
from recon.core.registry import ERC20_TRANSFER, TRANSFER_WITH_REFERENCE_AND_FEE, load_registry
from recon.simulation import PLANTS, World, generate_world, load_breaks, load_truth, plant_world, write_world
from recon.simulation.catalogue import HEALTHY
from recon.simulation.documents import extended
from recon.simulation.oddities import ODDITIES
from recon.simulation.pairs import PAIRS, TWISTS
from recon.simulation.score import BENIGN, score
from recon.simulation.situation import Truth
from recon.sources.recorded.format import RecordedChain, block_hash
from tests.support.worlds import plan_of, said


@pytest.fixture(scope="module")
def week() -> World:
    """The demo's week."""
    return generate_world(payments=2_000, seed=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def chains_of(world: World) -> Iterator[RecordedChain]:
    return iter(world.recorded.chains.values())


# --------------------------------------------------------------------------------------------------------- generating


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("one", 8), ("again", 8), ("other", 9)):
        write_world(generate_world(payments=120, seed=seed), tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "again")
    assert contents(tmp_path / "one") != contents(tmp_path / "other")


def test_a_world_has_as_many_payments_as_were_asked_for(week: World) -> None:
    assert len(week.recorded.payments) == 2_000
    assert len(generate_world(payments=37, seed=1, breaks="none").recorded.payments) == 37
    assert generate_world(payments=0, seed=1).recorded.payments == []


def test_every_payment_has_one_id_and_one_truth(week: World) -> None:
    ids = [payment_id_text(document["_id"]) for document in week.recorded.payments]
    truths = [truth.payment_id for truth in week.truths]
    assert len(set(ids)) == len(ids) and len(set(truths)) == len(truths)
    extra = set(truths) - set(ids)
    assert set(ids) <= set(truths)
    assert all(key.startswith(("chain:", "provider:")) for key in extra)


def test_the_demo_week_holds_every_verdict_and_every_row_of_the_catalogue(week: World) -> None:
    assert {truth.verdict for truth in week.truths} == set(Verdict)
    assert set(PLANTS) - set(ODDITIES) <= {truth.planted for truth in week.truths}
    assert len([t for t in week.truths if t.verdict not in BENIGN]) < 0.2 * len(week.truths)


def test_the_demo_week_is_made_in_two_seconds_of_work() -> None:
    start = time.process_time()
    generate_world(payments=2_000, seed=2)
    assert time.process_time() - start < 2


def test_a_quiet_week_holds_nothing_that_needs_anybody() -> None:
    world = generate_world(payments=400, seed=5, breaks="none")
    assert {truth.verdict for truth in world.truths} <= {Verdict.IN_SYNC, Verdict.IN_TRANSIT, Verdict.ABANDONED}
    assert all(truth.sets is None for truth in world.truths)
    assert world.recorded.faults == ()


def test_breaks_are_planted_at_the_given_rates() -> None:
    world = generate_world(payments=1_000, seed=3, breaks={"webhook_lost": 0.2, "underpaid_open": 0.05})
    planted = Counter(truth.planted for truth in world.truths)
    assert planted["webhook_lost"] == 200 and planted["underpaid_open"] == 50
    assert set(planted) <= {"webhook_lost", "underpaid_open", *(plant.name for plant in HEALTHY)}


@pytest.mark.parametrize("name", sorted({*PLANTS, *(plant.name for plant in HEALTHY)}))
def test_every_row_of_the_catalogue_can_be_planted_alone(name: str, tmp_path: Path) -> None:
    world = plant_world(name, seed=11)
    plant = PLANTS.get(name) or next(plant for plant in HEALTHY if plant.name == name)
    truths = [truth for truth in world.truths if truth.planted == name]
    assert plant.verdict in {truth.verdict for truth in truths}
    assert all(truth.verdict in truth.findings for truth in world.truths)
    if plant.effect == "nothing":
        assert all(truth.sets is None for truth in truths)
    else:
        assert all(truth.sets for truth in truths)
    write_world(world, tmp_path)
    assert load_truth(tmp_path / "truth.ndjson") == world.truths


def test_every_verdict_can_be_planted_alone() -> None:
    assert {plant.verdict for plant in (*HEALTHY, *PLANTS.values())} == set(Verdict)


def test_a_pair_has_the_verdict_that_comes_first_and_both_findings() -> None:
    order = list(Verdict)
    twists = {twist.name: twist for twist in TWISTS}
    assert len(PAIRS) > 20
    for name, plant in PAIRS.items():
        first, second = (twists[part] for part in name.split("+"))
        assert order.index(first.verdict) < order.index(second.verdict)
        assert plant.verdict is first.verdict and second.verdict in plant.findings


@pytest.mark.parametrize(
    ("breaks", "said_so"),
    [({"no_such": 0.1}, "no_such"), ({"webhook_lost": 1.5}, "1.5"), ({"webhook_lost": True}, "True")],
)
def test_a_mixture_that_cannot_be_is_one_sentence(breaks: Any, said_so: str) -> None:
    with pytest.raises(UsageError, match=said_so):
        generate_world(payments=10, seed=1, breaks=breaks)


def test_a_world_of_less_than_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="-1 payments"):
        generate_world(payments=-1, seed=1)
    with pytest.raises(UsageError, match="no_such"):
        plant_world("no_such")


def test_a_breaks_file_is_read_and_a_bad_one_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "breaks.toml"
    path.write_text('webhook_lost = 0.01\n"hash_missing+escrow_unset" = 1\n')
    assert load_breaks(path) == {"webhook_lost": 0.01, "hash_missing+escrow_unset": 1.0}
    for content in ("webhook_lost = ", "nothing = 0.1", 'webhook_lost = "much"', "[webhook_lost]\nrate = 1"):
        path.write_text(content)
        with pytest.raises(UsageError, match=r"breaks\.toml"):
            load_breaks(path)
    with pytest.raises(UsageError, match="gone"):
        load_breaks(tmp_path / "gone.toml")


def test_a_truth_file_with_junk_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "truth.ndjson"
    write_world(plant_world("completed"), tmp_path)
    path.write_text(path.read_text() + '{"payment_id": "x", "verdict": "fine", "findings": [], "sets": null}\n')
    with pytest.raises(UsageError, match="line 2"):
        load_truth(path)
    with pytest.raises(UsageError, match="gone"):
        load_truth(tmp_path / "gone")


def test_an_earlier_world_leaves_nothing_behind(tmp_path: Path) -> None:
    write_world(generate_world(payments=60, seed=1), tmp_path)
    write_world(plant_world("abandoned"), tmp_path)
    assert not list(tmp_path.glob("chain-*")) and not (tmp_path / "faults.json").exists()


# -------------------------------------------------------------------------------------------------------- well formed


def test_documents_are_written_exactly_as_the_driver_writes_them(week: World) -> None:
    options = json_util.CANONICAL_JSON_OPTIONS
    for document in week.recorded.payments:
        assert json.dumps(extended(document)) == json_util.dumps(document, json_options=options)


def test_documents_show_what_is_known_of_stored_rows(week: World) -> None:
    documents = week.recorded.payments
    kinds = Counter(type(document["_id"]).__name__ for document in documents)
    assert kinds["ObjectId"] > 1_000 and kinds["str"] > 100
    assert any(isinstance(d["_id"], str) and len(d["_id"]) == 24 for d in documents), "text that looks like an ObjectId"
    amounts = {type(document["amount"].get("amount")).__name__ for document in documents}
    assert {"float", "int", "Int64", "Decimal128"} <= amounts
    assert {"request.network", "request-network", "request_network", "shkeeper"} <= {d["provider"] for d in documents}
    assert len({str(d["blockchain"].get("network")) for d in documents}) > 20
    for path in ("direction", "escrowState", "expiresAt", "disputed"):
        assert any(path not in document for document in documents)
    released = [d for d in documents if d.get("direction") == "out" and d.get("escrowState") == "released"]
    assert any(document["status"] == "completed" for document in released), "ISSUE-066"


def test_logs_are_what_a_chain_shows(week: World) -> None:
    for chain in chains_of(week):
        receipts = {receipt["transactionHash"]: receipt for receipt in chain.receipts}
        places = Counter((log["blockNumber"], log["logIndex"]) for log in chain.logs)
        assert max(places.values()) == 1
        for log in chain.logs:
            block = int(log["blockNumber"], 16)
            assert 0 < block <= chain.head and len(log["transactionHash"]) == 66
            if log["removed"]:
                assert log["transactionHash"] not in receipts
                continue
            assert log["blockHash"] == block_hash(chain.chain_id, block)
            receipt = receipts[log["transactionHash"]]
            assert receipt["blockNumber"] == log["blockNumber"] and receipt["status"] == "0x1"
            words, topics = (160, 2) if log["topics"][0] == TRANSFER_WITH_REFERENCE_AND_FEE else (32, 3)
            assert log["topics"][0] in (TRANSFER_WITH_REFERENCE_AND_FEE, ERC20_TRANSFER)
            assert len(log["data"]) == 2 + 2 * words and len(log["topics"]) == topics


def test_references_are_those_of_their_requests(week: World) -> None:
    topics = {log["topics"][1] for chain in chains_of(week) for log in chain.logs}
    paid = 0
    for document in week.recorded.payments:
        if not isinstance(document["metadata"], dict):
            continue
        ids = document["metadata"].get("requestNetwork", {})
        destination = document.get("derivedDestination", document["metadata"].get("derivedDestination"))
        if "salt" in ids and destination:
            reference = payment_reference(ids["requestId"], ids["salt"], destination["address"])
            assert ids["paymentReference"].removeprefix("0x") == reference
            paid += reference_topic(reference) in topics
    assert paid > 20


def test_the_chains_hold_what_must_not_move_a_tool(week: World) -> None:
    registry = load_registry()
    kinds = Counter[str]()
    unknown = largest = zero = 0
    for chain in chains_of(week):
        for log in chain.logs:
            emitter = registry.emitters.get((chain.chain_id, log["address"]))
            if log["topics"][0] == TRANSFER_WITH_REFERENCE_AND_FEE:
                kinds[emitter.kind if emitter else "stranger"] += 1
            elif (chain.chain_id, log["address"]) not in registry.tokens:
                unknown += 1
            else:
                zero += int(log["data"], 16) == 0
            largest += log["data"][130:194] == "f" * 64
    assert {"fee_proxy", "conversion_proxy", "escrow", "receivable", "stranger"} <= set(kinds)
    assert unknown > 5 and largest >= 1 and zero >= 1


def test_invoices_are_judged_as_the_gateway_judges_them() -> None:
    words = {
        "exactly_95_percent": "PAID", "just_under_95_percent": "PARTIAL", "just_under_105_percent": "PAID",
        "exactly_105_percent": "OVERPAID", "marked_paid_at_gateway": "PAID",
    }  # fmt: skip
    for name, word in words.items():
        world = plant_world(name, seed=3)
        assert [line["invoice"]["status"] for line in world.recorded.said["shkeeper"] if "invoice" in line] == [word]


def test_the_payer_of_an_invoice_pays_two_percent_more() -> None:
    for seed in range(40):
        world = plant_world("completed", seed=seed)
        invoices = [line["invoice"] for line in world.recorded.said["shkeeper"] if "invoice" in line]
        if invoices:
            assert float(invoices[0]["balance_fiat"]) == pytest.approx(float(invoices[0]["amount_fiat"]) * 1.02)
            return
    raise AssertionError("no invoice in forty worlds")


# ----------------------------------------------------------------------------------------------------------- the truth


def by_name(truths: tuple[Truth, ...]) -> dict[str, Truth]:
    return {truth.planted: truth for truth in truths}


def test_a_credit_sets_what_the_table_of_writes_says() -> None:
    truth = plant_world("webhook_lost", seed=1).truths[0]
    assert truth.sets is not None
    assert truth.sets["status"] == "completed" and truth.sets["escrowState"] == "funded"
    assert truth.sets["blockchain.confirmations"] == {"$numberInt": "12"}
    assert truth.sets["blockchain.transactionHash"].startswith("0x")


def test_the_proof_is_the_transfer_that_completes_the_cover() -> None:
    world = plant_world("paid_in_parts", seed=1)
    (chain,) = [chain for chain in chains_of(world) if chain.logs]
    sets = world.truths[0].sets
    assert sets is not None and sets["blockchain.transactionHash"] == chain.logs[-1]["transactionHash"]


def test_a_count_keeps_the_number_type_it_is_stored_in() -> None:
    kinds = set()
    for seed in range(20):
        world = plant_world("few_confirmations", seed=seed)
        stored = world.recorded.payments[0]["blockchain"]["confirmations"]
        sets = world.truths[0].sets
        assert sets is not None
        assert set(sets["blockchain.confirmations"]) == {"$numberDouble" if isinstance(stored, float) else "$numberInt"}
        kinds.add(type(stored))
    assert kinds == {int, float}


# ------------------------------------------------------------------------------------------------- judged by the tool


def test_everything_that_can_be_planted_is_judged_right(tmp_path: Path) -> None:
    names = [*(plant.name for plant in HEALTHY), *PLANTS]
    world = plant_world(*names, *names, seed=4)
    found = score(plan_of(world, tmp_path), world.truths)
    assert found.is_perfect, said(found)


def test_a_quiet_week_raises_no_alarm(tmp_path: Path) -> None:
    world = generate_world(payments=400, seed=6, breaks="none")
    plan = plan_of(world, tmp_path)
    assert score(plan, world.truths).is_perfect
    assert plan.changes == () and [f for f in plan.findings if f.verdict not in BENIGN] == []
    assert all(row["complete"] for row in plan.coverage)
