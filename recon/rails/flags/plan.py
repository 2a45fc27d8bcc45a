"""A flag plan: exactly which bytes of which file would change, why that is safe, and how to take it back.

Like a plan of corrections it is a file that a person reviews, named by a digest that apply asks for. It carries both
digests of the flag file, so that apply can tell the file that was reviewed from any other, and an interrupted run from
one that never began. It holds values of flags only; nothing else of the file, which has secrets in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from recon.core.canonical import sha256_hex
from recon.core.times import millisecond_text
from recon.core.version import __version__
from recon.files import make_folder, save_new
from recon.rails.flags.dotenv import Edit, apply_edits, edits_for, read_dotenv
from recon.rails.flags.errors import FlagFileError, FlagPlanError, RailDownError, RailUnknownError
from recon.rails.flags.files import FlagFile, check_swappable, sha256_of
from recon.rails.flags.probes import Probe, ProbeAnswer, Prober
from recon.rails.flags.recipes import Recipe, Roles, plan_values
from recon.rails.flags.sealed import SealedFileError, has_sops_seal
from recon.rails.flags.status import judge_flags, open_rails, why_unknown
from recon.rails.flags.words import FlagWords
from recon.sources.providers.installed import webhooks_of

FORMAT: Final = 1
SIZE_MAX_BYTES: Final = 10_000_000
AGE_MAX: Final = timedelta(hours=4)
CLOCK_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class FlagChange:
    """One flag: its value before and after, and the same as written in the file."""

    flag: str
    before: str | None
    after: str | None
    edit: Edit


@dataclass(frozen=True, slots=True)
class Confirm:
    """A flag that is not changed and that a person must look at."""

    flag: str
    value: str | None
    means: str


@dataclass(frozen=True, slots=True)
class FlagPlan:
    """What would be done to the flags, and everything a reviewer needs.

    Args:
        kind: ``rollback`` (any recipe), ``enable`` or ``undo``.
        place, target: The file as it was named, and as it is with links followed.
        opened, closed: Rails that begin, and that cease, to take new payments.
        asked: How the rails that payments go to answered when the plan was made.
        blast: What the switch hits (see ``recon.rails.flags.blast``); None where it was not measured.
        gates: For ``enable``: each gate as it was judged. ``blocked_by`` names those that did not pass.
        undo_of: For ``undo``: the run that is taken back.
        sample: For ``enable``: the sample file that was judged, and ``sample_digest`` its name; left out of the file
            where there was none.
        restart: The command that makes the backend read the flags, as configured; empty when there is none.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    kind: Literal["rollback", "enable", "undo"]
    recipe: str
    title: str
    sick: str
    safe: str
    author: str
    created_at: str
    expires_at: str
    place: str
    target: str
    before_digest: str
    after_digest: str
    changes: tuple[FlagChange, ...]
    rails_before: tuple[str, ...]
    rails_after: tuple[str, ...]
    means_after: str
    contradictions: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    confirms: tuple[Confirm, ...] = ()
    asked: tuple[ProbeAnswer, ...] = ()
    blast: dict[str, Any] | None = None
    gates: tuple[dict[str, Any], ...] = ()
    blocked_by: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    undo_of: str | None = None
    sample: str | None = None
    sample_digest: str | None = None
    format: int = FORMAT
    tool_version: str = __version__
    digest: str = ""

    @property
    def opened(self) -> tuple[str, ...]:
        """Rails that begin to take new payments."""
        return tuple(rail for rail in self.rails_after if rail not in self.rails_before)

    @property
    def closed(self) -> tuple[str, ...]:
        """Rails that cease to take new payments."""
        return tuple(rail for rail in self.rails_before if rail not in self.rails_after)

    @property
    def phrase(self) -> str:
        """What must be typed to go on although gates did not pass; bound to exactly this plan."""
        return f"enable {self.safe} without {' '.join(self.blocked_by)} {self.digest[:12]}"


