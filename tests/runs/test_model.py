"""Apply, resume and undo gone through whole by a checker, and its counter-traces played on the real code and server."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from recon.core.values import STAMP
from recon.runs import apply, settle, writing
from recon.runs.guard import GuardedUpdate, read_change
from recon.runs.notes import RunNotes
from recon.runs.states import Result, row_result
from recon.runs.stores.journal import MongoJournal
from recon.runs.stores.lease import Lease
from recon.runs.writing import Writing, row_of
from tests.support.applying import a_world, some_documents
from tests.support.model import MODEL, Checker, seeded_mistakes
from tests.support.stage import Stage

if TYPE_CHECKING:
    from pymongo.database import Database

    Store = Database[dict[str, Any]]

pytestmark = pytest.mark.model

PACKAGE = Path(apply.__file__).parent

WORLDS: tuple[dict[str, int], ...] = (
    {"crashes": 2, "resumes": 2, "foreign": 1, "losses": 1, "stops": 1},
    {"crashes": 1, "resumes": 1, "expiries": 1, "plan_b": 1},
    {"crashes": 1, "resumes": 1, "expiries": 1, "plan_b": 2},
    {"crashes": 1, "resumes": 1, "foreign": 1, "plan_b": 2},
    {"crashes": 1, "resumes": 1, "foreign": 1, "losses": 1, "undo": 1},
    {"expiries": 1, "resumes": 1, "foreign": 1, "losses": 1},
    {"expiries": 1, "foreign": 1, "plan_b": 2, "undo": 1},
)
"""What may happen how often; each is gone through whole."""


@dataclass(frozen=True)
class Seeded:
    """A mistake of the real kind, the claim that it breaks, and the smallest world in which it does.

    Args:
        seed: Makes the same mistake in the real code; None where one server alone cannot show it.
    """

    claim: str
    world: Mapping[str, int]
    seed: Callable[[pytest.MonkeyPatch], None] | None


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Checker:
    return Checker(tmp_path_factory.mktemp("model"))


# The mistakes in the real code


def changed_update(patch: pytest.MonkeyPatch, change: Callable[[GuardedUpdate], GuardedUpdate]) -> None:
    real = writing.guarded_update
    patch.setattr(writing, "guarded_update", lambda *given, **named: change(real(*given, **named)))


def without_stamp(patch: pytest.MonkeyPatch) -> None:
    changed_update(patch, lambda u: replace(u, sets={path: v for path, v in u.sets.items() if path != STAMP}))


def by_id(patch: pytest.MonkeyPatch) -> None:
    changed_update(patch, lambda u: replace(u, filter={"_id": u.filter["_id"]}))


def undo_by_value(patch: pytest.MonkeyPatch) -> None:
    changed_update(patch, lambda u: replace(u, filter={k: v for k, v in u.filter.items() if k != STAMP}))

    def read(ready: Any, document: Any, **named: Any) -> Any:
        is_undo = ready.change.reason.startswith("Takes back")
        return read_change(replace(ready, stamp_before=_stamp_of(document)) if is_undo else ready, document, **named)

    patch.setattr(apply, "read_change", read)
    patch.setattr(writing, "read_change", read)


def _stamp_of(document: Any) -> Any:
    from recon.core.values import value_at

    return value_at(document, STAMP)


def outcome_before_write(patch: pytest.MonkeyPatch) -> None:
    real = RunNotes.append_outcomes

    def append(self: RunNotes, *, then: Any = ()) -> None:
        body = {"result": "applied", "reason": ""}
        real(self, then=[*then, *(replace(note, kind="outcome", body=body) for note in then)])

    patch.setattr(RunNotes, "append_outcomes", append)


def intent_after_write(patch: pytest.MonkeyPatch) -> None:
    real, held = RunNotes.append_outcomes, list[Any]()

    def append(self: RunNotes, *, then: Any = ()) -> None:
        earlier = [*held]
        held[:] = then
        if not then:
            real(self, then=earlier)

    patch.setattr(RunNotes, "append_outcomes", append)


def settle_by_value(patch: pytest.MonkeyPatch) -> None:
    def settled(each: Any, document: Any, *, stamp: str) -> Any:
        del stamp
        found = read_change(each, document).row
        return row_result(each.change, Result.APPLIED if found == "already" else Result.NOT_REACHED)

    patch.setattr(settle, "settled_row", settled)


def no_lease_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Lease, "check", lambda self: None)


def any_place(patch: pytest.MonkeyPatch) -> None:
    real = MongoJournal.append

    def append(self: MongoJournal, notes: Any) -> Any:
        MongoJournal.refresh(self)
        return real(self, notes)

    patch.setattr(MongoJournal, "append", append)


def no_second_look(patch: pytest.MonkeyPatch) -> None:
    real = MongoJournal.refresh

    def refresh(self: MongoJournal) -> int:
        real(self)
        return 0

    patch.setattr(MongoJournal, "refresh", refresh)


def unmatched_is_refused(patch: pytest.MonkeyPatch) -> None:
    def refused(self: Writing, each: Any, document: Any, **_: Any) -> Any:
        return row_result(each.change, Result.REFUSED)

    patch.setattr(Writing, "_row_unmatched", refused)


def already_after_lost_answer(patch: pytest.MonkeyPatch) -> None:
    real = Writing._row_unmatched

    def row(self: Writing, each: Any, document: Any, **_: Any) -> Any:
        return real(self, each, document, may_be_ours=False)

    patch.setattr(Writing, "_row_unmatched", row)


def sent_before_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Writing, "_left_alone", lambda self, each, reading, document: row_of(each.change, reading))


def nothing(patch: pytest.MonkeyPatch) -> None:
    """The stage makes this one: the holder's clock stands still."""


