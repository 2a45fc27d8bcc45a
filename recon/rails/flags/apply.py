"""Applying a flag plan: exactly the reviewed bytes, journalled before and after, read back from where it counts.

Order: digest, age, override, the file is the reviewed one, the rails are asked again, intent, swap, outcome, restart if
asked for, read-back. Killed anywhere, the same command goes on: the file's digest tells which of the two files it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from recon.core.errors import ReconError, RefusedError
from recon.core.times import millisecond_text
from recon.rails.flags.dotenv import Edit, apply_edits, read_dotenv
from recon.rails.flags.errors import (
    FlagFileMovedError,
    FlagPlanError,
    FlagRunTakenBackError,
    GatesFailedError,
    NoFlagRunToUndoError,
    OverrideError,
    RunUnknownError,
)
from recon.rails.flags.files import FlagFile, FlagPlace, OnStep, no_file_step, sha256_of
from recon.rails.flags.journal import FlagEntry, FlagJournal
from recon.rails.flags.plan import CLOCK_SKEW, FlagPlan, FlagSetup, Request, ask_rails, plan_flag_undo
from recon.rails.flags.probes import Probe, Prober
from recon.rails.flags.restart import SECRET_LENGTH_MIN, Restart, Restarted, check_restart, run_restart
from recon.rails.flags.standing import FlagBacking, FlagDecisions, believed
from recon.rails.flags.words import bool_of, looks_secret, mode_of, split_list
from recon.sources.interface import Progress, no_progress


@dataclass(frozen=True, slots=True)
class ReadBack:
    """One thing that was looked at after the change: what, whether it is as planned, and why."""

    what: str
    outcome: Literal["confirmed", "contradicted", "unconfirmed"]
    why: str


@dataclass(frozen=True, slots=True)
class FlagPorts:
    """Everything outside that applying touches.

    Args:
        readback: Probes of the running backend; those with ``values`` show flags, the others only health.
        gone: For each rail, an address on the checkout path that must no longer be served once it is closed.
        run_restart: Runs the configured command.
        decisions: How decisions are kept and believed; None believes names.
        progress: Hears of ``steps``: each rail asked, the swap, the restart, each thing looked at afterwards.
    """

    place: FlagPlace
    journal: FlagJournal
    prober: Prober
    setup: FlagSetup
    readback: tuple[Probe, ...] = ()
    gone: Mapping[str, Probe] = field(default_factory=dict)
    run_restart: Restart = run_restart
    decisions: FlagDecisions | None = None
    progress: Progress = no_progress


@dataclass(frozen=True, slots=True)
class Consent:
    """Who lets the plan be applied, and with which words.

    Args:
        digest: Of the plan that was reviewed.
        by: Who applies.
        override, reason: The typed phrase and its reason, for an enable plan whose gates did not pass.
        restart: Run the configured restart command afterwards.
    """

    digest: str
    by: str
    override: str = ""
    reason: str = ""
    restart: bool = False


@dataclass(frozen=True, slots=True)
class FlagRun:
    """What one apply did.

    Args:
        outcome: ``changed``; ``settled`` when an earlier, interrupted run had changed the file; ``already`` when there
            was nothing to do.
        restart: How the restart command went; None when it was not run.
        backing: Who stands behind the plan: whose sign-offs its gates rest on, and who applied it.
    """

    run: str
    plan: str
    outcome: Literal["changed", "settled", "already"]
    readback: tuple[ReadBack, ...] = ()
    restart: Restarted | None = None
    backing: tuple[str, ...] = ()

    @property
    def restart_code(self) -> int | None:
        """Exit code of the restart command; None when it was not run."""
        return None if self.restart is None else self.restart.code

    @property
    def unconfirmed(self) -> tuple[ReadBack, ...]:
        """What could not be confirmed, contradictions included."""
        return tuple(item for item in self.readback if item.outcome != "confirmed")


def apply_flag_plan(
    plan: FlagPlan, ports: FlagPorts, *, consent: Consent, now: datetime, on_step: OnStep = no_file_step
) -> FlagRun:
    """Write the plan's flags, if everything is still as it was reviewed, and look at the result.

    Args:
        on_step: Called after each step of the swap (``recon.rails.flags.files.STEPS``) and of the journal.

    Raises:
        FlagPlanError: Another digest than the plan's, or a plan that is too old.
        NoRestartError, RestartMissingError: A restart is asked for and could not be run.
        GatesFailedError, OverrideError: Gates did not pass, and no right override was typed.
        SampleLapsedError, NotApprovedError, NotSignedError: Too few people who count stand behind it.
        FlagFileMovedError, FlagFileError and the ambiguities of ``recon.rails.flags.dotenv``: Nothing was changed.
        RailDownError: A rail that payments would go to is not well now.
        JournalWriteError: The journal could not be written; the message says whether the file was changed.
    """
    if consent.digest.strip().lower() != plan.digest:
        raise FlagPlanError(path="plan", why=f"its digest is {plan.digest} and not the one given")
    if consent.restart:
        check_restart(ports.setup.restart)
    with ports.journal.held():
        entries = ports.journal.read()
        open_run = unsettled_run(entries, plan.digest)
        seen = ports.place.read()
        is_there = seen.digest == plan.after_digest and str(seen.target) == plan.target
        earlier = open_run or (_last_run_of(entries, plan.digest) if is_there else None)
        record = _Record(ports.journal, earlier or run_name(plan, now), now)
        outcome: Literal["changed", "settled", "already"] = "settled" if open_run else "already"
        step = _steps(plan, ports, consent, writes=not is_there)
        if not is_there:
            outcome = "changed"
            _check_consent(plan, consent, now)
            backing = _behind(plan, ports, consent, now)
            _write(plan, ports, consent=consent, backing=backing, record=record, seen=seen, on_step=on_step, step=step)
        else:
            backing = _was_behind(entries, earlier, usual=believed(plan, consent.by))
            if open_run:
                record.add("outcome", {"outcome": "changed", "settled": True}, state=_CHANGED)
        restarted = _restart(ports, consent, record, step) if consent.restart else None
        checks = tuple(_told(_looks(plan, ports), step))
        record.add("readback", {"checks": [asdict(item) for item in checks]}, state=_CHANGED)
    return FlagRun(record.run, plan.digest, outcome, checks, restarted, backing.lines)


def _steps(plan: FlagPlan, ports: FlagPorts, consent: Consent, *, writes: bool) -> Callable[[], None]:
    """What is called after each step of an apply, and tells how many of how many are done."""
    looks = 1 + max(1, len(ports.readback)) + len(_flags_of(plan)) + len(plan.closed)
    total = (len(_rails_of(plan)) + 1) * writes + consent.restart + looks
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        ports.progress("steps", done, total)

    ports.progress("steps", 0, total)
    return step


def _told(checks: Iterator[ReadBack], step: Callable[[], None]) -> Iterator[ReadBack]:
    for each in checks:
        yield each
        step()


def _rails_of(plan: FlagPlan) -> tuple[str, ...]:
    """The rails that are asked again before the swap, each once."""
    return tuple(dict.fromkeys((*(answer.name for answer in plan.asked), *plan.opened)))


def _behind(plan: FlagPlan, ports: FlagPorts, consent: Consent, now: datetime) -> FlagBacking:
    if ports.decisions is None:
        return believed(plan, consent.by)
    given = {"override": consent.override, "reason": consent.reason}
    return ports.decisions.behind(plan, by=consent.by, now=now, **given)


def _was_behind(entries: Sequence[FlagEntry], run: str | None, *, usual: FlagBacking) -> FlagBacking:
    """Who stood behind a run when it wrote; the usual where its journal does not say."""
    said = [entry.body.get("behind") for entry in entries if entry.run == run and entry.kind == "intent"]
    return FlagBacking(tuple(map(str, said[-1]))) if said and isinstance(said[-1], list) else usual


_CHANGED: Final = "the flag file already holds the new flags"
_UNCHANGED: Final = "nothing was changed"


@dataclass(frozen=True, slots=True)
class _Record:
    """Writes the journal lines of one run, all with the time of the command."""

    journal: FlagJournal
    run: str
    now: datetime

    def add(self, kind: str, body: Mapping[str, Any], *, state: str) -> None:
        at = millisecond_text(self.now)
        self.journal.append(at=at, run=self.run, kind=kind, body=body, state=state)


def _check_consent(plan: FlagPlan, consent: Consent, now: datetime) -> None:
    if now > datetime.fromisoformat(plan.expires_at):
        raise FlagPlanError(path="plan", why=f"it expired at {plan.expires_at}")
    if datetime.fromisoformat(plan.created_at) > now + CLOCK_SKEW:
        raise FlagPlanError(path="plan", why=f"it was made at {plan.created_at}, which is in the future")
    if not plan.blocked_by:
        return
    if not consent.override:
        raise GatesFailedError(provider=plan.safe, failing=plan.blocked_by, phrase=plan.phrase)
    if consent.override.strip() != plan.phrase:
        raise OverrideError(why="does not fit this plan", phrase=plan.phrase)
    if not consent.reason.strip() or not consent.by.strip():
        raise OverrideError(why="needs a reason and the name of who gives it", phrase=plan.phrase)


def _write(
    plan: FlagPlan,
    ports: FlagPorts,
    *,
    consent: Consent,
    backing: FlagBacking,
    record: _Record,
    seen: FlagFile,
    on_step: OnStep,
    step: Callable[[], None],
) -> None:
    if str(seen.target) != plan.target or seen.digest != plan.before_digest:
        raise FlagFileMovedError(path=plan.place, planned=plan.before_digest, found=seen.digest)
    ask_rails(_rails_of(plan), setup=ports.setup, prober=ports.prober, on_asked=step)
    dotenv = read_dotenv(seen.data, path=plan.place, reader=ports.setup.reader)
    data = apply_edits(dotenv, [change.edit for change in plan.changes])
    if sha256_of(data) != plan.after_digest:
        raise FlagPlanError(path="plan", why="its changes do not give the file that it names")
    record.add("intent", _intent(plan, consent, backing), state=_UNCHANGED)
    on_step("intended")
    try:
        ports.place.swap(seen, data, on_step=on_step)
    except RefusedError as error:
        record.add("outcome", {"outcome": "refused", "why": str(error)}, state=_UNCHANGED)
        raise
    record.add("outcome", {"outcome": "changed", "settled": False}, state=_CHANGED)
    on_step("recorded")
    step()


def _intent(plan: FlagPlan, consent: Consent, backing: FlagBacking) -> dict[str, Any]:
    return {
        "plan": plan.digest,
        "kind": plan.kind,
        "recipe": plan.recipe,
        "sick": plan.sick,
        "safe": plan.safe,
        "place": plan.place,
        "target": plan.target,
        "before_digest": plan.before_digest,
        "after_digest": plan.after_digest,
        "edits": [asdict(change.edit) for change in plan.changes],
        "by": consent.by[:200],
        "blocked_by": list(plan.blocked_by),
        "override": consent.override[:500],
        "reason": consent.reason[:2000],
        "undo_of": plan.undo_of,
        "behind": list(backing.lines),
        "consent": dict(backing.consent),
    }


def _restart(ports: FlagPorts, consent: Consent, record: _Record, step: Callable[[], None]) -> Restarted:
    went = ports.run_restart(ports.setup.restart, _secrets(ports))
    body = {
        "command": list(ports.setup.restart),
        "exit_code": went.code,
        "took_ms": went.took_ms,
        "output": list(went.output),
        "by": consent.by[:200],
    }
    record.add("restart", body, state=_CHANGED)
    step()
    return went


def _secrets(ports: FlagPorts) -> tuple[str, ...]:
    """Every secret of the flag file, so that none of them is kept of what a command prints."""
    dotenv = read_dotenv(ports.place.read().data, path=ports.place.name, reader=ports.setup.reader)
    found = {
        value
        for view in dotenv.heard
        for name, value in view.values.items()
        if value and looks_secret(name) and len(value) >= SECRET_LENGTH_MIN
    }
    return tuple(sorted(found))


def run_name(plan: FlagPlan, now: datetime) -> str:
    """The name of a run: its second and the beginning of its plan's digest."""
    return f"flags-{now:%Y%m%dT%H%M%SZ}-{plan.digest[:8]}"


