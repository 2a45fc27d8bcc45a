"""The manual sample: a few payments, drawn in a way that can be repeated, checked and signed by two people.

A sample is a sheet (a file named by its digest) and one file per sign-off beside it. The draw is seeded and stratified:
every verdict and every size of payment that occurs is in it before a common kind comes twice.

>>> rows = [SampleCandidate(f"p{n}", "in_sync", value_units=n * 10**6, decimals=6) for n in range(100)]
>>> [row.payment_id for row in draw_sample(rows, size=3, seed=7)]
['p5', 'p51', 'p8']
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from recon.core.canonical import canonical_json, sha256_hex
from recon.core.errors import RefusedError, UsageError
from recon.core.model import Plan
from recon.core.money import format_units
from recon.core.people import Person, checked_name, is_one_person, person_key
from recon.core.text import count_text
from recon.core.times import millisecond_text
from recon.files import FileThereError, make_folder, save_new
from recon.plans.approvals import DecisionTerms, record_bytes, shelved, target_digest
from recon.plans.shelf import Shelf
from recon.plans.ssh_keys import LOOKED, NotSignedError

FORMAT: Final = 1
SIZE_MAX: Final = 1000
FILE_MAX_BYTES: Final = 20_000_000
BANDS: Final = ((10, "under 10"), (100, "10 to 100"), (1000, "100 to 1000"), (10_000, "1000 to 10000"))
NAME_MAX: Final = 100
NOTE_MAX: Final = 2000
FILES_MAX: Final = 1000

Finding = Literal["right", "wrong"]


class SampleError(RefusedError):
    """A sample file is not the one that was drawn."""

    def __init__(self, *, path: str, why: str) -> None:
        super().__init__(f'{path}: {why}; nothing was recorded. Draw a new one with "recon sample".')


class SampleTooSmallError(UsageError):
    """There are fewer payments than the sample asks for, or it asks for none."""

    def __init__(self, *, size: int, found: int) -> None:
        super().__init__(
            f"A sample of {size} was asked for and {count_text(found, 'payment')} can be drawn from (1 to {SIZE_MAX} "
            "are possible); no file was written. Widen the window or ask for fewer."
        )


class SignedTwiceError(RefusedError):
    """The same person would sign the same sample twice."""

    def __init__(self, *, operator: str, earlier: str) -> None:
        super().__init__(
            f"{operator} has signed this sample already, as {earlier!r}; nothing was recorded. "
            "The second sign-off must be another person's."
        )


class SignOffError(UsageError):
    """A sign-off does not say what it must: who, and one finding for each row of the sample."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"The sign-off {why}; nothing was recorded.")


@dataclass(frozen=True, slots=True)
class SampleCandidate:
    """A payment that may be drawn: what recon says of it, and its size in base units of its token."""

    payment_id: str
    verdict: str
    value_units: int | None = None
    decimals: int | None = None
    symbol: str | None = None
    reason: str = ""
    evidence: tuple[str, ...] = ()

    @property
    def band(self) -> str:
        """The size of the payment in whole tokens, as a word; tokens are taken to be worth about the same."""
        if self.value_units is None or self.decimals is None:
            return "amount unknown"
        whole = abs(self.value_units) // 10**self.decimals
        return next((name for limit, name in BANDS if whole < limit), "10000 and over")

    @property
    def amount(self) -> str:
        """The amount as text with its token."""
        if self.value_units is None or self.decimals is None:
            return ""
        return f"{format_units(self.value_units, decimals=self.decimals)} {self.symbol or ''}".strip()


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One drawn payment as two people look at it."""

    payment_id: str
    verdict: str
    band: str
    amount: str
    reason: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A drawn sample.

    Args:
        plan: Digest of the plan whose judgements are checked; ``plan_at`` when it was made.
        population: How many payments it was drawn from.
        target: Digest of the plan's target; empty in samples of before it was kept.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    provider: str
    seed: int
    size: int
    population: int
    plan: str
    plan_at: str
    drawn_at: str
    rows: tuple[SampleRow, ...]
    format: int = FORMAT
    digest: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class SignOff:
    """What one person found: for each row whether recon's judgement is right.

    Args:
        sample: Digest of the sample.
        operator: The name as given; two names are one person if they read the same.
        findings: ``right`` or ``wrong`` by payment id.
        target: That of the sample.
        login: Whose login it was, beside the name.
        journal_head: Number, hash and journal of its last entry as it was then, where it was noted.
        signature: Of all of this but signature and digest; empty where nothing is signed.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "strict": True}

    sample: str
    operator: str
    at: str
    findings: dict[str, Finding]
    notes: dict[str, str]
    format: int = FORMAT
    digest: str = ""
    target: str = ""
    login: str = ""
    journal_head: dict[str, Any] | None = None
    signature: str = ""