MISTAKES: dict[str, Seeded] = {
    "no_stamp": Seeded("settled_unless_meddled", {"crashes": 1, "resumes": 1}, without_stamp),
    "outcome_before_write": Seeded("told_true", {"crashes": 1, "resumes": 1}, outcome_before_write),
    "intent_after_write": Seeded("announced", {}, intent_after_write),
    "settle_by_value": Seeded("told_true", {"crashes": 1, "resumes": 1, "foreign": 1}, settle_by_value),
    "plain_read": Seeded("told_true", {"crashes": 1, "resumes": 1}, None),
    "no_lease_check": Seeded("begun_by_holder", {"expiries": 1}, no_lease_check),
    "lease_by_own_clock": Seeded("begun_by_holder", {"expiries": 1}, nothing),
    "write_by_id": Seeded("foreign_kept", {"foreign": 1}, by_id),
    "undo_by_value": Seeded("undone_own_only", {"foreign": 1, "undo": 1}, undo_by_value),
    "any_place_in_journal": Seeded("one_announces", {"expiries": 1, "plan_b": 2}, any_place),
    "no_second_look": Seeded("one_announces", {"crashes": 1, "plan_b": 2}, no_second_look),
    "unmatched_is_refused": Seeded("told_true", {"losses": 1}, unmatched_is_refused),
    "already_after_lost_answer": Seeded("told_true", {"losses": 1, "foreign": 1}, already_after_lost_answer),
    "sent_before_forgotten": Seeded("told_true", {"crashes": 2, "resumes": 2}, sent_before_forgotten),
}


# The model


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: "-".join(f"{k}{v}" for k, v in world.items()))
def test_no_order_of_events_breaks_a_claim(checker: Checker, world: dict[str, int]) -> None:
    found = checker.check(**world)
    assert found.broken is None
    assert found.is_whole
    assert found.states > 100_000


def test_every_seeded_mistake_is_in_the_list() -> None:
    assert set(MISTAKES) == set(seeded_mistakes())
    assert len(MISTAKES) >= 10


@pytest.mark.parametrize("name", MISTAKES)
def test_a_seeded_mistake_is_found_by_the_name_of_its_claim(checker: Checker, name: str) -> None:
    assert checker.check(mistake=name, **MISTAKES[name].world).broken == MISTAKES[name].claim
    assert checker.check(**MISTAKES[name].world).broken is None, "the same world without the mistake"


def test_a_process_that_stands_still_between_lease_and_send_is_among_the_orders(
    checker: Checker, mongo_database: Store
) -> None:
    """It writes while another holds the lease: once, over nobody, and as the journal says (the worlds above)."""
    world = {"expiries": 1, "plan_b": 2}
    assert world.items() <= WORLDS[2].items()
    found = checker.check(witness=1, **world)
    assert found.broken == "sent_by_holder"
    sender, holder = (
        [event.who for event in found.events if event.what == word][-1]
        for word in ("store.write:before", "takes the lease")
    )
    assert sender != holder
    stage = Stage(a_world(mongo_database, some_documents(2)))
    stage.play(found.events, plan_b=world["plan_b"])
    assert stage.ledger.broken == set()


def test_the_steps_of_the_model_are_those_that_the_code_names() -> None:
    named = {
        name for path in PACKAGE.rglob("*.py") for name in re.findall(r'step\("([^"]+)"\)', path.read_text("utf-8"))
    }
    buffered = {name for name in named if name.startswith("store.flush:")}
    modelled = set(re.findall(r'"%d ([a-z.]+:(?:before|after))\\n"', MODEL.read_text("utf-8")))
    assert modelled == named - buffered, "only a store that keeps its writes back has a step of its own"


def test_undisturbed_the_code_takes_the_numbered_steps_of_the_model(checker: Checker, mongo_database: Store) -> None:
    world, steps = a_world(mongo_database, some_documents(2)), list[str]()
    world.apply(world.plan(), step=steps.append, group_size=1, in_flight=1, canary_rows=0)
    assert steps == [event.what for event in checker.undisturbed() if ":" in event.what]


# The counter-traces on the real code and server


def played(checker: Checker, database: Store, name: str, *, is_slow_clock: bool = False) -> Stage:
    found = checker.check(mistake=name, **MISTAKES[name].world)
    assert found.events
    stage = Stage(a_world(database, some_documents(2)), is_slow_clock=is_slow_clock)
    stage.play(found.events, plan_b=MISTAKES[name].world.get("plan_b", 0))
    return stage


@pytest.mark.parametrize("name", MISTAKES)
def test_the_code_stands_up_to_the_trace_of_a_mistake(checker: Checker, mongo_database: Store, name: str) -> None:
    stage = played(checker, mongo_database, name)
    assert stage.ledger.broken == set()
    assert 3 * len(stage.played) > len(stage.trace), "it goes along with the trace until the mistake"


@pytest.mark.parametrize("name", [name for name, each in MISTAKES.items() if each.seed is not None])
def test_the_same_trace_breaks_code_with_that_mistake(
    checker: Checker, mongo_database: Store, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    seed = MISTAKES[name].seed
    assert seed is not None
    seed(monkeypatch)
    stage = played(checker, mongo_database, name, is_slow_clock=name == "lease_by_own_clock")
    assert MISTAKES[name].claim in stage.ledger.broken, stage.played
