"""Proofs that buyers send: accept, wait or suspicious, with every mismatch spelled out and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from recon.investigation.payment.gather import gather_afresh
from recon.investigation.payment.identify import NoIdError
from recon.investigation.payment.proof import ProofReport, verify_proof
from recon.reports import render_report
from recon.reports.views.inspection import render_proof
from recon.setup.open_sources import open_sources
from tests.support.inspecting import Scene, asking_of, scene, written


def transactions(made: Scene) -> list[str]:
    hashes = [log["transactionHash"] for logs in made.logs.values() for log in logs]
    hashes += [r["transactionHash"] for chain in made.world.recorded.chains.values() for r in chain.receipts]
    return list(dict.fromkeys(hashes))


def proven(made: Scene, folder: Path, *, tx: str | None = None, payment: str | None = None) -> ProofReport:
    settings = written(made, folder)
    asking = asking_of(settings, [])
    with open_sources(settings) as sources:
        dossier = gather_afresh(payment or made.payment_id, sources, asking=asking)
        return verify_proof(tx or transactions(made)[0], dossier, sources=sources, asking=asking)


def states(report: ProofReport) -> dict[str, str]:
    return {check.name: check.state for check in report.checks}


def test_a_right_proof_is_accepted(tmp_path: Path) -> None:
    report = proven(scene("webhook_lost", rail="request_network"), tmp_path)
    assert report.answer == "accept"
    assert set(states(report).values()) == {"right"}
    assert set(states(report)) == {"transaction", "token", "recipient", "reference", "amount", "depth", "unused"}


def test_a_right_proof_for_a_deposit_address_is_accepted(tmp_path: Path) -> None:
    assert proven(scene("webhook_lost", rail="shkeeper"), tmp_path).answer == "accept"


def test_a_proof_without_depth_has_to_wait(tmp_path: Path) -> None:
    report = proven(scene("not_final_yet"), tmp_path)
    assert report.answer == "wait"
    assert states(report)["depth"] == "open"


@pytest.mark.parametrize(
    ("plant", "check"),
    [
        ("wrong_network", "network"), ("wrong_token", "token"), ("wrong_recipient", "recipient"),
        ("wrong_reference", "reference"), ("reverted", "transaction"), ("underpaid_open", "amount"),
    ],
)  # fmt: skip
def test_a_proof_that_is_wrong_in_a_field_is_suspicious_and_says_in_which(
    plant: str, check: str, tmp_path: Path
) -> None:
    report = proven(scene(plant), tmp_path)
    assert report.answer == "suspicious"
    assert states(report)[check] == "wrong"


def test_a_transaction_that_no_chain_knows_is_suspicious(tmp_path: Path) -> None:
    report = proven(scene("abandoned"), tmp_path, tx="0x" + "ab" * 32)
    assert report.answer == "suspicious"
    assert "no chain in scope knows it" in report.why


def test_a_proof_that_another_payment_uses_is_suspicious(tmp_path: Path) -> None:
    made = scene("one_transfer_two_rows")
    [shared] = {document["blockchain"]["transactionHash"] for document in made.documents}
    answers = [
        proven(made, tmp_path / str(n), tx=shared, payment=str(document["_id"])) for n, document in
        enumerate(made.documents)
    ]  # fmt: skip
    assert "suspicious" in {report.answer for report in answers}
    assert any("unused" in states(report) for report in answers)


def test_an_old_transaction_shown_again_is_suspicious(tmp_path: Path) -> None:
    report = proven(scene("paid_before_the_row"), tmp_path)
    assert report.answer == "suspicious"
    assert states(report)["time"] == "wrong"


def test_each_payment_of_a_batch_is_proven_by_its_own_log(tmp_path: Path) -> None:
    assert proven(scene("batch_payment_open"), tmp_path).answer == "accept"


def test_a_proof_is_pasted_in_any_dress_and_nothing_else_is_a_proof(tmp_path: Path) -> None:
    made = scene("webhook_lost", rail="request_network")
    tx_hash = " " + transactions(made)[0].upper() + "\n"
    assert proven(made, tmp_path / "one", tx=tx_hash).answer == "accept"
    with pytest.raises(NoIdError):
        proven(made, tmp_path / "two", tx="I paid yesterday")


def test_the_report_says_the_answer_first_and_that_nothing_was_written(tmp_path: Path) -> None:
    text = render_report(render_proof(proven(scene("wrong_recipient"), tmp_path)), output="md")
    assert text.index("SUSPICIOUS") < text.index("recipient is")
    assert "Nothing was written" in text