@dataclass(frozen=True, slots=True)
class FlagSetup:
    """What this installation's flags are and how its rails are asked; the same for every plan.

    Args:
        health: For each rail, how it is asked whether it is well.
        restart: The command that makes the backend read its flags; shown, and run only when asked for.
        reader: Whose reading of a dotenv file counts; ``every`` believes what all of them agree on.
    """

    words: FlagWords = field(default_factory=FlagWords)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    health: Mapping[str, Probe] = field(default_factory=dict)
    restart: tuple[str, ...] = ()
    age_max: timedelta = AGE_MAX
    reader: str = "every"


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for a plan, when, and what was measured for it.

    Args:
        now: Aware UTC; everything in the plan counts from it.
        author: Who makes the plan, as named by the caller.
        blast: What the switch hits, if it was measured.
        gates: Judged gates as JSON, each with ``name`` and ``outcome``.
        sample, sample_digest: The sample file that they were judged by.
    """

    now: datetime
    author: str
    blast: Mapping[str, Any] | None = None
    gates: tuple[Mapping[str, Any], ...] = ()
    kind: Literal["rollback", "enable"] = "rollback"
    sample: str | None = None
    sample_digest: str | None = None


def plan_recipe(
    recipe: Recipe, roles: Roles, *, seen: FlagFile, setup: FlagSetup, prober: Prober, request: Request
) -> FlagPlan:
    """Plan what a recipe makes of the file that was seen.

    The rail that payments go to, and every rail that begins to take payments, is asked first.

    Raises:
        RailDownError, RailUnknownError: A rail that payments would go to is not well, or cannot be asked.
        FlagValueError, ModeInProviderListError: The recipe gives a flag a value that it cannot have.
        AmbiguousFlagError, UnclosedQuoteError, FlagReferencedError, FlagFileError: The file cannot be changed safely.
    """
    dotenv = read_dotenv(seen.data, path=str(seen.path), reader=setup.reader)
    values = dotenv.values
    wanted = plan_values(recipe, roles, values=values, words=setup.words)
    if has_sops_seal(seen.data):
        raise SealedFileError(path=str(seen.path), wanted=wanted)
    check_swappable(seen)
    edits = edits_for(dotenv, wanted)
    data = apply_edits(dotenv, edits)
    plan = _plan_of(seen, data, edits, setup=setup, request=request)
    target = (roles.safe,) if recipe.switches_to else ()
    plan = replace(plan, asked=ask_rails((*target, *plan.opened), setup=setup, prober=prober))
    confirms = [view for view in judge_flags(values, setup.words).flags if view.flag in recipe.confirm]
    plan = replace(
        plan,
        kind=request.kind,
        recipe=recipe.name,
        title=roles.fill(recipe.title),
        sick=roles.sick,
        safe=roles.safe,
        confirms=tuple(Confirm(view.flag, view.value, view.means) for view in confirms),
        blocked_by=tuple(str(gate["name"]) for gate in request.gates if gate["outcome"] != "pass"),
        steps=_steps(recipe, roles, setup),
    )
    return seal_flag_plan(plan)


def plan_flag_undo(
    edits: Iterable[Edit], *, run: str, was: Mapping[str, str], seen: FlagFile, setup: FlagSetup, request: Request
) -> FlagPlan:
    """Plan how a run's edits are taken back, newest first, on the file as it is now.

    Args:
        was: What the run's plan said of itself: ``recipe``, ``sick``, ``safe``, ``before_digest``, ``after_digest``.

    Raises:
        FlagMovedError: A flag no longer has the value that the run gave it.
        FlagFileError and the others of :func:`plan_recipe`: The file cannot be changed safely.
    """
    check_swappable(seen)
    dotenv = read_dotenv(seen.data, path=str(seen.path), reader=setup.reader)
    reverse = tuple(edit.reverse() for edit in reversed(tuple(edits)))
    data = apply_edits(dotenv, reverse)
    if seen.digest == was["after_digest"] and sha256_of(data) != was["before_digest"]:
        raise FlagFileError(
            path=str(seen.path), why="taking the run back would not give the file of before", remedy="Undo it by hand."
        )
    plan = _plan_of(seen, data, reverse, setup=setup, request=request)
    notes = plan.notes
    if plan.opened:
        notes += (
            f"This lets {' and '.join(plan.opened)} take payments again without the gates of recon gates enable.",
        )
    steps = ("Write the flags: recon flags apply.", _restart_step(setup), "Look: recon flags status.")
    return seal_flag_plan(
        replace(
            plan,
            kind="undo",
            recipe=f"undo of {was['recipe']}",
            title=f"take run {run} back",
            sick=was["sick"],
            safe=was["safe"],
            notes=notes,
            steps=steps,
            undo_of=run,
        )
    )


def _plan_of(seen: FlagFile, data: bytes, edits: tuple[Edit, ...], *, setup: FlagSetup, request: Request) -> FlagPlan:
    before = read_dotenv(seen.data, path=str(seen.path), reader=setup.reader).values
    after = read_dotenv(data, path=str(seen.path), reader=setup.reader).values
    status = judge_flags(after, setup.words)
    changes = tuple(FlagChange(edit.flag, before.get(edit.flag), after.get(edit.flag), edit) for edit in edits)
    return FlagPlan(
        kind="rollback",
        recipe="",
        title="",
        sick="",
        safe="",
        author=request.author[:200],
        created_at=millisecond_text(request.now),
        expires_at=millisecond_text(request.now + setup.age_max),
        place=str(seen.path),
        target=str(seen.target),
        before_digest=seen.digest,
        after_digest=sha256_of(data),
        changes=changes,
        rails_before=open_rails(before, setup.words),
        rails_after=status.rails,
        means_after=status.means,
        contradictions=status.contradictions,
        alarms=status.alarms,
        blast=None if request.blast is None else dict(request.blast),
        gates=tuple(dict(gate) for gate in request.gates),
        sample=request.sample,
        sample_digest=request.sample_digest,
        restart=setup.restart,
        notes=(*_rail_notes(before, setup.words), *_file_notes(seen)),
    )


def _rail_notes(values: Mapping[str, str | None], words: FlagWords) -> tuple[str, ...]:
    why = why_unknown(values, words, doubts={})
    return (f"Cannot tell which rails take new payments now: {why}.",) if why else ()


def _file_notes(seen: FlagFile) -> tuple[str, ...]:
    notes = []
    if seen.is_link:
        notes.append(f"{seen.path} is a link; the file it leads to, {seen.target}, is the one that is replaced.")
    if seen.data.startswith(b"\xef\xbb\xbf"):
        notes.append("The file begins with a byte order mark, which is kept.")
    if b"\r\n" in seen.data:
        notes.append("The file has Windows line ends, which are kept.")
    if seen.data and not seen.data.endswith((b"\n", b"\r")):
        notes.append("The file does not end with a line end; only an added line brings one.")
    return tuple(notes)


def _steps(recipe: Recipe, roles: Roles, setup: FlagSetup) -> tuple[str, ...]:
    middle = (
        "Write the flags: recon flags apply.",
        _restart_step(setup),
        f"Check that the backend has them: recon flags status.{_checkout_step(roles)}",
    )
    return tuple(roles.fill(step) for step in (*recipe.before, *middle, *recipe.after))


def _checkout_step(roles: Roles) -> str:
    """What to look at where a rail was switched off: its routes, which stand beside those of its webhooks."""
    routes = webhooks_of(roles.sick).routes
    folders = sorted({f"{route.rpartition('/')[0]}/*" for route in routes})
    named = f" ({', '.join(folders)})" if folders else ""
    return f" If {{sick}} was switched off, its routes{named} must be gone from the checkout path."


def _restart_step(setup: FlagSetup) -> str:
    if setup.restart:
        return f"Restart the backend: {' '.join(setup.restart)} (flags apply --restart runs it). {_MOUNTED}"
    return f"Restart the backend; no command for it is configured in [flags] restart. {_MOUNTED}"


_MOUNTED: Final = "A container that mounts the file itself keeps the old one until it is recreated."


def ask_rails(
    rails: Iterable[str], *, setup: FlagSetup, prober: Prober, on_asked: Callable[[], None] = lambda: None
) -> tuple[ProbeAnswer, ...]:
    """Ask each rail once whether it is well.

    Args:
        on_asked: Called after each answer.

    Raises:
        RailUnknownError: No probe says how to ask it.
        RailDownError: It is not well.
    """
    answers = []
    for rail in dict.fromkeys(rails):
        if (probe := setup.health.get(rail)) is None:
            raise RailUnknownError(provider=rail)
        answer = prober.ask(probe)
        if not answer.is_up:
            raise RailDownError(provider=rail, answer=answer.why)
        answers.append(replace(answer, name=rail))
        on_asked()
    return tuple(answers)


def plan_as_json(plan: FlagPlan) -> dict[str, Any]:
    """The plan as JSON values: what the file holds and the command line prints."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(plan)))
    return {name: value for name, value in content.items() if value is not None or name not in _LATER}


