"""Who approved a plan, and which known breaks are accepted: write-once records with a digest each.

An approval names the *effects* of a plan, so it survives a new plan with the same effects and dies with any other. An
acknowledgement names a break with everything it shows, so it dies when the break changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from recon.core.errors import RefusedError, UsageError
from recon.core.model import Finding, Plan
from recon.core.times import millisecond_text
from recon.files import FileThereError, make_folder, save_new
from recon.plans.file import is_picked, limit_of
from recon.plans.limits import parse_time

TEXT_MAX: Final = 2000
_RECORD_MAX_BYTES: Final = 100_000
_RECORD_MODE: Final = 0o444  # decided once, for others to read and nobody to change


class MissingReasonError(UsageError):
    """A decision without a name or a reason is none."""

    def __init__(self, *, what: str, missing: str) -> None:
        super().__init__(f"{what} needs {missing} (up to {TEXT_MAX} characters); nothing was recorded.")


class RecordExistsError(RefusedError):
    """A decision is recorded once and never edited."""

    def __init__(self, *, what: str, who: str) -> None:
        super().__init__(f"{who} already recorded {what}; the first record stands, and a record is never edited.")


class BrokenRecordError(RefusedError):
    """A recorded decision was edited or cut."""

    def __init__(self, *, path: str) -> None:
        super().__init__(
            f"{path}: its content does not fit its digest, so it proves nothing; nothing was written. "
            "Keep a copy as evidence, remove it, and decide again."
        )


class NotApprovedError(RefusedError):
    """Policy asks for approvals that a plan does not have."""

    def __init__(self, *, needed: int, why: str, found: Sequence[str], left_out: Sequence[str]) -> None:
        have = ", ".join(found) if found else "nobody"
        apart = f" ({'; '.join(left_out)})" if left_out else ""
        super().__init__(
            f"The plan needs {needed} approval{'s' * (needed > 1)} because {why}, and {have} approved it{apart}; "
            'nothing was written. Ask for "recon approve PLAN --reason TEXT".'
        )


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes to the effects of a plan.

    Args:
        digest: The digest of the bytes that the person saw.
        effects_digest: What the yes is about.
    """

    who: str
    at: str
    reason: str
    digest: str
    effects_digest: str
    ticket: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """How many people must have approved a plan.

    Args:
        approvals_min: 0, 1 or 2.
        author_may_approve: Whether the author of a plan counts.
        two_person_above: By ``chain_id:token`` (or token, or symbol), base units per run above which two are needed.
    """

    approvals_min: int = 0
    author_may_approve: bool = True
    two_person_above: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ack:
    """A known break that a person accepts until a date, as long as it stays what it is."""

    payment_id: str
    verdict: str
    fingerprint: str
    who: str
    at: str
    reason: str
    until: str


@dataclass(frozen=True, slots=True)
class SortedBreaks:
    """Breaks by how much news they are; only ``new`` counts for a nightly job's exit code."""

    new: tuple[Finding, ...]
    known: tuple[Finding, ...]
    acknowledged: tuple[Finding, ...]