def unsettled_run(entries: Sequence[FlagEntry], plan_digest: str) -> str | None:
    """The run of a plan whose intent stands in the journal without an outcome; None when there is none."""
    found: str | None = None
    for entry in entries:
        if entry.kind == "intent" and entry.body.get("plan") == plan_digest:
            found = entry.run
        elif entry.kind == "outcome" and entry.run == found:
            found = None
    return found


def _last_run_of(entries: Sequence[FlagEntry], plan_digest: str) -> str | None:
    runs = [entry.run for entry in entries if entry.kind == "intent" and entry.body.get("plan") == plan_digest]
    return runs[-1] if runs else None


def undo_flag_run(run: str, ports: FlagPorts, *, request: Request) -> FlagPlan:
    """Plan how a run is taken back; the plan is applied like any other.

    Every rail that would take payments again is asked first.

    Raises:
        RunUnknownError: The journal has no such run.
        FlagRunTakenBackError: The file is as it was before the run already.
        NoFlagRunToUndoError: The run changed nothing, or its file is another one now.
        FlagMovedError, RailDownError and those of ``recon.rails.flags.plan``: Nothing was planned.
    """
    entries = [entry for entry in ports.journal.read() if entry.run == run]
    intents = [entry.body for entry in entries if entry.kind == "intent"]
    if not intents:
        raise RunUnknownError(run=run[:100])
    intent = intents[-1]
    outcomes = [str(entry.body.get("outcome")) for entry in entries if entry.kind == "outcome"]
    seen = ports.place.read()
    _check_undoable(run, intent, outcomes[-1] if outcomes else None, seen=seen)
    edits = tuple(Edit(**edit) for edit in intent["edits"])
    was = {key: str(intent[key]) for key in ("recipe", "sick", "safe", "before_digest", "after_digest")}
    plan = plan_flag_undo(edits, run=run, was=was, seen=seen, setup=ports.setup, request=request)
    ask_rails(plan.opened, setup=ports.setup, prober=ports.prober)
    return plan


