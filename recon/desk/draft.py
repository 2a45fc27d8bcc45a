"""The state of a review beside its plan, saved whole after every step, so that a lost connection loses nothing.

A step is a mark or a pick; the filter, the order and the place of the cursor are saved with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from recon.core.errors import RefusedError
from recon.core.model import Plan
from recon.desk.marks import Mark, MarkKind, Marks, Step
from recon.files import replace_file, save_new

DRAFT_FORMAT: Final = 1
DRAFT_SUFFIX: Final = ".review"
"""No ending of plans, so that a word that names a plan never names a review too."""
DRAFT_MAX_BYTES: Final = 100_000_000
STEPS_KEPT: Final = 100
_STEP_MARKS_MAX: Final = 20_000


class DraftError(RefusedError):
    """The saved state of a review cannot be used."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}; nothing was changed. Move the file away to begin the review anew.")


class DraftMovedError(RefusedError):
    """Another review of the same plan saved its state meanwhile."""

    def __init__(self, *, path: str) -> None:
        super().__init__(
            f"{path} was written by another review of the same plan meanwhile, so the last step was not saved. Leave "
            "this review and open it again; it begins with what the other one saved."
        )


@dataclass(slots=True)
class Draft:
    """A review as it is saved: the marks with their steps, what was recorded already, and how the list is shown.

    Args:
        recorded: Payments whose acceptance was recorded already, by payment the time until which.
        seen: The sha256 of the file as this review knows it; empty while there is none.
    """

    path: Path
    plan: str
    marks: Marks = field(default_factory=Marks)
    recorded: dict[str, str] = field(default_factory=dict)
    query: str = ""
    sort: str = "usual"
    backwards: bool = False
    group: str = "none"
    cursor: str = ""
    seen: str = ""

    def save(self) -> None:
        """Save it whole, unless another review saved something else there.

        Raises:
            DraftMovedError: The file is not the one that this review knows.
            NoRoomError, OSError: It could not be written; what was there is as it was.
        """
        data = _draft_bytes(self)
        name = hashlib.sha256(data).hexdigest()
        if name == self.seen:
            return
        if self.seen:
            replace_file(self.path, data, check=self._check_unmoved)
        elif self.path.exists():
            raise DraftMovedError(path=self.path.name)
        else:
            save_new(self.path, data)
        self.seen = name

    def _check_unmoved(self) -> None:
        try:
            found = hashlib.sha256(self.path.read_bytes()).hexdigest()
        except OSError:
            found = ""
        if found != self.seen:
            raise DraftMovedError(path=self.path.name)


def draft_path(plan_path: Path) -> Path:
    """Where the review of a plan is saved: beside it."""
    return plan_path.with_name(f"{plan_path.name}{DRAFT_SUFFIX}")


def open_draft(plan: Plan, plan_path: Path) -> Draft:
    """The saved review of a plan, or a new one.

    Raises:
        DraftError: The file is no saved review, or one of another plan.
    """
    path = draft_path(plan_path)
    try:
        if path.stat().st_size > DRAFT_MAX_BYTES:
            raise DraftError(path=path.name, why="it is larger than any saved review")
        data = path.read_bytes()
    except FileNotFoundError:
        return Draft(path, plan.digest)
    except OSError as error:
        raise DraftError(path=path.name, why=f"it cannot be read ({error.strerror})") from error
    try:
        draft = _parsed_draft(msgspec.json.decode(data, type=_DraftFile), path)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DraftError(path=path.name, why="it is no saved review that this version reads") from error
    if draft.plan != plan.digest:
        raise DraftError(path=path.name, why=f"it is the review of another plan ({draft.plan[:12]})")
    draft.seen = hashlib.sha256(data).hexdigest()
    return draft


class _MarkFile(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    until: str = ""
    reason: str = ""


class _StepFile(msgspec.Struct, forbid_unknown_fields=True):
    said: str
    marks: dict[str, tuple[_MarkFile | None, _MarkFile | None]]
    turned: list[str] = []


class _DraftFile(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    plan: str
    marks: dict[str, _MarkFile]
    steps: list[_StepFile]
    recorded: dict[str, str]
    query: str
    sort: str
    backwards: bool
    group: str
    cursor: str
    picked: list[str] = []


def _draft_bytes(draft: Draft) -> bytes:
    content: dict[str, Any] = {
        "format": DRAFT_FORMAT,
        "plan": draft.plan,
        "marks": {payment: asdict(mark) for payment, mark in sorted(draft.marks.by_payment.items())},
        "steps": [_step_json(step) for step in _steps_kept(draft.marks.steps)],
        "recorded": draft.recorded,
        "query": draft.query,
        "sort": draft.sort,
        "backwards": draft.backwards,
        "group": draft.group,
        "cursor": draft.cursor,
        "picked": sorted(draft.marks.picked),
    }
    return msgspec.json.encode(content) + b"\n"


def _steps_kept(steps: list[Step]) -> list[Step]:
    """The newest steps, as many as keep the file small."""
    kept: list[Step] = []
    size = 0
    for step in reversed(steps[-STEPS_KEPT:]):
        size += len(step.marks) + len(step.turned)
        if kept and size > _STEP_MARKS_MAX:
            break
        kept.append(step)
    return kept[::-1]


def _step_json(step: Step) -> dict[str, Any]:
    pairs = {payment: [None if mark is None else asdict(mark) for mark in pair] for payment, pair in step.marks.items()}
    return {"said": step.said, "marks": pairs, "turned": sorted(step.turned)}


def _parsed_draft(content: _DraftFile, path: Path) -> Draft:
    if content.format != DRAFT_FORMAT:
        raise ValueError("another format")
    steps = [
        Step(
            step.said,
            {payment: (_mark(before), _mark(after)) for payment, (before, after) in step.marks.items()},
            frozenset(step.turned),
        )
        for step in content.steps
    ]
    marks = {payment: Mark(MarkKind(each.kind), each.until, each.reason) for payment, each in content.marks.items()}
    return Draft(
        path=path,
        plan=content.plan,
        marks=Marks(marks, set(content.picked), steps),
        recorded=dict(content.recorded),
        query=content.query,
        sort=content.sort,
        backwards=content.backwards,
        group=content.group,
        cursor=content.cursor,
    )


def _mark(given: _MarkFile | None) -> Mark | None:
    return None if given is None else Mark(MarkKind(given.kind), given.until, given.reason)
