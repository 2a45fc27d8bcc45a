"""What a search found: rows, provider objects, transfers, who knows them, what was searched and what was not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from recon.core.registry import Registry, load_registry
from recon.core.times import ms_text
from recon.investigation.search.question import SearchHit, SearchResult
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import amount_text, chain_text, shell_word

_LEDGER = {None: "not known", True: "pay-in there", False: "no pay-in"}


def render_search(found: SearchResult, *, registry: Registry | None = None) -> Report:
    """The hits first, then what was searched.

    Args:
        registry: Whose names of tokens count; the shipped ones when not given.
    """
    registry = registry or load_registry()
    tables = (
        _rows(found.rows, registry),
        _claims(found, registry),
        _transfers(found, registry),
        _searched(found),
        _untold(found),
    )
    return Report("search", "Search", tuple(_facts(found)), tables, _steps(found))


def _facts(found: SearchResult) -> Iterator[Fact]:
    question, hits = found.question, len(found.rows) + len(found.claims) + len(found.transfers)
    yield Fact("asked", "searched for", "; ".join(question.asked))
    if question.from_ms is not None or question.to_ms is not None:
        ends = (question.from_ms, question.to_ms)
        yield Fact("window", "within", " to ".join("open" if each is None else ms_text(each) for each in ends))
    yield Fact("place", "in", found.place)
    none = "nothing" if found.is_whole else "nothing, but CANNOT TELL: not everything could be searched"
    yield Fact("found", "found", str(hits) if hits else none, "count" if hits else "text", alarm=not hits)
    lost = len(found.strangers)
    yield Fact("strangers", "of ours, known to no row", str(lost), "count", alarm=bool(lost))
    whole = "complete" if found.is_whole else "INCOMPLETE: see what was not searched"
    yield Fact("complete", "search", whole, alarm=not found.is_whole)
    yield Fact("ledger", "ledger", found.ledger)
    words = {"claims": "provider objects", "transfers": "transfers"}
    if apart := [words[name] for name in words if not question.fits_table(name)]:
        said = f"{' and '.join(apart)} carry no such key; those of the rows found are listed"
        yield Fact("followed", "followed", said)


def _steps(found: SearchResult) -> tuple[str, ...]:
    steps = []
    if found.rows:
        name = shell_word(found.rows[0].row["payment_id"])
        steps.append(f"To see one payment from every side: recon inspect {name}")
    if found.strangers:
        steps.append(
            "Money or a provider object of ours that no row knows is a missing payment (see its runbook): keep the "
            "evidence with recon case, and have the row made."
        )
    return tuple(steps)


def _rows(hits: Sequence[SearchHit], registry: Registry) -> Table:
    columns = (
        Column("payment_id", "payment", "id"), Column("provider", "provider"), Column("direction", "direction"),
        Column("state", "state"), Column("amount", "amount", "amount"), Column("created_at", "made", "time"),
        Column("recipient", "recipient", "id", wide=True), Column("tx_hash", "hash", "id", wide=True),
        Column("ledger", "ledger"), Column("sides", "what providers and chains hold of it", "prose"),
    )  # fmt: skip
    rows = tuple(
        (
            str(hit.row["payment_id"]),
            hit.row["provider"] or "none",
            hit.row["direction"] or "in",
            f"{hit.row['status_raw'] or 'unset'}/{hit.row['escrow_state'] or 'unset'}",
            _amount(hit.row, "expected_units", registry),
            ms_text(hit.row["created_at"]),
            hit.row["recipient"] or "",
            hit.row["tx_hash"] or hit.row["tx_hash_raw"] or "",
            _LEDGER[hit.ledger],
            "; ".join(hit.known_by) or "nothing that was searched",
        )
        for hit in hits
    )
    return Table("rows", "Our rows", columns, rows)


def _claims(found: SearchResult, registry: Registry) -> Table:
    columns = (
        Column("provider", "provider"), Column("object", "object"), Column("claim_id", "key", "id"),
        Column("state", "state"), Column("asked", "asks for"), Column("paid", "paid", "amount"),
        Column("created_at", "made", "time"), Column("tx_hashes", "hashes", "id", wide=True),
        Column("found_by", "found by", wide=True), Column("known_by", "our rows that know it", "prose"),
    )  # fmt: skip
    rows = tuple(
        (
            str(hit.row["provider"]),
            hit.row["object"] or "",
            hit.row["claim_id"] or "",
            hit.row["state_raw"] or hit.row["state"] or "",
            hit.row["asked_amount"] or " ".join(filter(None, (hit.row["amount_fiat"], hit.row["fiat"]))),
            _amount(hit.row, "paid_units", registry),
            "" if hit.row["created_at"] is None else ms_text(hit.row["created_at"]),
            hit.row["tx_hashes"] or "",
            hit.found_by,
            _known(hit, found),
        )
        for hit in found.claims
    )
    return Table("claims", "Provider objects", columns, rows)


def _transfers(found: SearchResult, registry: Registry) -> Table:
    columns = (
        Column("chain", "chain"), Column("tx_hash", "hash", "id"), Column("log", "log", "count"),
        Column("kind", "kind"), Column("amount", "amount", "amount"), Column("sender", "from", "id", wide=True),
        Column("recipient", "to", "id"), Column("at", "UTC", "time"), Column("final", "final"),
        Column("found_by", "found by", wide=True), Column("known_by", "our rows that know it", "prose"),
    )  # fmt: skip
    rows = tuple(
        (
            chain_text(str(hit.row["chain_id"])),
            str(hit.row["tx_hash"]),
            str(hit.row["log_index"]),
            hit.row["kind"] or "",
            _amount(hit.row, "amount_units", registry),
            hit.row["sender"] or "",
            hit.row["recipient"] or "",
            ms_text(hit.row["block_time"]),
            "yes" if hit.row["final"] else f"no, {hit.row['confirmations'] or 0} deep",
            hit.found_by,
            _known(hit, found),
        )
        for hit in found.transfers
    )
    return Table("transfers", "Transfers on chain", columns, rows)


def _known(hit: SearchHit, found: SearchResult) -> str:
    return "; ".join(hit.known_by) or f"NONE: {found.unowned}"


def _amount(row: Mapping[str, Any], column: str, registry: Registry) -> str:
    if row[column] is None:
        return row.get("amount_text") or ""
    token = registry.tokens.get((row["chain_id"], row["token"]))
    if token is None:
        said = row.get("token_symbol") or row["token"]
        return amount_text(int(row[column]), decimals=row.get("decimals") or row.get("token_decimals"), symbol=said)
    return amount_text(int(row[column]), decimals=token.decimals, symbol=token.symbol)


def _searched(found: SearchResult) -> Table:
    columns = (
        Column("source", "source"), Column("how", "searched by"), Column("reach", "reach"),
        Column("complete", "complete"), Column("problem", "what is missing", "prose"),
    )  # fmt: skip
    rows = tuple(
        (each.source, each.how, each.reach, "yes" if each.complete else "NO", each.problem) for each in found.searched
    )
    return Table("searched", "What was searched", columns, rows, empty="nothing is recorded of it")


def _untold(found: SearchResult) -> Table:
    rows = tuple((line,) for line in found.untold)
    return Table("untold", "What could not be searched", (Column("line", "", "prose"),), rows, empty="nothing")