@dataclass(frozen=True, slots=True)
class CheckedSign:
    """A sign-off with whose it is, and why it counts for nothing if it does."""

    sign: SignOff
    person: Person
    void: str = ""


def draw_sample(candidates: Iterable[SampleCandidate], *, size: int, seed: int) -> tuple[SampleRow, ...]:
    """Draw rows, stratified by verdict and size; the same candidates in any order and the same seed give the same rows.

    Each stratum gives one row before any gives a second; where strata outnumber rows, the verdicts take turns.

    Raises:
        SampleTooSmallError: Fewer payments than rows.
    """
    unique = {candidate.payment_id: candidate for candidate in candidates}
    if not 1 <= size <= SIZE_MAX or len(unique) < size:
        raise SampleTooSmallError(size=size, found=len(unique))
    strata: dict[tuple[str, str], list[SampleCandidate]] = {}
    for candidate in sorted(unique.values(), key=lambda item: item.payment_id):
        strata.setdefault((candidate.verdict, candidate.band), []).append(candidate)
    dice = random.Random(seed)  # noqa: S311 - a draw that can be repeated, not a secret
    for _, members in sorted(strata.items()):
        dice.shuffle(members)
    drawn: list[SampleCandidate] = []
    while len(drawn) < size:
        drawn.extend(_one_of_each(strata, dice)[: size - len(drawn)])
    return tuple(
        SampleRow(item.payment_id, item.verdict, item.band, item.amount, item.reason, item.evidence)
        for item in sorted(drawn, key=lambda item: (item.verdict, item.payment_id))
    )


def _one_of_each(strata: Mapping[tuple[str, str], list[SampleCandidate]], dice: random.Random) -> list[SampleCandidate]:
    """Take one from every stratum that has any left, the verdicts in turn, their sizes in a drawn order."""
    by_verdict: dict[str, list[SampleCandidate]] = {}
    for (verdict, _), members in sorted(strata.items()):
        if members:
            by_verdict.setdefault(verdict, []).append(members[-1])
    for members in by_verdict.values():
        dice.shuffle(members)
    order = sorted(by_verdict)
    dice.shuffle(order)
    turns = [
        by_verdict[verdict][turn]
        for turn in range(max(len(members) for members in by_verdict.values()))
        for verdict in order
        if turn < len(by_verdict[verdict])
    ]
    for members in strata.values():
        if members and members[-1] in turns:
            members.pop()
    return turns


def make_sample(
    candidates: Sequence[SampleCandidate], *, provider: str, size: int, seed: int, plan: Plan, now: datetime
) -> Sample:
    """Draw a sample and give it its digest.

    Args:
        plan: The plan that judged the candidates.

    Raises:
        SampleTooSmallError: Fewer payments than rows.
    """
    rows = draw_sample(candidates, size=size, seed=seed)
    population = len({candidate.payment_id for candidate in candidates})
    drawn = Sample(provider, seed, size, population, plan.digest, plan.created_at, millisecond_text(now), rows)
    return _sealed(replace(drawn, target=target_digest(plan.target)))