def _check_undoable(run: str, intent: Mapping[str, Any], outcome: str | None, *, seen: FlagFile) -> None:
    if outcome == "changed" and _is_taken_back(intent, seen):
        raise FlagRunTakenBackError(run=run)
    if why := _not_undoable(intent, outcome, seen=seen):
        raise NoFlagRunToUndoError(run=run, why=why)


def _is_taken_back(intent: Mapping[str, Any], seen: FlagFile) -> bool:
    """Whether the flags that the run changed are as they were before it."""
    before, after = str(intent["before_digest"]), str(intent["after_digest"])
    return str(seen.target) == intent["target"] and seen.digest == before != after


def _not_undoable(intent: Mapping[str, Any], outcome: str | None, *, seen: FlagFile) -> str | None:
    """Why a run cannot be taken back; None if it can.

    Args:
        outcome: How it ended; None if it was interrupted.
    """
    if outcome not in (None, "changed"):
        return "it was refused and changed nothing"
    if outcome is None and seen.digest != intent["after_digest"]:
        return "it was interrupted before it changed anything, or others changed it since"
    if str(seen.target) != intent["target"]:
        return f"it changed {intent['target']} and the flags are in {seen.target} now"
    return None if intent["edits"] else "it had nothing to change"


def read_back(plan: FlagPlan, ports: FlagPorts) -> tuple[ReadBack, ...]:
    """Look where it counts: the file, the running backend, and the checkout path of each rail that was closed."""
    return tuple(_looks(plan, ports))