_LATER: Final = frozenset({"sample", "sample_digest"})
"""Fields that older plans lack; where they say nothing they are left out, so that old digests stay."""


def seal_flag_plan(plan: FlagPlan) -> FlagPlan:
    """Give the plan its digest: sha256 of its file with an empty digest."""
    return replace(plan, digest=sha256_hex(_render(replace(plan, digest=""))))


def _render(plan: FlagPlan) -> bytes:
    return (json.dumps(plan_as_json(plan), indent=2, sort_keys=True, ensure_ascii=True) + "\n").encode()


def save_flag_plan(plan: FlagPlan, path: Path) -> None:
    """Write a sealed plan so that the file is either whole or not there.

    Raises:
        FileThereError: Something stands at that path already.
        NoRoomError: The disk is full.
    """
    assert plan.digest, "only a sealed plan is saved"
    make_folder(path.parent)
    save_new(path, _render(plan))


def is_flag_plan(path: Path) -> bool:
    """Whether a file is a flag plan and no other artefact, as far as its keys say."""
    try:
        if not path.is_file() or path.stat().st_size > SIZE_MAX_BYTES or b'"after_digest"' not in path.read_bytes():
            return False
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"after_digest", "rails_after"} <= set(content)


def load_flag_plan(path: Path) -> FlagPlan:
    """Read a plan back.

    Raises:
        FlagPlanError: The file cannot be read, is cut, changed, of another format, or has an unknown key.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        if path.stat().st_size > SIZE_MAX_BYTES:
            raise FlagPlanError(path=path.name, why="the file is larger than any flag plan")
        data = path.read_bytes()
    except OSError as error:
        raise FlagPlanError(path=path.name, why=f"the file cannot be read ({error.strerror})") from error
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FlagPlanError(path=path.name, why="this is not whole JSON, the file was cut or is no plan") from error
    if not isinstance(content, dict) or "after_digest" not in content:
        raise FlagPlanError(path=path.name, why="this is not a flag plan")
    if content.get("format") != FORMAT:
        why = f"format {content.get('format')!r} is not {FORMAT}, the one this version reads"
        raise FlagPlanError(path=path.name, why=why)
    try:
        plan = TypeAdapter(FlagPlan).validate_json(data)
        same = _render(plan) == data
    except (ValidationError, ValueError, RecursionError) as error:
        raise FlagPlanError(path=path.name, why="a key is missing, unknown or of a wrong type") from error
    if not same or seal_flag_plan(plan).digest != plan.digest:
        raise FlagPlanError(path=path.name, why="the file was changed after it was made (its digest does not fit)")
    return plan
