"""Plays a counter-trace of the model on the real code and the real server, and holds the model's claims against it.

Each process of the model is a thread that stops at every point the model has an event for; the director lets one of
them go at a time, in the order of the trace. What the real code does not do (because it is not mistaken) is passed
over. At the end everybody runs on, the run is resumed until it is done, and the claims are looked at once more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pymongo.errors import AutoReconnect

from recon.core.errors import ReconError
from recon.core.model import Plan
from recon.core.values import STAMP, value_at
from recon.runs.guard import GuardedUpdate
from recon.runs.states import Result, blocked_payments, list_runs, read_run
from recon.runs.stores.journal import LEASE_NAME, JournalEntry, MongoJournal, Note
from recon.runs.stores.lease import Holder, LeaseStore
from recon.runs.stores.payments import MongoWriter
from recon.runs.stores.retry import Retry
from recon.runs.undo import plan_undo
from tests.support.applying import FIXED, NOW, World, a_change, a_plan
from tests.support.model import Event

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

LEASE_MS = 600_000
WAIT_S = 20.0
RESUMES_MAX = 4
SILENT = ("surveys", "reads", "refreshes", "plans the undo", "inserts", "update", "store.write:after")
"""Points of the real code that are gone past when the trace has the next event of the same process."""


class Died(BaseException):
    """The process is gone at this point; nothing in the code under test catches it."""


@dataclass
class Ledger:
    """What only the stage knows: every write that took effect, who meddled, and which claims broke."""

    database: Database[dict[str, Any]]
    places: dict[Any, int]
    broken: set[str] = field(default_factory=set)
    wrote: set[tuple[str, int]] = field(default_factory=set)
    written: dict[int, int] = field(default_factory=dict)
    meddled: set[int] = field(default_factory=set)
    foreign: set[int] = field(default_factory=set)

    def claim(self, name: str, holds: bool) -> None:
        if not holds:
            self.broken.add(name)

    def took_effect(self, update: GuardedUpdate, *, run: str, kind: str) -> None:
        """Look at a write that matched, at once."""
        place = self.places[update.document_id]
        known = {"run": run, "kind": "intent", "payment": str(update.document_id)}
        self.claim("announced", self.database.recon_journal.find_one(known) is not None)
        if kind == "undo":
            self.claim("undone_own_only", place not in self.foreign)
            self.written[place] = 0
        else:
            self.claim("foreign_kept", place not in self.foreign)
            self.written[place] = self.written.get(place, 0) + 1
            self.claim("written_once", self.written[place] == 1)
        self.wrote.add((run, place))

    def ended(self, world: World, journal: MongoJournal) -> None:
        """Hold the journal of every run that is done against what was written."""
        documents = world.documents()
        for summary in list_runs(journal):
            for state in read_run(journal, summary.run).changes.values():
                place = next(p for key, p in self.places.items() if str(key) == state.payment_id)
                if state.result is Result.UNSETTLED:
                    self.claim("settled_unless_meddled", place in self.meddled)
                if summary.state != "done":
                    continue
                did = (summary.run, place) in self.wrote
                self.claim("told_true", state.result is not Result.APPLIED or did)
                stands = value_at(documents[place], STAMP) == f"{summary.run}/{state.change}" or (
                    documents[place]["status"] == FIXED["status"]
                )
                told = state.result in (Result.APPLIED, Result.UNSETTLED)
                self.claim("told_true", not did or told or not stands or summary.kind == "undo")


class StageLeases:
    """The real leases; a process that died gives nothing back."""

    def __init__(self, store: LeaseStore, player: Player) -> None:
        self._store, self._player = store, player

    def acquire(self, target: str, *, holder: Holder, lease_ms: int) -> int:
        self._player.reach("takes the lease")
        self._player.token = self._store.acquire(target, holder=holder, lease_ms=lease_ms)
        return self._player.token

    def renew(self, target: str, *, token: int, lease_ms: int) -> bool:
        return self._store.renew(target, token=token, lease_ms=lease_ms)

    def release(self, target: str, *, token: int) -> None:
        if not self._player.is_dead:
            self._player.reach("gives the lease back")
            self._store.release(target, token=token)


class StageJournal(MongoJournal):
    """The real journal, stopping before each call."""

    def __init__(self, database: Database[dict[str, Any]], player: Player) -> None:
        super().__init__(database)
        self._player = player
        self.leases = StageLeases(self.leases, player)

    def refresh(self) -> int:
        self._player.reach("refreshes")
        return super().refresh()

    def append(self, notes: Sequence[Note]) -> tuple[JournalEntry, ...]:
        self._player.reach("inserts")
        stage = self._player.stage
        held = blocked_payments(MongoJournal(stage.world.database), but=notes[0].run)
        entries = super().append(notes)
        announced = {note.payment for note in notes if note.kind == "intent"}
        stage.ledger.claim("one_announces", not announced & set(held))
        return entries


class StageWriter(MongoWriter):
    """The real writer, stopping before each call; an answer may be lost, and an update stay under way."""

    def __init__(self, collection: Collection[dict[str, Any]], player: Player) -> None:
        super().__init__(collection, retry=Retry(sleep=lambda seconds: None))
        self._player = player

    def read(self, document_ids: Sequence[Any]) -> dict[str, Any]:
        self._player.reach("reads")
        return super().read(document_ids)

    def read_confirmed(self, document_ids: Sequence[Any]) -> dict[str, Any]:
        self._player.reach("reads")
        return super().read_confirmed(document_ids)

    def _update(self, updates: Sequence[GuardedUpdate]) -> tuple[int, dict[int, Exception]]:
        (update,) = updates
        how = self._player.reach("update")
        if how == "under way":
            self._player.stage.under_way = (self._player, update)
            self._player.reach("dark")
            raise AutoReconnect("connection closed")
        matched = self.carry_out(update)
        if how == "its answer lost":
            raise AutoReconnect("connection closed")
        return matched, {}

    def carry_out(self, update: GuardedUpdate) -> int:
        """Ask the server and look at what took effect."""
        matched, _ = super()._update([update])
        if matched:
            run = str(update.after[STAMP]).rpartition("/")[0]
            self._player.stage.ledger.took_effect(update, run=run, kind=self._player.kind)
        return matched


class Player:
    """One process of the model: a thread that waits at each point until it is let go."""

    def __init__(self, stage: Stage, kind: str, call: Callable[[Player], object]) -> None:
        self.stage, self.kind, self.token = stage, kind, 0
        self.is_dead = self.is_free = self.is_over = False
        self.late_s = 0.0
        self.at: str | None = None
        self.problem: BaseException | None = None
        self.ended_by: BaseException | None = None
        self._how: str | None = None
        self._turn = threading.Condition()
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.wait()

    def _run(self) -> None:
        try:
            self._call(self)
        except (Died, ReconError) as error:
            self.ended_by = error
        except BaseException as error:
            self.problem = error
        with self._turn:
            self.is_over, self.at = True, None
            self._turn.notify_all()

    def reach(self, point: str) -> str:
        """Stop at a point until the director says how it goes on; other threads of the process pass."""
        if threading.current_thread() is not self._thread or self.is_free:
            return ""
        if self.is_dead:
            raise Died
        with self._turn:
            self.at = point
            self._turn.notify_all()
            assert self._turn.wait_for(lambda: self._how is not None or self.is_free, WAIT_S), point
            how, self._how, self.at = self._how or "", None, None
        if self.is_dead:
            raise Died
        return how

    def step(self, name: str) -> None:
        """A step that the code names."""
        if name == "store.write:before":
            now = {"$expr": {"$gt": ["$expires_at", "$$NOW"]}, "_id": LEASE_NAME, "token": self.token}
            held = self.stage.world.database.recon_lease.find_one(now) is not None
            self.stage.ledger.claim("begun_by_holder", held)
        self.reach(name)

    def go(self, how: str = "") -> None:
        """Let it go on to its next point."""
        with self._turn:
            self._how, self.at = how, None
            self._turn.notify_all()
        self.wait()

    def wait(self) -> None:
        """Wait until it stands at a point, or has ended."""
        with self._turn:
            assert self._turn.wait_for(lambda: self.at is not None or self.is_over, WAIT_S), "nobody stands anywhere"

    def die(self) -> None:
        """End it where it stands."""
        self.is_dead = True
        self.go()

    def run_on(self) -> None:
        """Let it go on by itself to its end."""
        with self._turn:
            self.is_free = True
            self._turn.notify_all()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    @property
    def clock(self) -> datetime:
        return NOW + timedelta(seconds=self.late_s)


class Stage:
    """Two rows on a real server, and whoever writes to them."""

    def __init__(self, world: World, *, is_slow_clock: bool = False) -> None:
        self.world, self.is_slow_clock = world, is_slow_clock
        self.plan = world.plan()
        sets = {"status": "failed"}
        self.other = a_plan(world.target, [a_change(document, sets=sets) for document in world.before])
        self.ledger = Ledger(world.database, {document["_id"]: n for n, document in enumerate(world.before)})
        self.players: dict[int, Player] = {}
        self.under_way: tuple[Player, GuardedUpdate] | None = None
        self.trace: Sequence[Event] = ()
        self.played: list[Event] = []
        self._first: str | None = None

    def play(self, events: Sequence[Event], *, plan_b: int) -> set[str]:
        """Play a trace, let everything end, and give the names of the claims that broke."""
        self.trace = events
        for number, event in enumerate(events):
            following = events[number + 1] if number + 1 < len(events) else None
            if self._happens(event, following, plan_b=plan_b):
                self.played.append(event)
        for player in self.players.values():
            player.run_on()
        self._late_update("late update")
        for _ in range(RESUMES_MAX):
            if self._run_of_first() is None or self._is_done():
                break
            player = Player(self, "correction", self._resume)
            player.run_on()
        self.ledger.ended(self.world, MongoJournal(self.world.database))
        for player in self.players.values():
            assert player.problem is None, player.problem
        return self.ledger.broken

    def _happens(self, event: Event, following: Event | None, *, plan_b: int) -> bool:
        what = event.what
        if what.startswith("foreign"):
            self._foreign(what)
        elif what.startswith("late update"):
            self._late_update(what)
        elif "lease runs out" in what:
            self._lease_runs_out(event)
        else:
            return self._acts(event, following, plan_b=plan_b)
        return True

    def _acts(self, event: Event, following: Event | None, *, plan_b: int) -> bool:
        if event.who not in self.players or (self.players[event.who].is_over and event.what == "takes the lease"):
            self.players[event.who] = self._enter(event.who, plan_b=plan_b)
        player = self.players[event.who]
        point, how = _point_of(event.what)
        for _ in range(4):
            if player.is_over or player.at is None:
                return False
            if point == "dies":
                player.die()
                return True
            if player.at == point:
                player.go(how)
                if player.at == "dark" and not (following and following.what == "dies"):
                    player.go()
                return True
            if player.at not in SILENT or point == "reads":
                return False
            player.go()
        return False

    def _enter(self, who: int, *, plan_b: int) -> Player:
        if who == 3:
            return Player(self, "correction", self._resume)
        if who == 4:
            return Player(self, "undo", self._undo)
        plan = self.other if (who == 2) and plan_b == 2 else self.plan
        return Player(self, "correction", lambda player: self._apply(player, plan))

    def _parts(self, player: Player) -> dict[str, Any]:
        return {
            "journal": StageJournal(self.world.database, player),
            "writer": StageWriter(self.world.database.payments, player),
        }

    def _pace(self, player: Player) -> dict[str, Any]:
        return {
            "step": player.step, "lease_ms": LEASE_MS, "canary_rows": 0, "group_size": 1, "in_flight": 1,
            "monotonic": lambda: player.late_s, "sleep": lambda seconds: None,
        }  # fmt: skip

    def _apply(self, player: Player, plan: Plan) -> None:
        self.world.apply(plan, clock=lambda: player.clock, **self._parts(player), **self._pace(player))

    def _resume(self, player: Player) -> None:
        world = World(**{
            **{name: getattr(self.world, name) for name in ("database", "target", "before")}, **self._parts(player)
        })  # fmt: skip
        run = self._run_of_first()
        assert run is not None
        world.resume(self.plan, run, clock=lambda: player.clock, **self._pace(player))

    def _undo(self, player: Player) -> None:
        run = self._run_of_first()
        assert run is not None
        plan = plan_undo(MongoJournal(self.world.database), run=run, target=self.world.target, now=NOW)
        self._apply(player, plan)

    def _run_of_first(self) -> str | None:
        found = [run.run for run in list_runs(MongoJournal(self.world.database)) if run.plan == self.plan.digest]
        self._first = self._first or (found[0] if found else None)
        return self._first

    def _is_done(self) -> bool:
        return any(
            run.run == self._first and run.state == "done" for run in list_runs(MongoJournal(self.world.database))
        )

    def _foreign(self, what: str) -> None:
        """Somebody else writes to a row."""
        place = int(what[-1])
        document = self.world.documents()[place]
        only, at = {"_id": document["_id"]}, {"updatedAt": datetime.now(UTC)}
        if "value" in what:
            values = {"status": "refunded"} if "same" not in what else FIXED
            self.world.database.payments.update_one(only, {"$set": {**values, **at}})
            self.ledger.foreign.add(place)
            self.ledger.meddled.add(place)
        elif "touch" in what:
            self.world.database.payments.update_one(only, {"$set": at})
        else:
            self.world.database.payments.update_one(only, {"$set": at, "$unset": {"metadata.recon": ""}})
            self.ledger.meddled.add(place)
            if document["status"] != self.world.before[place]["status"]:
                self.ledger.foreign.add(place)

    def _late_update(self, what: str) -> None:
        if self.under_way is not None and what == "late update":
            player, update = self.under_way
            StageWriter(self.world.database.payments, player).carry_out(update)
        self.under_way = None

    def _lease_runs_out(self, event: Event) -> None:
        """For its holder at the latest when for the server, except where the holder's clock stands still."""
        player = self.players[event.who]
        if not self.is_slow_clock:
            player.late_s += LEASE_MS
        if "server" in event.what:
            long_ago = datetime(1970, 1, 1, tzinfo=UTC)
            only = {"_id": LEASE_NAME, "token": player.token}
            self.world.database.recon_lease.update_one(only, {"$set": {"expires_at": long_ago}})


def _point_of(what: str) -> tuple[str, str]:
    """The point of the real code where an event of the model happens, and how it goes on from there."""
    if what.startswith("update"):
        return "update", what.removeprefix("update").strip(" ,")
    if what.startswith("reads"):
        return "reads", ""
    if what == "finds its place taken":
        return "inserts", ""
    return what, ""
