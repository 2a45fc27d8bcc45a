"""What a change rests on is asked for again before it is written: before the run, and before each group of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from recon.core.errors import SourceError
from recon.core.model import Plan, ProofTerm, Tier, Verdict
from recon.core.tables import table_of
from recon.plans.changes import proof_of
from recon.plans.file import load_plan, parse_plan, plan_bytes, save_plan
from recon.plans.limits import Limits
from recon.runs.apply import RowsMovedError
from recon.runs.canary import canary_places
from recon.runs.proof import ProofAnswer, ProofReader, ProofsLostError, ProofUnansweredError, proof_terms
from recon.runs.states import Result, list_runs, read_run
from recon.runs.undo import plan_undo
from recon.sources.interface import ChainQuestion, Coverage, Progress, Reading
from tests.support.applying import NOW, World, a_change, a_plan, a_world, some_documents, stopped_report

if TYPE_CHECKING:
    from pathlib import Path

    from pymongo.database import Database

    Store = Database[dict[str, Any]]

BLOCK, BLOCK_HASH = 70_000_100, "0x" + "b1" * 32


def term(number: int, **given: Any) -> ProofTerm:
    values: dict[str, Any] = {"log_index": 3, "block": BLOCK, "block_hash": BLOCK_HASH, "is_final": True}
    return ProofTerm(56, f"0x{number:064x}", **{**values, **given})


@dataclass
class Chains:
    """Answers for the proofs of payments, and remembers what was asked."""

    gone: set[int] = field(default_factory=set)
    away_from: int = 10**9
    asked: list[int] = field(default_factory=list)

    def __call__(self, terms: Sequence[ProofTerm]) -> ProofAnswer:
        self.asked.append(len(terms))
        if len(self.asked) >= self.away_from:
            raise ProofUnansweredError(chain_id=56, why="no RPC endpoint can be used")
        return ProofAnswer({each: "is no longer there" for each in terms if int(each.tx_hash, 16) in self.gone}, 1)


@pytest.fixture
def world(mongo_database: Store) -> World:
    return a_world(mongo_database, some_documents(20))


def proven(world: World, **given: Any) -> Plan:
    changes = [a_change(each, proof=(term(number),)) for number, each in enumerate(world.before)]
    return a_plan(world.target, changes, **given)


def written(world: World) -> set[int]:
    return {number for number, each in enumerate(world.documents()) if each["status"] == "completed"}


def test_rows_whose_proof_is_gone_are_left_out_with_their_reason_and_the_rest_is_written(world: World) -> None:
    chains = Chains({18, 19})
    report = world.apply(proven(world), prove=chains)
    assert written(world) == set(range(18))
    assert report.counts == {Result.APPLIED: 18, Result.UNPROVEN: 2}
    assert report.rows[19].reason == "is no longer proven, left alone: is no longer there"
    assert chains.asked == [20, 5, 13], (
        "all of it before the run, then the canary and each group just before it is written"
    )
    assert report.proofs == (38, 3)
    states = read_run(world.journal, str(report.run)).changes.values()
    assert {each.result for each in states if each.intent is None} == {Result.UNPROVEN}
    end = [entry.note.body for entry in world.journal.entries(run=str(report.run)) if entry.note.kind == "end"]
    assert end[0]["proofs"] == {"asked": 38, "calls": 3}


@pytest.mark.parametrize("gone", [set(range(4)), set(range(20))])
def test_more_lost_proofs_than_a_run_may_refuse_let_nothing_be_written(world: World, gone: set[int]) -> None:
    before = world.collection_hash()
    with pytest.raises(ProofsLostError, match=rf"goes for {len(gone)} of 20 rows.*nothing was written"):
        world.apply(proven(world), prove=Chains(gone))
    assert world.collection_hash() == before
    assert list_runs(world.journal) == ()


def test_a_raised_limit_lets_the_rest_be_written_but_never_all_or_nothing(world: World) -> None:
    with pytest.raises(RowsMovedError, match="1 row is not as reviewed"):
        world.apply(proven(world), prove=Chains({7}), all_or_nothing=True)
    assert written(world) == set()
    limits = Limits(changes_max=100, share_max_percent=100, refusals_max=5)
    assert world.apply(proven(world), prove=Chains({0, 1, 2, 3}), limits=limits).counts[Result.APPLIED] == 16


@pytest.mark.parametrize(("in_flight", "group_size"), [(1, 5), (4, 5), (4, 1)])
def test_a_chain_that_turns_during_a_run_takes_out_the_rows_of_every_later_group(
    world: World, in_flight: int, group_size: int
) -> None:
    chains, seen = Chains(), [0]

    def progress(done: int, total: int) -> None:
        seen[0] = done
        if done >= 2:
            chains.gone = {18, 19}

    report = world.apply(
        proven(world), prove=chains, canary_rows=2, in_flight=in_flight, group_size=group_size, progress=progress
    )
    assert report.counts == {Result.APPLIED: 18, Result.UNPROVEN: 2}
    assert written(world) == set(range(18))


def test_too_many_lost_proofs_midway_stop_the_run_and_a_resume_asks_again(world: World) -> None:
    chains = Chains()

    def progress(done: int, total: int) -> None:
        chains.gone = set(range(10, 16)) if done >= 5 else set()

    plan = proven(world)
    report = stopped_report(
        lambda: world.apply(plan, prove=chains, progress=progress, in_flight=1, group_size=10), "5 rows were refused"
    )
    assert report.counts == {Result.APPLIED: 5, Result.UNPROVEN: 5, Result.NOT_REACHED: 10}
    assert written(world) == set(range(5))
    chains.gone = {19}
    again = world.resume(plan, str(report.run), prove=chains)
    assert again.counts == {Result.APPLIED: 14, Result.UNPROVEN: 6}
    assert written(world) == {*range(10), *range(15, 19)}, "what was left out for good needs a new plan"
    assert world.resume(plan, str(report.run), prove=Chains()).counts == again.counts


@pytest.mark.parametrize(("away_from", "applied"), [(1, None), (2, 0), (3, 5)])
def test_a_chain_that_does_not_answer_lets_nothing_unproven_be_written(
    world: World, away_from: int, applied: int | None
) -> None:
    chains = Chains(away_from=away_from)
    if applied is None:
        with pytest.raises(ProofUnansweredError, match="nothing that rests on it was written"):
            world.apply(proven(world), prove=chains)
        assert list_runs(world.journal) == ()
    else:
        report = stopped_report(lambda: world.apply(proven(world), prove=chains), "could not be asked")
        assert report.counts.get(Result.APPLIED, 0) == applied
        with pytest.raises(AssertionError, match="did not stop"):
            stopped_report(lambda: world.resume(proven(world), str(report.run), prove=Chains()), "")
    assert len(written(world)) == (20 if applied is not None else 0)


def test_a_resume_whose_chain_does_not_answer_writes_nothing(world: World) -> None:
    report = stopped_report(lambda: world.apply(proven(world), prove=Chains(away_from=3)), "could not be asked")
    before = written(world)
    stopped_report(
        lambda: world.resume(proven(world), str(report.run), prove=Chains(away_from=1)), "could not be asked"
    )
    assert written(world) == before


def test_taking_a_run_back_needs_no_proof(world: World) -> None:
    chains = Chains()
    report = world.apply(proven(world), prove=chains)
    asked = len(chains.asked)
    undo = plan_undo(world.journal, run=str(report.run), target=world.target, now=NOW)
    assert world.apply(undo, prove=chains).counts == {Result.APPLIED: 20}
    assert len(chains.asked) == asked


def test_what_rests_on_a_providers_word_is_judged_again_instead(world: World) -> None:
    changes = [a_change(each) for each in world.before]
    words = {change.payment_id: str(change.verdict) for change in changes[:19]}

    def judge(payments: Sequence[str]) -> dict[str, str]:
        return {each: words[each] for each in payments if each in words} if written(world) == set() else {}

    report = world.apply(a_plan(world.target, changes), prove=Chains(), judge=judge, canary_rows=0, group_size=20)
    assert [report.rows[19].result, report.counts[Result.APPLIED]] == [Result.UNPROVEN, 19]
    assert "the sources now say nothing that needs a change" in report.rows[19].reason

    def silent(payments: Sequence[str]) -> dict[str, str]:
        raise SourceError("the gateway is away.")

    other = a_plan(world.target, [a_change(world.documents()[19])])
    with pytest.raises(SourceError, match="gateway is away"):
        world.apply(other, prove=Chains(), judge=silent)


# The first rows


def test_the_canary_holds_the_newest_the_largest_and_the_oldest(world: World) -> None:
    ages = [500, 400, 900, 300, 200, 100, 50, 800, 700, 600]
    changes = [a_change(each, age_s=age) for each, age in zip(world.before, ages, strict=False)]
    changes[8] = replace(changes[8], value_units=10**24)
    changes[9] = replace(changes[9], value_units=10**10, decimals=6, token="0x" + "c" * 40)
    plan = a_plan(world.target, changes)

    def chosen(rows: int) -> list[int]:
        return canary_places(plan, range(10), rows=rows)

    assert [chosen(rows) for rows in (0, 1, 2, 3, 4, 5)] == [[], [6], [6, 8], [2, 6, 8], [2, 6, 8, 9], [0, 2, 6, 8, 9]]
    assert chosen(10) == list(range(10))
    report = stopped_report(
        lambda: world.apply(plan, canary_rows=3, judge=lambda ids: {ids[0]: "local_behind"}), "still"
    )
    assert [place for place, row in enumerate(report.rows) if row.result is Result.APPLIED] == [2, 6, 8]


# What the plan says of its proof


def link(number: int, **given: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "t_chain": 56, "t_tx": f"0x{number:064x}", "t_log": 3, "t_block": BLOCK, "t_block_hash": BLOCK_HASH,
        "t_final": True, "is_valid": True, "is_refund": False,
    }  # fmt: skip
    return {**values, **given}


def test_a_change_rests_on_what_its_verdict_was_made_from() -> None:
    links = [
        link(1), link(2, t_final=False), link(3, is_valid=False, t_final=False),
        link(4, is_valid=False, is_refund=True),
    ]  # fmt: skip

    def numbers(verdict: Verdict) -> list[int]:
        return [int(each.tx_hash, 16) for each in proof_of(verdict, links)]

    assert numbers(Verdict.LOCAL_BEHIND) == numbers(Verdict.ESCROW_DRIFT) == [1]
    assert numbers(Verdict.REFUND_DRIFT) == [1, 4]
    assert numbers(Verdict.TOKEN_MISMATCH) == [3]
    assert proof_of(Verdict.TOKEN_MISMATCH, links)[0].is_final is False


def test_a_plan_keeps_its_proofs_and_one_without_reads_them_off_its_evidence(world: World, tmp_path: Path) -> None:
    plan = proven(world)
    save_plan(plan, tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan
    bare = a_change(
        world.before[0], evidence=("transfer 56:0xab:7", "other transfer 56:0xcd:8", "claim shkeeper:order-1")
    )
    assert b'"proof"' not in plan_bytes(a_plan(world.target, [bare]))
    assert parse_plan(plan_bytes(a_plan(world.target, [bare]))).changes[0].proof == ()
    assert proof_terms(bare) == (ProofTerm(56, "0xab", 7),)
    astray = replace(bare, verdict=Verdict.TOKEN_MISMATCH, tier=Tier.REVIEW)
    assert proof_terms(astray) == (ProofTerm(56, "0xcd", 8, is_final=False),)


# What the chain says of it


@dataclass
class OneChain:
    """A chain that answers receipts from rows."""

    transaction: dict[str, Any]
    logs: tuple[int, ...] = (3,)
    head_age_s: int = 2
    chain_id: int = 56
    questions: list[ChainQuestion] = field(default_factory=list)

    def check(self) -> str:
        return "it can be read"

    def read(self, question: ChainQuestion, *, progress: Progress) -> Reading:
        self.questions.append(question)
        (tx_hash,) = question.tx_hashes
        row = {"chain_id": 56, "tx_hash": tx_hash, **self.transaction}
        moved = [{"chain_id": 56, "tx_hash": tx_hash, "log_index": log} for log in self.logs]
        head_ms = int(NOW.timestamp() * 1000) - self.head_age_s * 1000
        coverage = Coverage("chain:56", "receipts", complete=True, head=BLOCK + 40, head_time=head_ms, calls=1)
        return Reading(
            {"transactions": table_of("transactions", [row]), "transfers": table_of("transfers", moved)}, (coverage,)
        )


WELL: dict[str, Any] = {
    "outcome": "success", "block": BLOCK, "block_hash": BLOCK_HASH, "confirmations": 40, "final": True,
}  # fmt: skip


def answer(chain: OneChain, asked: ProofTerm | None = None) -> str | None:
    wanted = asked or term(1)
    found = ProofReader(lambda _: chain, lambda: NOW)([wanted])
    assert found.calls == 1
    return found.lost.get(wanted)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, None),
        ({"outcome": "not_found"}, "is no longer there"),
        ({"outcome": "pending"}, "is in no block any more"),
        ({"outcome": "reverted"}, "has failed"),
        ({"block": BLOCK + 2, "block_hash": "0x" + "b2" * 32}, "lies in another block now"),
        ({"block_hash": "0x" + "b2" * 32}, "lies in another block now"),
        ({"final": False, "confirmations": 3}, "is not final any more, at 3 confirmations"),
    ],
)
def test_a_proof_that_is_gone_or_less_final_than_planned_is_named(changed: dict[str, Any], why: str | None) -> None:
    found = answer(OneChain(WELL | changed))
    assert found is None if why is None else why in str(found)


def test_a_receipt_without_the_planned_log_is_no_proof() -> None:
    assert "no longer holds the transfer of log 3" in str(answer(OneChain(WELL, logs=(2, 4))))


def test_what_was_not_final_when_it_was_planned_need_not_be_now() -> None:
    assert answer(OneChain(WELL | {"final": False}), term(1, is_final=False)) is None


@pytest.mark.parametrize(
    "chain",
    [
        OneChain({"outcome": "failed", "error": "the node is busy."}),
        OneChain(WELL, head_age_s=16 * 60),
    ],
)
def test_a_chain_that_cannot_say_or_stands_still_is_no_answer(chain: OneChain) -> None:
    with pytest.raises(ProofUnansweredError, match=r"chain:56 could not be asked"):
        answer(chain)


def test_a_chain_that_turned_is_believed_whatever_time_its_new_blocks_have() -> None:
    chain = OneChain(WELL | {"outcome": "not_found"}, head_age_s=16 * 60)
    now_ms = int(NOW.timestamp() * 1000)
    turned = ProofReader(lambda _: chain, lambda: NOW, {56: (BLOCK, now_ms - 60_000)})
    assert turned([term(1)]).lost.keys() == {term(1)}
    frozen = ProofReader(lambda _: chain, lambda: NOW, {56: (BLOCK, now_ms - 16 * 60_000)})
    behind = ProofReader(lambda _: chain, lambda: NOW, {56: (BLOCK + 2_000, now_ms - 60_000)})
    for reader in (frozen, behind):
        with pytest.raises(ProofUnansweredError, match="its newest block is 960 s old"):
            reader([term(1)])


def test_only_receipts_are_asked_for() -> None:
    chain = OneChain(WELL)
    answer(chain)
    (question,) = chain.questions
    assert (question.receipts_only, question.proxies, question.tx_hashes) == (True, False, (f"0x{1:064x}",))