def sign_sample(
    sample: Sample,
    earlier: Iterable[CheckedSign],
    *,
    operator: str,
    findings: Mapping[str, str],
    notes: Mapping[str, str],
    now: datetime,
) -> SignOff:
    """Make one person's sign-off of a whole sample, not signed with any key yet.

    Raises:
        SignedTwiceError: That person signed it before.
        SignOffError: No name, a row without a finding, or a finding without a row.
        OddNameError: The name may look like another person's.
    """
    name = _signer(operator)
    _refuse_second(sample.digest, Person(name), earlier)
    rows = {row.payment_id for row in sample.rows}
    _check_findings(findings, rows=rows)
    kept = {key: text[:NOTE_MAX] for key, text in sorted(notes.items()) if key in rows and text}
    checked: dict[str, Finding] = {key: "right" if findings[key] == "right" else "wrong" for key in sorted(rows)}
    return _sealed_sign(SignOff(sample.digest, name, millisecond_text(now), checked, kept, target=sample.target))


def seal_sign_off(sign: SignOff, earlier: Iterable[CheckedSign], *, terms: DecisionTerms, now: datetime) -> CheckedSign:
    """Sign a sign-off with a key, where there is one.

    Raises:
        NotSignedError: It must be signed and could not be.
        SignedTwiceError: The owner of the key signed the sample before, under whatever name.
    """
    head = None if terms.journal_head is None else asdict(terms.journal_head)
    bare = replace(sign, login=terms.login, journal_head=head, digest="")
    content = terms.sealed(_signed_content(bare), namespace=LOOKED)
    signer, void = terms.judged(content, who=sign.operator, namespace=LOOKED, now=now)
    if void:
        raise NotSignedError(why=void)
    person = Person(sign.operator, signer)
    _refuse_second(sign.sample, person, earlier)
    return CheckedSign(_sealed_sign(replace(bare, signature=content.get("signature", ""))), person)


def check_sign_offs(
    sample: Sample, signs: Iterable[SignOff], *, terms: DecisionTerms, now: datetime
) -> tuple[CheckedSign, ...]:
    """Find out whose sign-offs they are; one of another sample or target counts for nothing.

    Raises:
        SignersFileError, NoSshKeygenError: Signatures cannot be checked.
    """
    found = []
    for sign in signs:
        content = {**_signed_content(sign), "signature": sign.signature}
        signer, void = terms.judged(content, who=sign.operator, namespace=LOOKED, now=now)
        if sign.sample != sample.digest or sign.target != sample.target:
            void = void or "it is of another sample"
        elif terms.signers is not None and not sample.target:
            void = void or "its sample does not name a target; draw a new one"
        found.append(CheckedSign(sign, Person(sign.operator, signer), void))
    return tuple(found)


def _signed_content(sign: SignOff) -> dict[str, Any]:
    content = {key: value for key, value in asdict(sign).items() if key not in ("digest", "signature")}
    return {key: value for key, value in content.items() if value or key not in ("login", "journal_head", "target")}


def _refuse_second(sample: str, person: Person, earlier: Iterable[CheckedSign]) -> None:
    for each in earlier:
        if each.sign.sample == sample and not each.void and is_one_person(each.person, person):
            raise SignedTwiceError(operator=str(person), earlier=each.sign.operator)


def _signer(operator: str) -> str:
    """The name of a person as a sign-off holds it."""
    if not operator.strip() or len(operator) > NAME_MAX:
        raise SignOffError(why=f"needs the name of who looked, in at most {NAME_MAX} characters")
    return checked_name(operator)


def _check_findings(findings: Mapping[str, str], *, rows: Set[str]) -> None:
    """Refuse findings that leave out a row, name another one, or say neither right nor wrong."""
    if missing := sorted(rows - set(findings)):
        raise SignOffError(why=f"has no finding for {missing[0]} and {len(missing) - 1} more of {len(rows)} rows")
    if extra := sorted(set(findings) - rows):
        raise SignOffError(why=f"has a finding for {extra[0][:60]}, which is not in the sample")
    for payment_id, word in findings.items():
        if word not in ("right", "wrong"):
            raise SignOffError(why=f"says {word[:40]!r} of {payment_id}; it must be right or wrong")


def _sealed(sample: Sample) -> Sample:
    return replace(sample, digest=_digest_of(sample, later=("target",)))


def _sealed_sign(sign: SignOff) -> SignOff:
    return replace(sign, digest=_digest_of(sign, later=("target", "login", "journal_head", "signature")))


