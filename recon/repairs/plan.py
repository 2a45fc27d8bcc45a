"""A plan of repairs as a file: named by its digest, refused when a byte of it was changed, and never a correction plan.

Like every plan it is made dry, reviewed by a person and applied by its digest. All of it is of tier review: each deed
stands in it because a person named what it is about.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from recon.core.canonical import canonical_json, sha256_hex
from recon.core.errors import RefusedError
from recon.core.model import Target
from recon.core.times import millisecond_text
from recon.core.version import __version__
from recon.files import make_folder, save_new
from recon.plans.approvals import ApprovalPolicy
from recon.plans.file import limit_of
from recon.repairs.deeds import Deed, check_deed, deed_effects, named_deed

FORMAT: Final = 1
SIZE_MAX_BYTES: Final = 100_000_000
AGE_MAX: Final = timedelta(hours=4)

RepairKind = Literal["missing", "hold", "lift", "ledger", "undo"]
"""What a plan of repairs is for: missing rows, putting holds, lifting holds, ledger entries, taking a run back."""


class RepairPlanError(RefusedError):
    """A file is no intact plan of repairs, or not one that may be applied."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}; nothing was written. Make a new plan.")


@dataclass(frozen=True, slots=True)
class NamedCollection:
    """A collection that a plan writes to, by its name and by what stays if another takes the name."""

    name: str
    uuid: str | None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a plan does not do although it was asked for, and why."""

    about: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairPlan:
    """A reviewed artefact: which records would be put, changed or taken away, where, and until when.

    Args:
        author, reason, ticket: Who asks for it, and why.
        cases: The sealed case files in which the evidence was captured before, each as ``name seal``.
        snapshot: Digest of the snapshot that showed what is missing; empty where none was read.
        run: For ``undo``: the run that is taken back, whose plan is ``parent``.
        cannot: What taking it back will not bring back.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    kind: RepairKind
    author: str
    reason: str
    created_at: str
    expires_at: str
    target: Target
    collections: tuple[NamedCollection, ...]
    deeds: tuple[Deed, ...]
    left_out: tuple[LeftOut, ...] = ()
    ticket: str | None = None
    cases: tuple[str, ...] = ()
    snapshot: str = ""
    parent: str | None = None
    run: str | None = None
    cannot: tuple[str, ...] = ()
    format: int = FORMAT
    tool_version: str = __version__
    digest: str = ""

    @property
    def effects_digest(self) -> str:
        """The name of what it would do, by which approvals are counted."""
        effects = sorted((deed_effects(each) for each in self.deeds), key=canonical_json)
        return sha256_hex(canonical_json([f"repair {self.kind}", asdict(self.target), effects]))

    @property
    def inserts(self) -> bool:
        """Whether it puts whole records anywhere."""
        return any(deed.kind in ("insert", "append") for deed in self.deeds)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRequest:
    """Who asks for a plan of repairs, when, why, and for where.

    Args:
        now: Aware UTC; everything in the plan counts from it.
        target: The target as it is now.
    """

    now: datetime
    author: str
    reason: str
    target: Target
    ticket: str | None = None
    age_max: timedelta = AGE_MAX


def make_repair_plan(
    kind: RepairKind,
    deeds: Sequence[Deed],
    *,
    request: RepairRequest,
    collections: Sequence[NamedCollection],
    **more: Any,
) -> RepairPlan:
    """A sealed plan of deeds in the order of what they are about; equal input gives equal bytes.

    Args:
        more: ``left_out``, ``cases``, ``snapshot``, ``parent``, ``run``, ``cannot``; see :class:`RepairPlan`.
    """
    named = sorted(map(named_deed, deeds), key=lambda each: (each.payment_id, each.id))
    plan = RepairPlan(
        kind=kind,
        author=request.author,
        reason=request.reason,
        ticket=request.ticket,
        created_at=millisecond_text(request.now),
        expires_at=millisecond_text(request.now + request.age_max),
        target=request.target,
        collections=tuple(sorted(collections, key=lambda each: each.name)),
        deeds=tuple(named),
        **more,
    )
    return seal_repair_plan(plan)


