"""Who stands behind a change of flags: who made the plan, who approved it, who looked at its sample, who applies it.

Where a file of allowed signers is set, a person who applies signs what is applied: the digests of the plan and of both
files, until when it holds, and an override with its reason. The signed manual sample of an enable plan is looked at
again before anything is written, for a key may have been taken back, or a row found wrong, since the plan was made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import RefusedError
from recon.core.model import Target
from recon.core.people import Person
from recon.core.times import millisecond_text
from recon.plans.approvals import ApprovalPolicy, DecisionRecords, DecisionTerms, backing_of, check_approvals
from recon.plans.ssh_keys import APPROVES, NotSignedError

if TYPE_CHECKING:
    from recon.rails.flags.plan import FlagPlan

SAMPLE_GATE: Final = "manual_sample"
A_CLAIM: Final = " (a name is a claim: nobody checked it)"


class SampleLapsedError(RefusedError):
    """The sample that let a rail be enabled no longer does, or cannot be looked at."""

    def __init__(self, *, provider: str, why: str) -> None:
        super().__init__(
            f"The manual sample behind this plan no longer holds: {why}; nothing was changed. "
            f'Make a new plan with "recon flags enable {provider} --sample FILE".'
        )


@dataclass(frozen=True, slots=True)
class FlagSubject:
    """A flag plan as decisions name it: its effects are its very bytes."""

    kind: str
    digest: str
    effects_digest: str
    target: Target
    parent: str | None = None


def subject_of(plan: FlagPlan) -> FlagSubject:
    """What a decision about a flag plan is about."""
    empty: dict[str, Any] = dict.fromkeys(("hosts", "chain_ids", "proxies", "provider_accounts"), ())
    target = Target(name="flags", database="", collection=plan.target, collection_uuid=None, **empty)
    return FlagSubject(f"flags {plan.kind}", plan.digest, plan.digest, target)


@dataclass(frozen=True, slots=True)
class SampleLook:
    """The sample of a plan as it stands now.

    Args:
        evidence: The sample, who signed it, and which sign-offs count for nothing.
        why: Why it does not satisfy; empty where it does.
    """

    evidence: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class FlagBacking:
    """Who stands behind a change: a line each, and the consent of who applies, signed where there is a key."""

    lines: tuple[str, ...]
    consent: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlagDecisions:
    """How decisions about flags are recorded and believed.

    Args:
        policy: How many people must have approved a flag plan.
        look: Judges the sample that a plan rests on, as it is at a time.
    """

    records: DecisionRecords
    terms: DecisionTerms
    policy: ApprovalPolicy
    look: Callable[[FlagPlan, datetime], SampleLook]

    def behind(self, plan: FlagPlan, *, by: str, override: str, reason: str, now: datetime) -> FlagBacking:
        """Who stands behind a plan that is about to be written.

        Raises:
            SampleLapsedError: Its gate of the sample passed, and would not now.
            NotApprovedError: Fewer people approved it than policy asks for.
            NotSignedError: Signatures are asked for, and who applies gave none that counts.
            SignersFileError, NoSshKeygenError: Signatures cannot be checked.
        """
        seen = self._sample(plan, now)
        people = tuple(self._people(plan, now))
        content = {
            "who": by, "at": millisecond_text(now), "kind": plan.kind, "plan": plan.digest, "target": plan.target,
            "before_digest": plan.before_digest, "after_digest": plan.after_digest, "expires_at": plan.expires_at,
            "override": override, "reason": reason, "login": self.terms.login,
        }  # fmt: skip
        signed = self.terms.sealed(content, namespace=APPROVES)
        signer, void = self.terms.judged(signed, who=by, namespace=APPROVES, now=now)
        if void:
            raise NotSignedError(why=void)
        return FlagBacking((*people, *seen, f"applied by {told(Person(by, signer))}"), signed)

    def _sample(self, plan: FlagPlan, now: datetime) -> tuple[str, ...]:
        outcomes = {str(gate["outcome"]) for gate in plan.gates if gate["name"] == SAMPLE_GATE}
        if plan.kind != "enable" and not outcomes:
            return ()
        found = self.look(plan, now)
        # A plan that does not say that its sample failed rests on it, whether it says that it passed or nothing.
        if outcomes <= {"pass"} and found.why:
            raise SampleLapsedError(provider=plan.safe, why=found.why)
        return found.evidence

    def _people(self, plan: FlagPlan, now: datetime) -> Iterator[str]:
        subject = subject_of(plan)
        author, approvals = self.records.author(subject, now=now), self.records.approvals(subject, now=now)
        check_approvals(subject, approvals, policy=self.policy, author=author, now=now)
        backing = backing_of(subject, approvals, policy=self.policy, author=author, now=now)
        yield from (f"made by {told(person)}" for person in backing.made)
        if not backing.made:
            yield "made by nobody known" + (" by a signature" if self.policy.is_signed else "")
        yield from (f"approved by {told(person)}" for person in backing.approved)
        yield from (f"counts for nothing: {why}" for why in backing.left_out)


def told(person: Person) -> str:
    """A person with what the name is worth."""
    return f"{person}, signed" if person.signer else f"{person}{A_CLAIM}"


def believed(plan: FlagPlan, by: str) -> FlagBacking:
    """Who stands behind a plan where nobody keeps decisions: the gate's word of when it was made, and a name."""
    rests_on = [str(line) for gate in plan.gates if gate["name"] == SAMPLE_GATE for line in gate["evidence"]]
    return FlagBacking((*rests_on, f"applied by {told(Person(by))}"))


def flag_policy(policy: ApprovalPolicy, *, approvals_min: int) -> ApprovalPolicy:
    """The policy for flag plans: as that for corrections, with a number of its own and without amounts."""
    return replace(policy, approvals_min=approvals_min, two_person_above={})
