"""Who approved a plan, and which known breaks are accepted: write-once records with a digest each.

An approval names the *effects* of a plan, so it survives a new plan with the same effects and dies with any other. An
acknowledgement names a break with everything it shows, so it dies when the break changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from recon.core.errors import RefusedError, UsageError
from recon.core.model import Change, Finding, Plan, Target
from recon.core.people import Person, Signer, checked_name, is_one_person, name_problem, one_of_each
from recon.core.text import count_text
from recon.core.times import millisecond_text
from recon.plans.breaks import fingerprint
from recon.plans.decidable import Decidable
from recon.plans.file import is_picked, limit_of
from recon.plans.limits import AHEAD_MAX, PlanTimeError, parse_time
from recon.plans.shelf import FileShelf, Shelf, author_stem
from recon.plans.ssh_keys import (
    ACCEPTS,
    APPROVES,
    MADE,
    NotSignedError,
    Signers,
    SigningKey,
    WorthlessSignatureError,
)

Record = TypeVar("Record", bound="Decided")

TEXT_MAX: Final = 2000
VALID_FOR: Final = timedelta(hours=24)
"""How long an approval holds unless the configuration says otherwise."""

_LATER: Final = frozenset({"target", "expires_at", "login", "journal_head", "signature"})
"""Fields that older records lack; where they say nothing they are left out."""

_NEVER_STORED: Final = frozenset({"signer", "void"})
_ANOTHER_TARGET: Final = "it is about another target"


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
            f"The plan needs {count_text(needed, 'approval')} because {why}, and {have} approved it{apart}; "
            'nothing was written. Ask for "recon approve PLAN --reason TEXT".'
        )


@dataclass(frozen=True, slots=True)
class JournalHead:
    """The end of a journal as it was noted elsewhere.

    Args:
        seq: The number of its last entry.
        hash: Of that entry.
        journal: Which journal, as the configuration names it.
    """

    seq: int
    hash: str
    journal: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What every record of a person's decision has besides what it decides.

    Args:
        login: Whose login it was, beside the name that was given.
        signature: Of the whole record but the signature; empty where nothing is signed.
        signer: Who signed, as far as that was checked; never stored.
        void: Why it counts for nothing; never stored.
    """

    who: str
    at: str
    _: KW_ONLY
    login: str = ""
    signature: str = ""
    signer: Signer | None = None
    void: str = ""

    @property
    def person(self) -> Person:
        """Whose decision it is."""
        return Person(self.who, self.signer)


@dataclass(frozen=True, slots=True)
class Approval(Decided):
    """One person's yes to the effects of a plan.

    Args:
        digest: The digest of the bytes that the person saw.
        effects_digest: What the yes is about.
        target: Digest of the target that the plan names, which the effects contain as well.
        expires_at: Until when the yes holds; None in records of before there was an end.
        journal_head: Number and hash of the journal's last entry as it was then, where it was noted.
    """

    reason: str
    digest: str
    effects_digest: str
    ticket: str | None = None
    target: str | None = None
    expires_at: str | None = None
    journal_head: JournalHead | None = None


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    """How many people must have approved a plan.

    Args:
        approvals_min: 0, 1 or 2.
        author_may_approve: Whether the author of a plan counts.
        two_person_above: By ``chain_id:token`` (or token, or symbol), base units per run above which two are needed.
        is_signed: Whether a decision counts only with a signature that was checked.
    """

    approvals_min: int = 0
    author_may_approve: bool = True
    two_person_above: Mapping[str, int] = field(default_factory=dict)
    is_signed: bool = False


@dataclass(frozen=True, slots=True)
class Author(Decided):
    """Who noted having made a plan."""

    digest: str


