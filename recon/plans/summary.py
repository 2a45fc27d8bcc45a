"""What a plan says of the whole window: how many payments, how they were judged, what is at risk, and is it sound."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from recon.core.model import Finding, Policy, Verdict
from recon.verdicts.judge import Judgement

if TYPE_CHECKING:
    import pyarrow as pa

FEW: Final = 3
"""Fewer payments or failures than these tell nothing about a provider."""

FAILED_SHARE_MAX_PERCENT: Final = 20
"""More failed look-ups than this share, and what a provider did answer is not the whole."""

_NOT_IN_SCOPE: Final = (Verdict.TEST_PAYMENT, Verdict.OUT_OF_SCOPE)
_IDLE: Final = (Verdict.IN_TRANSIT, Verdict.ABANDONED)
_MATCHED: Final = (Verdict.IN_SYNC, Verdict.PARTLY_REFUNDED)
_UNPROVEN: Final = (Verdict.LOOKUP_FAILED, Verdict.UNPROVEN, Verdict.MISSING_REFERENCE)


@dataclass(frozen=True, slots=True)
class Summary:
    """The counts of one judgement, and what follows from them.

    Args:
        judgement: What was counted in the engine.
        findings: Every finding of the plan, those without a payment included.
        coverage: The coverage rows of the snapshot.
        policy: Which share of unproven payments is still sound.
        providers: Names of the sources that are providers.
        answers: By provider, what it was asked and knew (:data:`recon.verdicts.answers.ANSWERS`).
        residuals: One sentence for each known wallet whose balances and movements do not add up.
    """

    judgement: Judgement
    findings: Sequence[Finding]
    coverage: Sequence[Mapping[str, Any]]
    policy: Policy
    providers: Sequence[str]
    answers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    residuals: Sequence[str] = ()

    @property
    def counts(self) -> Counter[str]:
        """Payments by verdict."""
        counted: Counter[str] = Counter()
        for row in self.judgement.counts.to_pylist():
            counted[row["verdict"]] += row["rows"]
        return counted

    def split_by(self, column: str) -> dict[str, dict[str, int]]:
        """Payments by verdict, for each value of a column; ``none`` where there is no value."""
        parts: dict[str, Counter[str]] = defaultdict(Counter)
        for row in self.judgement.counts.to_pylist():
            parts[str(row[column] or "none")][row["verdict"]] += row["rows"]
        return {name: dict(sorted(part.items())) for name, part in sorted(parts.items())}

    @property
    def orphans(self) -> int:
        """Findings about what no row knows."""
        return sum(finding.verdict is Verdict.MISSING_LOCAL for finding in self.findings)

    @property
    def unexplained(self) -> int:
        """Findings about outgoing money that no row explains."""
        return sum(finding.verdict is Verdict.UNEXPLAINED_OUTFLOW for finding in self.findings)

    @property
    def value_at_risk(self) -> dict[str, str]:
        """Base units of all findings, by chain and token."""
        risk: Counter[str] = Counter()
        for finding in self.findings:
            if finding.value_units and finding.token:
                risk[f"{finding.chain_id}:{finding.token}"] += finding.value_units
        return {name: str(units) for name, units in sorted(risk.items())}

    @property
    def captured_not_credited(self) -> dict[str, str]:
        """Base units that are proven on chain and not credited, by chain and token."""
        rows = self.judgement.captured.to_pylist()
        return dict(sorted((f"{row['chain_id']}:{row['token']}", str(int(row["units"]))) for row in rows))

    @property
    def dust(self) -> dict[str, dict[str, str | int]]:
        """Transfers too small to matter, by chain and token: how many, their base units, and the limit below which."""
        return {
            (key := f"{row['chain_id']}:{row['token']}"): {
                "transfers": row["rows"],
                "units": str(int(row["units"])),
                "below": str(self.policy.dust_units[key]),
            }
            for row in self.judgement.dust.to_pylist()
        }

    def as_dict(self) -> dict[str, Any]:
        """The summary as it stands in the plan."""
        counts = self.counts
        payments = counts.total()
        scoped = payments - _sum(counts, _NOT_IN_SCOPE)
        compared = scoped - _sum(counts, _IDLE)
        unproven = _sum(counts, _UNPROVEN)
        counts[Verdict.MISSING_LOCAL] += self.orphans
        counts[Verdict.UNEXPLAINED_OUTFLOW] += self.unexplained
        return {
            "payments": payments,
            "payments_in_scope": scoped,
            "payments_compared": compared,
            "verdicts": {str(name): counts[name] for name in Verdict if counts[name]},
            "by_provider": self.split_by("provider"),
            "by_chain": self.split_by("chain_id"),
            "auto_match_rate": _share(_sum(counts, _MATCHED), compared),
            "unproven_share": _share(unproven, scoped),
            "value_at_risk": self.value_at_risk,
            "captured_not_credited": self.captured_not_credited,
            **({"dust": dust} if (dust := self.dust) else {}),
            "open_by_age": dict(self.judgement.open_by_age),
            "health": self._health(payments, scoped=scoped, unproven=unproven),
            "provider_calls": sum(row["calls"] or 0 for row in self.coverage if row["source"] in self.providers),
            "chain_calls": sum(row["calls"] or 0 for row in self.coverage if row["chain_id"] is not None),
        }

    def _health(self, payments: int, *, scoped: int, unproven: int) -> dict[str, Any]:
        """Whether the evidence is complete enough to rely on the numbers, and why not."""
        most = self.policy.unproven_share_max_percent
        reasons = []
        if payments and not scoped:
            reasons.append(f"none of the {payments} payments is in scope: no provider or chain of theirs is configured")
        if unproven * 100 > most * scoped:
            reasons.append(f"{unproven} of {scoped} payments are unproven, over {most} %")
        if any(row["source"] == "payments" and not row["complete"] for row in self.coverage):
            reasons.append("the payments themselves were not read completely")
        for provider in sorted(set(self.policy.providers) & self.answers.keys()):
            mine = [row for row in self.coverage if row["source"] == provider]
            reasons += [*_failed_often(provider, self.answers[provider], mine)]
            reasons += [str(row["problem"]).rstrip(".") for row in mine if row["scope"] == "fresh"]
            reasons += [*_knows_none(provider, self.answers[provider], mine)]
        reasons += self.residuals
        return {"ok": not reasons, "reasons": reasons}


def _failed_often(provider: str, answers: Mapping[str, int], coverage: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Why what a provider did answer is not the whole, although it answered."""
    failed = answers.get("failed", 0)
    asked = max(failed, sum(row["items"] or 0 for row in coverage if row["scope"] == "lookup"))
    if failed >= FEW and failed * 100 > FAILED_SHARE_MAX_PERCENT * asked:
        yield f"{failed} of {asked} look-ups at {provider} failed, over {FAILED_SHARE_MAX_PERCENT} %"


def _knows_none(provider: str, answers: Mapping[str, int], coverage: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Why "no such payment" is no evidence where a provider says it of every payment."""
    payments = answers.get("payments", 0)
    has_answered = answers.get("not_found", 0) > 0 or any(row["complete"] for row in coverage)
    if payments >= FEW and not answers.get("known", 0) and has_answered:
        yield f"{provider} knows none of our {payments} payments: it may be another account, or have lost its data"


def answers_of(table: pa.Table) -> dict[str, dict[str, int]]:
    """Counts of :data:`recon.verdicts.answers.ANSWERS` by provider."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for row in table.to_pylist():
        found[row["provider"]][row["what"]] = row["rows"]
    return dict(found)


def _sum(counts: Mapping[str, int], verdicts: Iterable[Verdict]) -> int:
    return sum(counts[verdict] for verdict in verdicts)


def _share(part: int, whole: int) -> str:
    """A ratio as exact decimal text with four places, cut, never rounded up; an empty whole gives 0."""
    places = part * 10_000 // whole if whole else 0
    return f"{places // 10_000}.{places % 10_000:04d}"