class DecisionRecords:
    """Approvals, authors and acknowledgements in a directory: one file each, created once, never opened for writing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def approve(self, plan: Plan, *, who: str, at: datetime, reason: str, ticket: str | None = None) -> Approval:
        """Record one person's approval.

        Raises:
            MissingReasonError: No name or no reason is given.
            RecordExistsError: This person already approved these effects.
        """
        _named("An approval", who=who, reason=reason)
        approval = Approval(who, millisecond_text(at), reason, plan.digest, plan.effects_digest, ticket)
        name = f"approval-{plan.effects_digest[:32]}-{_hash(who)[:16]}.json"
        self._create(name, asdict(approval), what="an approval of these effects", who=who)
        return approval

    def approvals(self, plan: Plan) -> tuple[Approval, ...]:
        """The approvals of a plan's effects, by time.

        Raises:
            BrokenRecordError: A record does not fit its digest.
        """
        records = self._read(f"approval-{plan.effects_digest[:32]}-*.json")
        found = [Approval(**content) for content in records]
        return tuple(sorted((a for a in found if a.effects_digest == plan.effects_digest), key=lambda a: (a.at, a.who)))

    def note_author(self, plan: Plan, *, who: str, at: datetime) -> None:
        """Remember who made a plan first; later makers of the same bytes change nothing."""
        _named("An author", who=who, reason="-")
        content = {"who": who, "at": millisecond_text(at), "digest": plan.digest}
        try:
            self._create(f"author-{plan.digest[:32]}.json", content, what="", who=who)
        except RecordExistsError:
            return

    def author(self, plan: Plan) -> str | None:
        """Who made these bytes, else who made the plan they were selected from; None when nobody noted either."""
        for digest in (plan.digest, plan.parent if plan.kind == "correction" else None):
            if digest and (found := self._read(f"author-{digest[:32]}.json")):
                return str(found[0]["who"])
        return None

    def acknowledge(self, finding: Finding, *, who: str, at: datetime, reason: str, until: datetime) -> Ack:
        """Accept a break until a date.

        Raises:
            MissingReasonError: No name or reason, or a date that is past.
            RecordExistsError: This person already accepted exactly this break until this date.
        """
        _named("An acknowledgement", who=who, reason=reason)
        if until <= at:
            raise MissingReasonError(what="An acknowledgement", missing="a date that is still to come")
        mark = fingerprint(finding)
        ack = Ack(
            finding.payment_id, str(finding.verdict), mark, who, millisecond_text(at), reason, millisecond_text(until)
        )
        name = f"ack-{mark[:32]}-{_hash(f'{who} {ack.until}')[:16]}.json"
        self._create(name, asdict(ack), what="an acknowledgement of this break until this date", who=who)
        return ack

    def acks(self) -> tuple[Ack, ...]:
        """Every acknowledgement, whether still valid or not."""
        return tuple(sorted((Ack(**content) for content in self._read("ack-*.json")), key=lambda a: (a.at, a.who)))

    def _create(self, name: str, content: Mapping[str, Any], *, what: str, who: str) -> None:
        text = _canonical(content)
        data = f"{_hash(text)}\n{text}\n".encode()
        make_folder(self._directory)
        try:
            save_new(self._directory / name, data, mode=_RECORD_MODE)
        except FileThereError as error:
            raise RecordExistsError(what=what, who=who) from error

    def _read(self, pattern: str) -> list[dict[str, Any]]:
        found = []
        for path in sorted(self._directory.glob(pattern)) if self._directory.is_dir() else ():
            try:
                digest, _, text = path.read_bytes()[:_RECORD_MAX_BYTES].decode().rstrip("\n").partition("\n")
                content = json.loads(text)
            except (OSError, ValueError, RecursionError) as error:
                raise BrokenRecordError(path=path.name) from error
            if digest != _hash(text) or not isinstance(content, dict):
                raise BrokenRecordError(path=path.name)
            found.append(content)
        return found


def check_approvals(
    plan: Plan, approvals: Iterable[Approval], *, policy: ApprovalPolicy, author: str | None
) -> tuple[Approval, ...]:
    """The approvals that count for a plan, one a person.

    Args:
        author: Who made the plan; unknown counts as everybody where the author must not approve.

    Raises:
        NotApprovedError: There are fewer than policy asks for.
    """
    needed, why = approvals_needed(plan, policy)
    counted: dict[str, Approval] = {}
    left_out: list[str] = []
    for approval in approvals:
        person = _person(approval.who)
        if approval.effects_digest != plan.effects_digest:
            left_out.append(f"{approval.who} approved other effects")
        elif not policy.author_may_approve and (author is None or person == _person(author)):
            left_out.append(f"{approval.who} is its author" if author else "its author is not known")
        else:
            counted.setdefault(person, approval)
    if len(counted) < needed:
        found = sorted(approval.who for approval in counted.values())
        raise NotApprovedError(needed=needed, why=why, found=found, left_out=sorted(set(left_out)))
    return tuple(counted.values())


def approvals_needed(plan: Plan, policy: ApprovalPolicy) -> tuple[int, str]:
    """How many approvals a plan needs, and the reason in words; value counts only where it would be written."""
    totals: dict[tuple[str, str], int] = {}
    for change in plan.changes:
        if not is_picked(plan, change):
            continue
        key = (str(change.chain_id), change.token or change.symbol or "")
        totals[key] = totals.get(key, 0) + change.value_units
        above = limit_of(change, policy.two_person_above)
        if above is not None and totals[key] > above:
            return 2, f"it moves more {change.symbol or change.token} than one person may approve"
    return policy.approvals_min, "policy asks for it"


def fingerprint(finding: Finding) -> str:
    """Name a break with all it shows; age and severity grow by themselves and do not count."""
    shown = [
        finding.payment_id,
        finding.verdict,
        list(finding.findings),
        finding.difference_units,
        finding.value_units,
        [[view.field, view.local, view.provider, view.chain] for view in finding.fields],
        list(finding.evidence),
    ]
    return _hash(_canonical(shown))


def sort_breaks(breaks: Iterable[Finding], *, acks: Iterable[Ack], known: Iterable[str], now: datetime) -> SortedBreaks:
    """Tell new breaks from known and acknowledged ones, each in the given order.

    Args:
        known: Fingerprints of the breaks of an earlier report.
    """
    valid = {ack.fingerprint for ack in acks if parse_time(ack.until, what="acknowledgement's end") > now}
    seen = set(known)
    new: list[Finding] = []
    old: list[Finding] = []
    accepted: list[Finding] = []
    for finding in breaks:
        mark = fingerprint(finding)
        (accepted if mark in valid else old if mark in seen else new).append(finding)
    return SortedBreaks(tuple(new), tuple(old), tuple(accepted))


def _person(who: str) -> str:
    return " ".join(who.split()).casefold()


def _named(what: str, *, who: str, reason: str) -> None:
    if not who.strip() or len(who) > TEXT_MAX:
        raise MissingReasonError(what=what, missing="the name of a person")
    if not reason.strip() or len(reason) > TEXT_MAX:
        raise MissingReasonError(what=what, missing="a reason")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