@dataclass(frozen=True, slots=True)
class Ack(Decided):
    """A known break that a person accepts until a date, as long as it stays what it is; see :class:`Approval`."""

    payment_id: str
    verdict: str
    fingerprint: str
    reason: str
    until: str
    target: str | None = None
    journal_head: JournalHead | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A break that a person wants to accept until a time, and why."""

    finding: Finding
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class PreparedAck:
    """An acknowledgement that is checked and signed, and the record that it will be."""

    ack: Ack
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionTerms:
    """How decisions are recorded and believed.

    Args:
        signers: Whose signatures count; None believes names.
        key: What to sign with; None signs nothing.
        login: The login that decides, kept beside the name.
        journal_head: Noted in each record, so that a journal that loses its end is found out.
        valid_for: How long an approval holds.
    """

    signers: Signers | None = None
    key: SigningKey | None = None
    login: str = ""
    journal_head: JournalHead | None = None
    valid_for: timedelta = VALID_FOR

    def sealed(self, content: Mapping[str, Any], *, namespace: str) -> dict[str, Any]:
        """A record with its signature, or as it is where there is no key.

        Raises:
            NotSignedError: Signatures are asked for and there is no key, or it does not sign.
        """
        bare = {k: v for k, v in content.items() if k not in _NEVER_STORED and (v or k not in _LATER)}
        if self.key is None:
            if self.signers is not None:
                raise NotSignedError(why="[approvals] allowed_signers is set and no key is named")
            return bare
        return {**bare, "signature": self.key.sign(signed_text(bare), namespace=namespace)}

    def judged(
        self, content: Mapping[str, Any], *, who: str, namespace: str, now: datetime
    ) -> tuple[Signer | None, str]:
        """Who signed a record, and why it counts for nothing if it does.

        Args:
            who: The name that stands in it.
        """
        if why := name_problem(who):
            return None, f"its name {who[:60]!r} {why}"
        try:
            at = parse_time(str(content["at"]), what="time of a decision")
        except PlanTimeError:
            return None, "it has no readable time"
        if at - now > AHEAD_MAX:
            return None, f"it is dated {content['at']}, which is still to come"
        if self.signers is None:
            return None, ""
        bare = {name: value for name, value in content.items() if name != "signature"}
        try:
            signature = str(content.get("signature") or "")
            return self.signers.check(signed_text(bare), signature=signature, namespace=namespace, times=(at, now)), ""
        except WorthlessSignatureError as error:
            return None, f"it {error.why}"


def signed_text(content: Mapping[str, Any]) -> str:
    """What is signed of a record: everything it says, in its one spelling."""
    return _canonical({name: value for name, value in content.items() if name != "signature"})


class DecisionRecords:
    """Approvals, authors and acknowledgements on a shelf, such as a directory: each recorded once, never changed."""

    def __init__(self, place: Path | Shelf, terms: DecisionTerms | None = None) -> None:
        self._shelf: Shelf = FileShelf(place) if isinstance(place, Path) else place
        self._terms = terms or DecisionTerms()

    def approve(self, plan: Decidable, *, who: str, at: datetime, reason: str, ticket: str | None = None) -> Approval:
        """Record one person's approval, signed where there is a key.

        Raises:
            MissingReasonError: No name or no reason is given.
            OddNameError: The name may look like another person's.
            NotSignedError: It must be signed and could not be.
            RecordExistsError: This person already approved these effects, and that still counts.
        """
        who = _named("An approval", who=who, reason=reason)
        until = millisecond_text(at + self._terms.valid_for)
        approval = Approval(
            who, millisecond_text(at), reason, plan.digest, plan.effects_digest, ticket, target_digest(plan.target),
            until, self._terms.journal_head, login=self._terms.login,
        )  # fmt: skip
        given, content = self._sealed(approval, namespace=APPROVES, at=at)
        _refuse_second(given, self.approvals(plan, now=at), what="an approval of these effects")
        self._shelf.add([(f"approval-{plan.effects_digest[:32]}-{_hash(who)[:16]}", record_bytes(content))])
        return given

    def approvals(self, plan: Decidable, *, now: datetime) -> tuple[Approval, ...]:
        """The approvals of a plan's effects, by time; those that count for nothing say why.

        Raises:
            BrokenRecordError: A record does not fit its digest, or is no approval.
            SignersFileError, NoSshKeygenError: Signatures cannot be checked.
        """
        found = self._read(f"approval-{plan.effects_digest[:32]}-", Approval, namespace=APPROVES, now=now)
        mine = (
            replace(a, void=a.void or _ended(a, plan, now=now))
            for a in found
            if a.effects_digest == plan.effects_digest
        )
        return tuple(sorted(mine, key=lambda a: (a.at, a.who)))

    def note_author(self, plan: Decidable, *, who: str, at: datetime) -> None:
        """Remember who made a plan first; later makers of the same bytes change nothing, unless the first is void.

        The author signs where there is a key; a plan that nobody signed is made by nobody known.
        """
        author = Author(
            _named("An author", who=who, reason="-"), millisecond_text(at), plan.digest, login=self._terms.login
        )
        terms = self._terms if self._terms.key is not None else replace(self._terms, signers=None)
        content = terms.sealed(asdict(author), namespace=MADE)
        if not any(not each.void for each in self._authors(plan.digest, now=at)):
            self._shelf.add([(author_stem(plan.digest), record_bytes(content))])

    def author(self, plan: Decidable, *, now: datetime) -> tuple[Person, ...]:
        """Who made these bytes, else who made the plan they were selected from; empty when that is not known."""
        for digest in (plan.digest, plan.parent if plan.kind == "correction" else None):
            if digest and (found := [each for each in self._authors(digest, now=now) if not each.void]):
                return tuple(each.person for each in found)
        return ()

    def _authors(self, digest: str, *, now: datetime) -> list[Author]:
        found = self._read(author_stem(digest), Author, namespace=MADE, now=now)
        return [each for each in found if each.digest == digest]

    def acknowledge(
        self, finding: Finding, *, who: str, at: datetime, reason: str, until: datetime, target: Target
    ) -> Ack:
        """Accept a break of a target until a date, signed where there is a key.

        Raises:
            MissingReasonError: No name or reason, or a date that is past.
            OddNameError: The name may look like another person's.
            NotSignedError: It must be signed and could not be.
            RecordExistsError: This person already accepted exactly this break until this date.
        """
        [prepared] = self.prepare_acks([Acceptance(finding, reason, until)], who=who, at=at, target=target)
        self.record_acks([prepared])
        return prepared.ack

    def prepare_acks(
        self, wanted: Iterable[Acceptance], *, who: str, at: datetime, target: Target, passes_held: bool = False
    ) -> tuple[PreparedAck, ...]:
        """Everything of acknowledgements but writing them, so that many are recorded after none of them is refused.

        Args:
            passes_held: Leave out those that the same person recorded already, instead of refusing them.

        Raises:
            As :meth:`acknowledge`.
        """
        held, prepared = self.acks(target, now=at), []
        for each in wanted:
            who, mark = _named("An acknowledgement", who=who, reason=each.reason), fingerprint(each.finding)
            if each.until <= at:
                raise MissingReasonError(what="An acknowledgement", missing="a date that is still to come")
            ack = Ack(
                who, millisecond_text(at), each.finding.payment_id, str(each.finding.verdict), mark, each.reason,
                millisecond_text(each.until), target_digest(target), self._terms.journal_head, login=self._terms.login,
            )  # fmt: skip
            given, content = self._sealed(ack, namespace=ACCEPTS, at=at)
            earlier = [one for one in held if (one.fingerprint, one.until) == (mark, ack.until)]
            if passes_held and _is_held(given, earlier):
                continue
            _refuse_second(given, earlier, what=f"an acknowledgement of {ack.payment_id} until this date")
            prepared.append(PreparedAck(given, content))
        return tuple(prepared)

    def record_acks(self, prepared: Iterable[PreparedAck]) -> None:
        """Write acknowledgements that were prepared; after a failure none of them is there."""
        self._shelf.add(
            [
                (f"ack-{ack.fingerprint[:32]}-{_hash(f'{ack.who} {ack.until}')[:16]}", record_bytes(each.content))
                for each in prepared
                for ack in [each.ack]
            ]
        )

    def acks(self, target: Target, *, now: datetime, only: Iterable[Finding] | None = None) -> tuple[Ack, ...]:
        """The acknowledgements of breaks of a target, over or not; those that count for nothing say why.

        Args:
            only: The breaks that matter; all when not given.
        """
        marks = None if only is None else {fingerprint(finding)[:32] for finding in only}
        found = self._read("ack-", Ack, namespace=ACCEPTS, now=now, marks=marks)
        here = target_digest(target)
        mine = [replace(a, void=_ANOTHER_TARGET) if a.target not in (None, here) and not a.void else a for a in found]
        return tuple(sorted(mine, key=lambda a: (a.at, a.who)))

    def heads(self) -> tuple[tuple[str, JournalHead], ...]:
        """Every head of a journal that a record noted, with the record's name."""
        found = []
        for name, content in shelved(self._shelf, ""):
            if (head := head_of(content.get("journal_head"))) is not None:
                found.append((name, head))
        return tuple(found)

    def _sealed(self, decision: Record, *, namespace: str, at: datetime) -> tuple[Record, dict[str, Any]]:
        """A decision with its signer, and its record, signed where there is a key.

        Raises:
            NotSignedError: It must be signed and could not be, or would count for nothing.
        """
        content = self._terms.sealed(asdict(decision), namespace=namespace)
        signer, void = self._terms.judged(content, who=decision.who, namespace=namespace, now=at)
        if void:
            raise NotSignedError(why=void)
        return replace(decision, signature=content.get("signature", ""), signer=signer), content

    def _read(
        self, stem: str, kind: type[Record], *, namespace: str, now: datetime, marks: Collection[str] | None = None
    ) -> list[Record]:
        import msgspec

        names = {each.name for each in fields(kind)} - _NEVER_STORED
        found = []
        for path, content in shelved(self._shelf, stem):
            if marks is not None and path.split("-")[1][:32] not in marks:
                continue
            if not set(content) <= names:
                raise BrokenRecordError(path=path)
            try:
                record = msgspec.convert(content, kind)
            except msgspec.ValidationError as error:
                raise BrokenRecordError(path=path) from error
            signer, void = self._terms.judged(content, who=record.who, namespace=namespace, now=now)
            found.append(replace(record, signer=signer, void=f"{path}: {void}" if void else ""))
        return found