def _digest_of(held: Sample | SignOff, *, later: Collection[str]) -> str:
    """The digest of all but itself. Fields that came later count only where they say something: old digests stay."""
    content = {**asdict(held), "digest": ""}
    return sha256_hex(canonical_json({key: value for key, value in content.items() if value or key not in later}))


def save_sample(sample: Sample, path: Path) -> None:
    """Write a sample so that the file is whole or not there; an existing file is never replaced.

    Raises:
        SampleError: Something stands at that path already.
    """
    _save(asdict(sample), path)


def save_sign_off(sign: SignOff, sample_path: Path) -> Path:
    """Write a sign-off beside its sample and give its path.

    Raises:
        SampleError: It cannot be written beside the others.
    """
    name = hashlib.sha256(person_key(sign.operator).encode()).hexdigest()[:12]
    path = sample_path.with_name(f"{sample_path.stem}.signed-{name}.json")
    for number in range(2, FILES_MAX):
        # A file under that name which counts for nothing keeps nobody from signing.
        if not os.path.lexists(path):
            break
        path = sample_path.with_name(f"{sample_path.stem}.signed-{name}-{number}.json")
    _save(asdict(sign), path)
    return path


def _save(content: Mapping[str, Any], path: Path) -> None:
    make_folder(path.parent)
    try:
        save_new(path, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode())
    except FileThereError as error:
        raise SampleError(path=path.name, why="a file of that name is there already and is kept") from error


def load_sample(path: Path) -> Sample:
    """Read a sample back.

    Raises:
        SampleError: It cannot be read, or was changed since it was drawn.
    """
    sample: Sample = _load(path, Sample)
    if _sealed(sample).digest != sample.digest:
        raise SampleError(path=path.name, why="it was changed after it was drawn (its digest does not fit)")
    return sample


def load_sign_offs(sample_path: Path) -> tuple[SignOff, ...]:
    """Read all sign-offs beside a sample, by name.

    Raises:
        SampleError: One cannot be read, or was changed since it was signed.
    """
    signs = []
    for path in sorted(sample_path.parent.glob(f"{sample_path.stem}.signed-*.json")):
        sign: SignOff = _load(path, SignOff)
        if _sealed_sign(sign).digest != sign.digest:
            raise SampleError(path=path.name, why="it was changed after it was signed (its digest does not fit)")
        signs.append(sign)
    return tuple(sorted(signs, key=lambda sign: (sign.at, sign.operator)))


def shelve_sign_off(sign: SignOff, shelf: Shelf) -> None:
    """Keep a sign-off where decisions are kept."""
    name = hashlib.sha256(person_key(sign.operator).encode()).hexdigest()[:12]
    shelf.add([(f"{_signs_of(sign.sample)}{name}", record_bytes(asdict(sign)))])


def shelved_sign_offs(sample: Sample, shelf: Shelf) -> tuple[SignOff, ...]:
    """The sign-offs of a sample that are kept where decisions are, by name.

    Raises:
        BrokenRecordError: One does not fit its digest.
        SampleError: One is none, or was changed since it was signed.
    """
    from pydantic import TypeAdapter, ValidationError

    signs = []
    for name, content in shelved(shelf, _signs_of(sample.digest)):
        try:
            sign = TypeAdapter(SignOff).validate_json(json.dumps(content))
        except ValidationError as error:
            raise SampleError(path=name, why="this is no sign-off") from error
        if _sealed_sign(sign).digest != sign.digest:
            raise SampleError(path=name, why="it was changed after it was signed (its digest does not fit)")
        signs.append(sign)
    return tuple(signs)


def _signs_of(sample: str) -> str:
    return f"signed-{sample[:32]}-"


def _load(path: Path, kind: type[Any]) -> Any:
    from pydantic import TypeAdapter, ValidationError

    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise SampleError(path=path.name, why="the file is larger than any sample")
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except OSError as error:
        raise SampleError(path=path.name, why=f"the file cannot be read ({error.strerror})") from error
    except (ValidationError, ValueError, RecursionError) as error:
        raise SampleError(path=path.name, why="this is no file of that kind, or it was cut or changed") from error