def _looks(plan: FlagPlan, ports: FlagPorts) -> Iterator[ReadBack]:
    yield _file_check(plan, ports)
    yield from _backend_checks(_flags_of(plan), ports)
    yield from (_gone_check(rail, ports) for rail in plan.closed)


def _flags_of(plan: FlagPlan) -> dict[str, str]:
    """What the backend has to show of each flag."""
    flags = {change.flag: change.after for change in plan.changes if change.after is not None}
    return flags | {confirm.flag: confirm.value for confirm in plan.confirms if confirm.value is not None}


def _backend_checks(flags: Mapping[str, str], ports: FlagPorts) -> Iterator[ReadBack]:
    """Ask every probe of the running backend, and hold what it shows against the flags."""
    shown: dict[str, str] = {}
    for probe in ports.readback:
        answer = ports.prober.ask(probe)
        yield ReadBack(f"backend {probe.name}", "confirmed" if answer.is_up else "unconfirmed", answer.why)
        shown |= answer.values if answer.is_up else {}
    if not ports.readback:
        yield ReadBack("backend", "unconfirmed", "no probe of the running backend is configured")
    yield from (_shown_check(flag, shown.get(flag), wanted=value) for flag, value in flags.items())


def _shown_check(flag: str, shown: str | None, *, wanted: str) -> ReadBack:
    what = f"{flag} in the backend"
    if shown is None:
        return ReadBack(what, "unconfirmed", "the backend does not show it")
    if means_same(shown, wanted):
        return ReadBack(what, "confirmed", f"it shows {shown}")
    return ReadBack(what, "contradicted", f"it still shows {shown} and not {wanted}; it may need a restart")


def _file_check(plan: FlagPlan, ports: FlagPorts) -> ReadBack:
    try:
        found = ports.place.read().digest
    except ReconError as error:
        return ReadBack("flag file", "unconfirmed", str(error))
    if found == plan.after_digest:
        return ReadBack("flag file", "confirmed", f"its digest is {found[:12]}, as planned")
    return ReadBack("flag file", "contradicted", f"its digest is {found[:12]} and not {plan.after_digest[:12]}")


def _gone_check(rail: str, ports: FlagPorts) -> ReadBack:
    what = f"{rail} gone from the checkout path"
    if (probe := ports.gone.get(rail)) is None:
        return ReadBack(what, "unconfirmed", "no address to ask is configured")
    answer = ports.prober.ask_gone(probe)
    match answer.outcome:
        case "gone":
            return ReadBack(what, "confirmed", answer.why)
        case "up":
            return ReadBack(what, "contradicted", answer.why)
        case _:
            return ReadBack(what, "unconfirmed", answer.why)


def means_same(shown: str, wanted: str | None) -> bool:
    """Whether a backend's word means the flag's value: truth words, modes and lists in any of their spellings."""
    if wanted is None:
        return False
    for read in (bool_of, mode_of):
        if read(wanted) is not None:
            return read(shown) == read(wanted)
    return [word.lower() for word in split_list(shown)] == [word.lower() for word in split_list(wanted)]