def seal_repair_plan(plan: RepairPlan) -> RepairPlan:
    """Give the plan its digest: sha256 of its file with an empty digest."""
    return replace(plan, digest=sha256_hex(_render(replace(plan, digest=""))))


def check_repair_plan(plan: RepairPlan) -> None:
    """Refuse a plan whose content does not fit its digest, or that may not be applied whatever is stored.

    Raises:
        RepairPlanError, UnfitDeedError, UnfitChangeError, ValueTextError: What is wrong with it.
    """
    if seal_repair_plan(plan).digest != plan.digest:
        raise RepairPlanError(path="plan", why="it was changed after it was sealed")
    if len({deed.id for deed in plan.deeds}) != len(plan.deeds):
        raise RepairPlanError(path="plan", why="it names two deeds alike")
    known = {each.name for each in plan.collections}
    for deed in plan.deeds:
        if deed.collection not in known:
            raise RepairPlanError(path="plan", why=f"it does not say which collection {deed.collection} is")
        check_deed(deed, undoes=plan.kind == "undo")


def repair_plan_as_json(plan: RepairPlan) -> dict[str, Any]:
    """The plan as JSON values: what the file holds and the command line prints."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(plan)))
    return content


def _render(plan: RepairPlan) -> bytes:
    return (json.dumps(repair_plan_as_json(plan), indent=2, sort_keys=True, ensure_ascii=True) + "\n").encode()


def save_repair_plan(plan: RepairPlan, path: Path) -> None:
    """Write a sealed plan so that the file is either whole or not there.

    Raises:
        FileThereError: Something stands at that path already.
        NoRoomError: The disk is full.
    """
    assert plan.digest, "only a sealed plan is saved"
    make_folder(path.parent)
    save_new(path, _render(plan))


def is_repair_plan(path: Path) -> bool:
    """Whether a file is a plan of repairs and no other artefact, as far as its keys say."""
    try:
        if not path.is_file() or path.stat().st_size > SIZE_MAX_BYTES or b'"deeds"' not in path.read_bytes():
            return False
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and {"deeds", "collections"} <= set(content)


def load_repair_plan(path: Path) -> RepairPlan:
    """Read a plan back.

    Raises:
        RepairPlanError: The file cannot be read, is cut, changed, of another format, or has an unknown key.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        if path.stat().st_size > SIZE_MAX_BYTES:
            raise RepairPlanError(path=path.name, why="the file is larger than any plan of repairs")
        data = path.read_bytes()
    except OSError as error:
        raise RepairPlanError(path=path.name, why=f"the file cannot be read ({error.strerror})") from error
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RepairPlanError(path=path.name, why="this is not whole JSON, the file was cut or is no plan") from error
    if not isinstance(content, dict) or "deeds" not in content:
        raise RepairPlanError(path=path.name, why="this is no plan of repairs")
    if content.get("format") != FORMAT:
        why = f"format {content.get('format')!r} is not {FORMAT}, the one this version reads"
        raise RepairPlanError(path=path.name, why=why)
    try:
        plan = TypeAdapter(RepairPlan).validate_json(data)
        same = _render(plan) == data
    except (ValidationError, ValueError, RecursionError) as error:
        raise RepairPlanError(path=path.name, why="a key is missing, unknown or of a wrong type") from error
    if not same or seal_repair_plan(plan).digest != plan.digest:
        raise RepairPlanError(path=path.name, why="the file was changed after it was made (its digest does not fit)")
    return plan


def repair_policy(plan: RepairPlan, policy: ApprovalPolicy) -> ApprovalPolicy:
    """How many people must have approved a plan of repairs.

    Two where it inserts and approvals are signed, and where it is about more than one person may approve.
    """
    totals: dict[tuple[int | None, str], int] = {}
    is_much = False
    for deed in plan.deeds:
        key = (deed.chain_id, deed.token or deed.symbol or "")
        totals[key] = totals.get(key, 0) + deed.value_units
        above = limit_of(deed, policy.two_person_above)
        is_much = is_much or (above is not None and totals[key] > above)
    if is_much or (plan.inserts and policy.is_signed):
        return replace(policy, approvals_min=2)
    return policy
