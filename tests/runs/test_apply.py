"""What is written is exactly what was reviewed, and nothing is written that cannot be vouched for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from bson import Decimal128, Int64

from recon.core.errors import RefusedError, SourceError
from recon.core.model import FieldChange, Finding, GuardTerm, Severity, Tier, Verdict
from recon.core.people import Person
from recon.core.values import ABSENT, ValueTextError
from recon.plans.approvals import Approval, ApprovalPolicy, NotApprovedError
from recon.plans.limits import ClockError, LimitError, Limits, PlanAgeError
from recon.runs.apply import BrokenPlanError, RowsMovedError, UnhealthyPlanError, WrongDigestError, WrongTargetError
from recon.runs.guard import GuardedUpdate, UnfitChangeError
from recon.runs.states import Result, list_runs, read_run
from recon.runs.stores.journal import verify_journal
from recon.runs.stores.payments import MongoWriter, ReadOnlyCredentialError
from recon.runs.undo import plan_undo
from tests.support.applying import (
    NOW,
    UNLIMITED,
    SeenWriter,
    World,
    a_change,
    a_document,
    a_plan,
    a_world,
    connect,
    later,
    resealed,
    some_documents,
    stopped_report,
)

if TYPE_CHECKING:
    from pymongo.database import Database

    from tests.conftest import MongodStarter

    Store = Database[dict[str, Any]]


@pytest.fixture
def world(mongo_database: Store) -> World:
    return a_world(mongo_database, some_documents(20))


def assert_untouched(world: World) -> None:
    """Nothing was written: no record, no journal."""
    assert world.documents() == world.before
    assert world.database.recon_journal.count_documents({}) == 0


# What is refused before anything is written


@pytest.mark.parametrize("digest", ["", "0" * 64, "short"])
def test_another_digest_is_refused_and_so_is_the_beginning_of_the_right_one(world: World, digest: str) -> None:
    plan = world.plan()
    with pytest.raises(WrongDigestError, match="digest is"):
        world.apply(plan, digest=plan.digest[:12] if digest == "short" else digest)
    assert_untouched(world)


def test_a_plan_changed_in_memory_is_refused(world: World) -> None:
    plan = world.plan()
    with pytest.raises(BrokenPlanError, match="changed after it was sealed"):
        world.apply(replace(plan, expires_at="2027-01-01T00:00:00Z"))
    assert_untouched(world)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "clone"),
        ("hosts", ("elsewhere:27017",)),
        ("database", "other"),
        ("collection", "payments2"),
        ("collection_uuid", "00000000-0000-0000-0000-000000000000"),
        ("chain_ids", (56, 97)),
        ("proxies", ("0x00",)),
        ("provider_accounts", ("request_network:other",)),
    ],
)
def test_a_plan_for_another_target_is_refused_whatever_differs(world: World, field: str, value: Any) -> None:
    plan = world.plan()
    with pytest.raises(WrongTargetError, match=field.replace("_", " ")):
        world.apply(plan, target=replace(world.target, **{field: value}))
    with pytest.raises(WrongTargetError):
        world.apply(resealed(plan, target=replace(world.target, **{field: value})))
    assert_untouched(world)


def test_a_plan_and_settings_that_agree_are_refused_on_a_clone_of_the_database(
    world: World, mongo_database: Store
) -> None:
    clone = mongo_database.client[f"{mongo_database.name[:40]}_clone"]
    clone.payments.insert_many(world.before)
    try:
        with pytest.raises(WrongTargetError):
            world.apply(world.plan(), writer=MongoWriter(clone.payments))
        assert list(clone.payments.find()) == world.before
    finally:
        mongo_database.client.drop_database(clone.name)


def test_an_identity_that_nobody_knows_is_equal_to_nothing(world: World) -> None:
    unknown = replace(world.target, collection_uuid=None)
    with pytest.raises(WrongTargetError, match="collection uuid"):
        world.apply(resealed(world.plan(), target=unknown), target=unknown)
    assert_untouched(world)


def test_an_expired_plan_is_refused_and_its_age_limit_is_raised_by_name(world: World) -> None:
    plan = world.plan()
    late = later(plan, hours=4, minutes=1)
    with pytest.raises(PlanAgeError, match=r"4 h 01 min old and the limit on plan age is 4 h 00 min.*--plan-age-max"):
        world.apply(plan, clock=lambda: late)
    assert_untouched(world)
    raised = replace(UNLIMITED, plan_age_max_ms=5 * 3_600_000)
    assert world.apply(plan, clock=lambda: late, limits=raised).counts == {Result.APPLIED: 20}


def test_a_plan_from_the_future_means_a_wrong_clock(world: World) -> None:
    plan = world.plan()
    with pytest.raises(ClockError, match="a clock is wrong"):
        world.apply(plan, clock=lambda: later(plan, minutes=-6))
    assert_untouched(world)


def test_an_unhealthy_plan_needs_its_reason_named_and_the_journal_keeps_it(world: World) -> None:
    plan = world.plan(summary={"payments": 200, "health": {"ok": False, "reasons": ["a page was missing"]}})
    with pytest.raises(UnhealthyPlanError, match="a page was missing"):
        world.apply(plan, accept_unhealthy=" ")
    with pytest.raises(UnhealthyPlanError, match="does not say"):
        world.apply(world.plan(summary={"payments": 200}))
    assert_untouched(world)
    report = world.apply(plan, accept_unhealthy="the page is about another shop", operator="half \udcff a name")
    assert read_run(world.journal, str(report.run)).opening["accept_unhealthy"] == "the page is about another shop"
    assert verify_journal(world.journal).is_whole


def test_a_plan_that_policy_wants_approved_waits_for_approval(world: World) -> None:
    plan = world.plan()
    policy = ApprovalPolicy(approvals_min=1, author_may_approve=False)
    own = Approval("Ann", "2026-11-20T12:00:00.000Z", "looks right", plan.digest, plan.effects_digest)
    with pytest.raises(NotApprovedError, match="needs 1 approval because policy asks for it, and nobody approved it"):
        world.apply(plan, approval_policy=policy)
    with pytest.raises(NotApprovedError, match="Ann is its author"):
        world.apply(plan, approval_policy=policy, approvals=(own,), author=(Person("ann "),))
    assert_untouched(world)
    report = world.apply(plan, approval_policy=policy, approvals=(own,), author=(Person("Ben"),))
    assert read_run(world.journal, str(report.run)).opening["approvals"][0]["who"] == "Ann"


def test_a_credential_that_may_only_read_is_refused_with_one_sentence(start_mongod: MongodStarter) -> None:
    server = start_mongod(auth=True, replica_set=False)
    with server.client() as admin:
        world = a_world(admin.shop, some_documents(3))
        admin.shop.command("createUser", "reader", pwd="words", roles=["read"])
        with server.client(server.uri_for("reader", "words", auth_database="shop")) as client:
            reading = connect(client.shop, world.before)
            with pytest.raises(ReadOnlyCredentialError, match="may not update records; nothing was written"):
                reading.apply(reading.plan())
            assert list_runs(reading.journal) == ()
        assert_untouched(world)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(changes_max=19, share_max_percent=100), r"limit on rows is 19 and this run has 20;.*--changes-max"),
        (Limits(share_max_percent=9), r"share of compared rows is 9 % and this run has 20 of 200;.*--share-max"),
        (
            replace(UNLIMITED, value_max_units={"56:0x8ac76a51cc950d9822d68b83fe1ad97b32cd580d": 249 * 10**18}),
            r"limit on value per run is 249 USDC and this run has 250 USDC;.*--value-max\.",
        ),
        (
            replace(UNLIMITED, value_max_units_per_payment={"USDC": 12 * 10**18}),
            r"limit on value per payment is 12 USDC and this run has 12\.5 USDC of 0+1;.*--value-max-per-payment",
        ),
    ],
)
def test_every_limit_is_named_with_its_option_and_stops_before_the_first_write(
    world: World, limits: Limits, message: str
) -> None:
    with pytest.raises(LimitError, match=message):
        world.apply(world.plan(), limits=limits)
    assert_untouched(world)


def test_the_share_counts_from_ten_compared_rows_on(world: World) -> None:
    limits = Limits(share_max_percent=30)
    three = world.plan(only=slice(3), summary={"payments": 9, "health": {"ok": True}})
    assert world.apply(three, limits=limits).counts == {Result.APPLIED: 3}
    four = a_plan(
        world.target, [a_change(d) for d in world.before[3:7]], summary={"payments": 10, "health": {"ok": True}}
    )
    with pytest.raises(LimitError, match="4 of 10"):
        world.apply(four, limits=limits)


def test_what_no_plan_may_hold_is_refused_whole(world: World) -> None:
    first, second = world.before[:2]
    good = a_change(first)
    bad: list[tuple[type[RefusedError], Any]] = [
        (BrokenPlanError, a_change(second, tier=Tier.NEVER)),
        (BrokenPlanError, replace(a_change(first, sets={"disputed": True}), id="c2")),
        (UnfitChangeError, a_change(second, payment_id=good.payment_id + "0")),
        (UnfitChangeError, a_change(second, sets={"metadata.recon.last": "x"})),
        (UnfitChangeError, a_change({**second, "metadata": "y"}, sets={"metadata": "x"})),
        (ValueTextError, a_change(second, sets={"metadata": "x"})),
        (UnfitChangeError, a_change(second, sets={"updatedAt": NOW})),
        (UnfitChangeError, a_change(second, sets={"_id": "x"})),
        (UnfitChangeError, a_change(second, sets={"status": ABSENT})),
        (UnfitChangeError, a_change(second, sets={"$where": "1"})),
        (UnfitChangeError, a_change(second, sets={"a.b": 1, "a": 2})),
        (UnfitChangeError, a_change(second, sets={})),
        (UnfitChangeError, a_change({**second, "status": "completed"}, sets={"status": "pending"})),
        (UnfitChangeError, replace(a_change(second), guard=(GuardTerm("status", "failed"),))),
        (ValueTextError, a_change(second, sets={"blockchain": {"a": 1}})),
        (ValueTextError, replace(a_change(second), sets=(FieldChange("status", "pending", ["completed"]),))),
        (ValueTextError, replace(a_change(second), sets=(FieldChange("status", "pending", 7),))),
        (ValueTextError, replace(a_change(second), guard=(GuardTerm("n", {"$numberInt": "07"}),))),
        (ValueTextError, replace(a_change(second), document_id={"$oid": "zz"})),
        (ValueTextError, a_change(second, sets={"blockchain.transactionHash": "\ud800"})),
    ]
    for expected, change in bad:
        with pytest.raises(expected, match="nothing"):
            world.apply(a_plan(world.target, [good, change]))
    assert_untouched(world)


# Which rows are written


def test_every_row_is_classed_before_the_first_write_and_only_pristine_ones_are_written(world: World) -> None:
    plan = world.plan()
    payments = world.database.payments
    ids = [document["_id"] for document in world.before]
    payments.delete_one({"_id": ids[0]})
    payments.update_one({"_id": ids[1]}, {"$set": {"status": "failed"}})
    payments.update_one({"_id": ids[2]}, {"$set": {"amount.amount": 12}})
    done = {"status": "completed", "escrowState": "funded", "blockchain.confirmations": 12}
    payments.update_one({"_id": ids[3]}, {"$set": {**done, "blockchain.transactionHash": "0x" + "ab" * 32}})
    payments.update_one({"_id": ids[4]}, {"$set": {"metadata.recon.last": "other/c1"}})
    payments.update_one({"_id": ids[5]}, {"$set": {"updatedAt": NOW, "__v": 7, "note": "unreviewed"}})
    report = world.apply(plan)
    results = [row.result for row in report.rows]
    assert results[:6] == [Result.GONE, Result.MOVED, Result.MOVED, Result.ALREADY, Result.MOVED, Result.APPLIED]
    assert set(results[6:]) == {Result.APPLIED}
    moved = report.rows[1].moved
    assert [(m.path, m.reviewed, m.planned, m.now) for m in moved] == [("status", "pending", "completed", "failed")]
    assert report.rows[2].moved[0].now == {"$numberInt": "12"}
    assert payments.find_one({"_id": ids[3]}, {"metadata.recon": 1})["metadata"] == {}  # type: ignore[index]
    assert payments.find_one({"_id": ids[5]})["__v"] == 7  # type: ignore[index]


def test_all_or_nothing_refuses_the_plan_for_one_moved_row(world: World) -> None:
    plan = world.plan()
    world.database.payments.update_one({"_id": world.before[7]["_id"]}, {"$set": {"status": "failed"}})
    before = world.collection_hash()
    with pytest.raises(RowsMovedError, match=r"1 row is not as reviewed \(the first is 0+8,"):
        world.apply(plan, all_or_nothing=True)
    assert world.collection_hash() == before


def test_a_finished_plan_again_leaves_every_byte_and_the_journal_alone(world: World) -> None:
    plan = world.plan()
    first = world.apply(plan)
    before, entries = world.collection_hash(), world.database.recon_journal.count_documents({})
    again = world.apply(plan)
    assert again.run is None
    assert again.counts == {Result.OURS: 20}
    resumed = world.resume(plan, str(first.run))
    assert resumed.counts == {Result.APPLIED: 20}
    assert world.collection_hash() == before
    assert world.database.recon_journal.count_documents({}) == entries + 2  # only "resume" and "end"


def test_a_change_of_tier_review_is_written_only_if_picked(world: World) -> None:
    changes = [a_change(d, tier=Tier.REVIEW, verdict=Verdict.LATE_PAYMENT) for d in world.before[:2]]
    plan = a_plan(world.target, changes)
    report = world.apply(plan)
    assert report.counts == {Result.NOT_PICKED: 2}
    assert_untouched(world)
    picked = resealed(plan, picked=(changes[1].payment_id,))
    assert [row.result for row in world.apply(picked).rows] == [Result.NOT_PICKED, Result.APPLIED]


@pytest.mark.parametrize(
    "metadata", [None, "text", [], [{"recon": {}}], {"recon": None}, {"recon": "x"}, {"recon": []}]
)
def test_a_row_that_cannot_carry_the_stamp_is_never_written(mongo_database: Store, metadata: Any) -> None:
    world = a_world(mongo_database, [a_document(0, metadata=metadata), a_document(1)])
    report = world.apply(world.plan())
    assert [row.result for row in report.rows] == [Result.MOVED, Result.APPLIED]
    assert world.documents()[0] == world.before[0]


def test_a_row_whose_fences_cannot_be_guarded_is_left_alone(mongo_database: Store) -> None:
    world = a_world(mongo_database, [a_document(0, updatedAt=[NOW]), a_document(1, __v={"a": 1}), a_document(2)])
    report = world.apply(world.plan())
    assert [row.result for row in report.rows] == [Result.MOVED, Result.MOVED, Result.APPLIED]
    assert world.documents()[:2] == world.before[:2]


def test_errors_about_one_row_are_results_of_that_row(mongo_database: Store) -> None:
    world = a_world(mongo_database, some_documents(6))
    mongo_database.payments.create_index(
        [("buyerKey", 1), ("status", 1)], unique=True, partialFilterExpression={"status": "completed"}
    )
    ids = [document["_id"] for document in world.before]
    mongo_database.payments.update_many({}, [{"$set": {"buyerKey": {"$toString": "$_id"}}}])
    mongo_database.payments.update_many({"_id": {"$in": ids[1:3]}}, {"$set": {"buyerKey": "same"}})
    world = connect(mongo_database, world.documents())
    rule = {"$expr": {"$not": {"$and": [{"$eq": ["$_id", ids[4]]}, {"$eq": ["$status", "completed"]}]}}}
    mongo_database.command("collMod", "payments", validator=rule)
    report = world.apply(world.plan(), in_flight=1)
    assert report.counts == {Result.APPLIED: 4, Result.FAILED: 2}
    failed = [row for row in report.rows if row.result is Result.FAILED]
    assert [row.code for row in failed] == [11000, 121]
    assert "must be unique" in failed[0].reason
    assert "validator" in failed[1].reason
    assert "same" not in failed[0].reason, "values of records do not belong into reasons"


def test_a_case_blind_collation_of_the_collection_matches_nothing_it_should_not(mongo_database: Store) -> None:
    mongo_database.create_collection("payments", collation={"locale": "en", "strength": 2})
    world = a_world(mongo_database, some_documents(2))

    def sees(update: GuardedUpdate) -> None:
        mongo_database.payments.update_one({"_id": update.document_id}, {"$set": {"status": "PENDING"}})

    report = world.apply(world.plan(), writer=SeenWriter(mongo_database.payments, sees))
    assert report.counts == {Result.REFUSED: 2}
    assert {document["status"] for document in world.documents()} == {"PENDING"}


def test_a_foreign_touch_of_unreviewed_fields_between_reading_and_writing_is_asked_again(world: World) -> None:
    touched: set[Any] = set()

    def sees(update: GuardedUpdate) -> None:
        if update.document_id not in touched:
            touched.add(update.document_id)
            world.database.payments.update_one(
                {"_id": update.document_id}, {"$inc": {"__v": 1}, "$set": {"note": "mine"}}
            )

    report = world.apply(world.plan(), writer=SeenWriter(world.database.payments, sees))
    assert report.counts == {Result.APPLIED: 20}
    assert all(d["note"] == "mine" and d["__v"] == 1 and d["status"] == "completed" for d in world.documents())


def test_ids_of_every_kind_are_written(mongo_database: Store) -> None:
    ids = ["000000000000000000000001", "plain", 7, Int64(2**40), Decimal128("3"), {"a": 1, "b": "c"}, NOW]
    world = a_world(mongo_database, [a_document(0), *(a_document(n, _id=each) for n, each in enumerate(ids, start=1))])
    assert world.apply(world.plan()).counts == {Result.APPLIED: 8}
    assert {d["status"] for d in world.documents()} == {"completed"}


# Afterwards


def test_what_remains_afterwards_is_explained_or_not(world: World) -> None:
    plan = world.plan()
    ids = [change.payment_id for change in plan.changes]
    finding = Finding(
        ids[1], Verdict.LOCAL_BEHIND, (Verdict.LOCAL_BEHIND, Verdict.OVERPAID), Tier.AUTO, Severity.LOW, "more came"
    )
    plan = resealed(plan, findings=(finding,))
    looks = 0

    def judge(payments: Sequence[str]) -> Mapping[str, str]:
        nonlocal looks
        looks += 1
        if looks <= 2:
            return {}
        world.database.payments.update_one({"_id": world.before[2]["_id"]}, {"$set": {"status": "failed"}})
        return {ids[0]: "in_sync", ids[1]: "overpaid", ids[3]: "reorged"}

    report = world.apply(plan, judge=judge)
    assert report.remaining is not None
    explained = {each.payment_id: each.explained_by for each in report.remaining}
    assert explained == {ids[1]: "the plan named it as a further finding", ids[3]: None}


def test_sources_that_fail_after_the_writes_are_a_warning_and_before_them_stop_the_run(world: World) -> None:
    calls: list[int] = []

    def judge(payments: Sequence[str]) -> Mapping[str, str]:
        calls.append(len(payments))
        if len(calls) in (2, 5):
            raise SourceError("the indexer is away.")
        return {}

    report = stopped_report(lambda: world.apply(world.plan(), judge=judge), "could not be judged again: the indexer")
    assert report.counts == {Result.APPLIED: 5, Result.NOT_REACHED: 15}
    again = world.resume(world.plan(), str(report.run), judge=judge)
    assert again.remaining == ()
    assert calls == [5, 5, 5, 20], "the canary is judged before the run goes on"
    undo = plan_undo(world.journal, run=str(report.run), target=world.target, now=NOW)
    taken_back = world.apply(undo, judge=judge)
    assert taken_back.remaining is None
    assert "the indexer is away" in taken_back.warnings[0]


def test_a_backend_that_reconciles_by_itself_is_warned_of(world: World) -> None:
    assert "own reconciliation is switched on" in world.apply(world.plan(), backend_reconciliation=True).warnings[0]


def test_effects_and_outcomes_agree(world: World) -> None:
    plan = world.plan()
    report = world.apply(plan)
    state = read_run(world.journal, str(report.run))
    for change, document in zip(plan.changes, world.documents(), strict=True):
        intent = state.changes[change.id].intent
        assert intent is not None
        assert {s.path: [s.before, s.after] for s in change.sets}.items() <= {
            path: [intent["before"][path], intent["after"][path]] for path in intent["before"]
        }.items()
        assert document["metadata"]["recon"]["last"] == f"{report.run}/{change.id}"
        assert document["updatedAt"] == NOW


def test_the_journal_alone_tells_what_was_tried_in_which_order(world: World) -> None:
    report = world.apply(world.plan(), group_size=7, in_flight=1)
    kinds = "".join(entry.note.kind[0] for entry in world.journal.entries(run=str(report.run)))
    assert kinds == "r" + "i" * 5 + "o" * 5 + 2 * ("i" * 7 + "o" * 7) + "io" + "e"
    place = {(e.note.kind, e.note.change): e.seq for e in world.journal.entries(run=str(report.run))}
    assert all(place["intent", change.id] < place["outcome", change.id] for change in world.plan().changes)
