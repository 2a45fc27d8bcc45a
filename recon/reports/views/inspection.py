"""One payment as a report: the verdict, the ranked causes, what each side says, the timeline, what was not asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from recon.core.model import TIER_TEXT, FieldView, Finding, Tier
from recon.core.registry import load_registry
from recon.core.registry.off_chain import OFF_CHAIN
from recon.core.times import ms_text, second_text
from recon.investigation.payment import Inspection
from recon.investigation.payment.causes import RankedCause
from recon.investigation.payment.outgoing import OutgoingList
from recon.investigation.payment.proof import ProofReport
from recon.reports.explorer import TRANSACTION, Named, explorer_pages
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import amount_text, shell_word


def render_inspection(found: Inspection, *, related: bool = True) -> Report:
    """The inspection in reading order: verdict and first cause, causes with evidence, sides, timeline, gaps.

    Args:
        related: Whether the other payments that the text led to are listed.
    """
    dossier, judged = found.dossier, found.judged
    facts = [Fact("asked", "asked about", dossier.asked)]
    facts += [Fact("case", "case file", note, alarm=True) for note in found.case_notes]
    if judged is None:
        none = "none: no row of the whole collection knows it"
        if not found.is_complete:
            none = "cannot tell: no row that could be read knows it; see what was not asked"
        facts.append(Fact("payment", "payment", none, alarm=True))
        tables = [_lines("known_by", "What knows it", dossier.found_by, empty="nothing")]
        return Report("inspection", "No payment", tuple(facts), (*tables, _gaps(found)), _orphan_steps())
    finding = judged.finding
    value = _due(judged.row, finding)
    facts += [
        Fact("payment", "payment", finding.payment_id, "id"),
        Fact("amount", "amount due", value, "exact"),
        Fact("provider", "provider", _provider_text(finding)),
        Fact("verdict", "verdict", str(finding.verdict), "verdict"),
        Fact("tier", "may be changed", _may_be_changed(found), "tier"),
        Fact("reason", "because", finding.reason),
        Fact("findings", "everything that shows", " ".join(finding.findings)),
        Fact("age", "age", "" if finding.age_s is None else str(finding.age_s), "age"),
        Fact("taken_at", "evidence taken", ms_text(dossier.now_ms), "time"),
        Fact("complete", "evidence", "complete" if found.is_complete else "INCOMPLETE: see what was not asked",
             alarm=not found.is_complete),
    ]  # fmt: skip
    if found.causes:
        first = found.causes[0]
        facts.insert(1, Fact("cause", "first cause", f"{first.title} ({_word(first)})", alarm=True))
        facts.insert(2, Fact("next", "next step", first.next_step))
    tables = [
        _causes(found.causes, is_complete=found.is_complete),
        _evidence(found.causes),
        _sides(finding.fields),
        _timeline(found),
        _gaps(found),
        _lines("evidence", "References to check", dict.fromkeys(finding.evidence), empty="none"),
    ]
    tables += _explorer_tables(found, finding)
    if related:
        tables.append(_lines("known_by", "How it was found, and what else knows it", dossier.found_by, empty="-"))
    return Report("inspection", f"Payment {finding.payment_id}", tuple(facts), tuple(tables), _steps(found, finding))


def _provider_text(finding: Finding) -> str:
    is_in_books = finding.chain_id == OFF_CHAIN
    return f"{finding.provider}, in its books" if is_in_books else f"{finding.provider} on chain {finding.chain_id}"


def _may_be_changed(found: Inspection) -> str:
    """The tier in words, and that there is nothing to pick where no correction fits the row."""
    assert found.judged is not None
    tier = found.judged.finding.tier
    if tier is Tier.REVIEW and not found.has_change:
        return f"{tier}: for a person to settle; no correction fits the row as it stands"
    return f"{tier}: {TIER_TEXT[tier]}"


def _steps(found: Inspection, finding: Finding) -> tuple[str, ...]:
    name = shell_word(finding.payment_id)
    steps = [f"Nothing has changed. To keep this as evidence: recon case {name} --out case.json"]
    if finding.tier in (Tier.AUTO, Tier.REVIEW) and found.has_change:
        steps.append(f"To see what a correction would write: recon plan --id {name}")
    return tuple(steps)


def _orphan_steps() -> tuple[str, ...]:
    return (
        "Money or a provider object without a row is a missing payment (see its runbook): freeze what it "
        "touches, keep the evidence, have the row made.",
    )


def _word(cause: RankedCause) -> str:
    return cause.strength.name.lower()


def _causes(causes: Iterable[RankedCause], *, is_complete: bool) -> Table:
    columns = (
        Column("rank", "", "count"), Column("cause", "cause", "id"), Column("strength", "strength", "severity"),
        Column("title", "what it is", "prose"), Column("next_step", "next step", "prose"),
        Column("runbook", "where that stands", wide=True),
    )  # fmt: skip
    rows = tuple(
        (str(number), cause.name, _word(cause), cause.title, cause.next_step, cause.source)
        for number, cause in enumerate(causes, 1)
    )
    empty = "no cause fits the evidence" if is_complete else "cannot tell: the evidence is incomplete"
    return Table("causes", "Causes, best explanation first", columns, rows, empty=empty)


def _evidence(causes: Iterable[RankedCause]) -> Table:
    columns = (Column("cause", "cause", "id"), Column("speaks", "speaks"), Column("says", "evidence", "prose"))
    rows = [(cause.name, "for", text) for cause in causes for text in cause.evidence_for]
    rows += [(cause.name, "against", text) for cause in causes for text in cause.evidence_against]
    order = {cause.name: number for number, cause in enumerate(causes)}
    return Table(
        "cause_evidence", "Evidence for and against each", columns,
        tuple(sorted(rows, key=lambda row: (order[row[0]], row[1] == "against"))), empty="none",
    )  # fmt: skip


def _sides(fields: Iterable[FieldView]) -> Table:
    columns = (Column("field", "field", "id"), Column("local", "our row"), Column("provider", "provider"),
               Column("chain", "chain"))  # fmt: skip
    rows = tuple((view.field, view.local or "-", view.provider or "-", view.chain or "-") for view in fields)
    return Table("sides", "What each side says", columns, rows, empty="nothing can be compared")


def _timeline(found: Inspection) -> Table:
    columns = (Column("at", "UTC", "time"), Column("source", "source"), Column("says", "what happened", "prose"))
    rows = tuple((ms_text(event.at_ms), event.source, event.says) for event in found.timeline)
    return Table("timeline", "Timeline", columns, rows, empty="nothing carries a time")


def _gaps(found: Inspection) -> Table:
    return _lines("not_asked", "What could not be asked", found.not_asked, empty="everything was asked")


def _explorer_tables(found: Inspection, finding: Finding) -> Iterator[Table]:
    """The pages at the explorer of what the payment names; nothing where its chain has no explorer that is known."""
    assert found.judged is not None
    row = found.judged.row
    own = [Named("recipient", finding.chain_id, row["recipient"]), Named(TRANSACTION, finding.chain_id, row["tx_hash"])]
    own += [Named(TRANSACTION, link["t_chain"], link["t_tx"]) for link in found.judged.links]
    pages = explorer_pages(finding, None, registry=found.registry or load_registry(), more=own)
    if pages:
        columns = (Column("what", "what"), Column("page", "page", "link"))
        yield Table("explorer", "At the explorer", columns, tuple((each.what, each.page) for each in pages))


def _lines(name: str, title: str, lines: Iterable[str], *, empty: str) -> Table:
    rows = tuple((line,) for line in lines)
    return Table(name, title, (Column("line", "", "prose"),), rows, empty=empty)


def render_proof(found: ProofReport) -> Report:
    """What a proof is worth: the answer first, every check below."""
    columns = (
        Column("check", "check", "id"),
        Column("state", "state", "severity"),
        Column("says", "what it shows", "prose"),
    )
    rows = tuple((check.name, check.state, check.says) for check in found.checks)
    facts = (
        Fact("answer", "answer", found.answer.upper(), alarm=found.answer != "accept"),
        Fact("why", "because", found.why),
        Fact("tx_hash", "transaction", found.tx_hash, "id"),
        Fact("payment", "payment", found.payment_id or "none", "id"),
    )
    step = {
        "accept": "Nothing was written. What the row lacks of it, a plan corrects from the chain's proof: "
        f"recon plan --id {shell_word(found.payment_id or 'ID')}",
        "wait": "Nothing was written. Ask again later.",
        "suspicious": "Nothing was written. Keep the payment pending and hand this to operator review "
        "(runbook: suspicious proof).",
    }[found.answer]
    return Report("proof", "Proof", facts, (Table("checks", "Checks", columns, rows),), (step,))


def render_outgoing(found: OutgoingList, *, since: datetime) -> Report:
    """Everything that went out, unusual ones first."""
    columns = (
        Column("payment_id", "payment", "id"), Column("direction", "direction"), Column("state", "state"),
        Column("amount", "amount", "amount"), Column("destination", "destination", "id"),
        Column("proof", "proof", "id"), Column("approvers", "approver fields"), Column("at", "changed", "time"),
        Column("unusual", "unusual because", "prose"),
    )  # fmt: skip
    rows = tuple(
        (
            each.payment_id,
            each.direction,
            f"{each.status}/{each.escrow_state}",
            each.amount,
            each.destination,
            each.proof,
            ", ".join(f"{path}={value}" for path, value in each.approvers) or "none",
            ms_text(each.at_ms),
            "; ".join(each.unusual),
        )
        for each in found
    )
    odd = sum(bool(each.unusual) for each in found)
    facts = (
        Fact("since", "since", second_text(since), "time"),
        Fact("outgoing", "releases, refunds and payouts", str(len(found)), "count"),
        Fact("unusual", "unusual", str(odd), "count", alarm=bool(odd)),
        *(Fact("unread", "CANNOT TELL of all", text, alarm=True) for text in found.unread),
    )
    empty = "cannot tell: not everything could be read" if found.unread else "nothing"
    return Report("outgoing", "What went out", facts, (Table("outgoing", "Outgoing", columns, rows, empty=empty),))


def _due(row: Mapping[str, Any], finding: Finding) -> str:
    """The amount due; where it is no number of base units, what is stored."""
    if row["expected_units"] is None:
        return f"{row['amount_text'] or 'nothing'} stored: no amount that can be paid"
    return amount_text(int(row["expected_units"]), decimals=finding.decimals, symbol=finding.symbol)