def shelved(shelf: Shelf, stem: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a shelf whose names begin with a stem, each with its name.

    Raises:
        BrokenRecordError: One does not fit its digest.
    """
    for name, data in shelf.records(stem):
        try:
            digest, _, text = data.decode().rstrip("\n").partition("\n")
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BrokenRecordError(path=name) from error
        if digest != _hash(text) or not isinstance(content, dict):
            raise BrokenRecordError(path=name)
        yield name, content


def record_bytes(content: Mapping[str, Any]) -> bytes:
    """A record as it is kept: its digest, and itself in its one spelling."""
    text = _canonical(content)
    return f"{_hash(text)}\n{text}\n".encode()


def _refuse_second(given: Decided, earlier: Iterable[Decided], *, what: str) -> None:
    """Refuse a decision that the same person has recorded and that still counts."""
    if _is_held(given, earlier):
        raise RecordExistsError(what=what, who=str(given.person))


def _is_held(given: Decided, earlier: Iterable[Decided]) -> bool:
    return any(not each.void and is_one_person(each.person, given.person) for each in earlier)


def _ended(approval: Approval, plan: Decidable, *, now: datetime) -> str:
    """Why a yes no longer holds for a plan, or never did; empty while it does."""
    if approval.target not in (None, target_digest(plan.target)):
        return f"{approval.person}'s approval is of another target"
    if approval.expires_at is None:
        return ""
    until = parse_time(approval.expires_at, what="end of an approval")
    return f"{approval.person}'s approval ended at {approval.expires_at}" if until <= now else ""


def target_digest(target: Target) -> str:
    """The name of one collection of one target, however it is reached and judged."""
    return _hash(_canonical([target.name, target.database, target.collection, target.collection_uuid]))


def head_of(found: object) -> JournalHead | None:
    """A noted end of a journal as it was written down; None for anything else."""
    if not isinstance(found, dict):
        return None
    seq, digest, journal = found.get("seq"), found.get("hash"), found.get("journal")
    is_one = isinstance(seq, int) and isinstance(digest, str) and isinstance(journal, str)
    return JournalHead(seq, digest, journal) if is_one else None  # type: ignore[arg-type]


def check_approvals(
    plan: Decidable, approvals: Iterable[Approval], *, policy: ApprovalPolicy, author: Sequence[Person], now: datetime
) -> tuple[Approval, ...]:
    """The approvals that count for a plan, one a person.

    Args:
        author: Who made the plan; nobody known counts as everybody where the author must not approve.

    Raises:
        NotApprovedError: There are fewer than policy asks for.
    """
    needed, why = approvals_needed(plan, policy)
    counted: list[Approval] = []
    left_out: list[str] = []
    for approval in approvals:
        reason = _left_out(approval, plan, policy=policy, author=author, now=now)
        if reason:
            left_out.append(reason)
        else:
            counted.append(approval)
    counted = [counted[place] for place in one_of_each([each.person for each in counted])]
    if len(counted) < needed:
        found = sorted(str(approval.person) for approval in counted)
        raise NotApprovedError(needed=needed, why=why, found=found, left_out=sorted(set(left_out)))
    return tuple(counted)


def _left_out(
    approval: Approval, plan: Decidable, *, policy: ApprovalPolicy, author: Sequence[Person], now: datetime
) -> str:
    """Why an approval does not count for a plan; empty if it does."""
    who = str(approval.person)
    if approval.effects_digest != plan.effects_digest:
        return f"{who} approved other effects"
    if why := approval.void or _ended(approval, plan, now=now):
        return why
    if policy.is_signed and approval.signer is None:
        return f"nobody checked the signature of {who}"
    if policy.author_may_approve:
        return ""
    if not author:
        return "its author is not known" + (" by a signature" if policy.is_signed else "")
    is_author = any(is_one_person(approval.person, each) for each in author)
    return f"{who} is its author" if is_author else ""


@dataclass(frozen=True, slots=True)
class Backing:
    """Who stands behind a plan.

    Args:
        approved: Whose approvals count.
        made: Who made it; empty when that is not known.
        left_out: Approvals that do not count, each with why.
    """

    approved: tuple[Person, ...]
    made: tuple[Person, ...]
    left_out: tuple[str, ...]


def backing_of(
    plan: Decidable, approvals: Iterable[Approval], *, policy: ApprovalPolicy, author: Sequence[Person], now: datetime
) -> Backing:
    """Who stands behind a plan, whether that is enough for it or not."""
    held = tuple(approvals)
    reasons = [_left_out(each, plan, policy=policy, author=author, now=now) for each in held]
    counted = [each.person for each, reason in zip(held, reasons, strict=True) if not reason]
    left_out = tuple(dict.fromkeys(reason for reason in reasons if reason))
    return Backing(tuple(counted[place] for place in one_of_each(counted)), tuple(author), left_out)


def approvals_needed(plan: Decidable, policy: ApprovalPolicy) -> tuple[int, str]:
    """How many approvals a plan needs, and the reason in words; value counts only where it would be written."""
    totals: dict[tuple[str, str], int] = {}
    for change in _written(plan):
        key = (str(change.chain_id), change.token or change.symbol or "")
        totals[key] = totals.get(key, 0) + change.value_units
        above = limit_of(change, policy.two_person_above)
        if above is not None and totals[key] > above:
            return 2, f"it moves more {change.symbol or change.token} than one person may approve"
    return policy.approvals_min, "policy asks for it"


def _written(plan: Decidable) -> Iterator[Change]:
    return (each for each in plan.changes if is_picked(plan, each)) if isinstance(plan, Plan) else iter(())


def _named(what: str, *, who: str, reason: str) -> str:
    if not who.strip() or len(who) > TEXT_MAX:
        raise MissingReasonError(what=what, missing="the name of a person")
    if not reason.strip() or len(reason) > TEXT_MAX:
        raise MissingReasonError(what=what, missing="a reason")
    return checked_name(who)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(content: Any) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
