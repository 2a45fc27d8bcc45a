"""Exported transfers as one chain: what stands in the files moved, what does not may have moved all the same.

Absence is proven only inside the window that the mapping calls complete, and only of money that came to our addresses;
a transaction that is not in the files could not be asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from recon.core.ids import normalise_address, normalise_tx_hash, reference_topic
from recon.core.model import Policy
from recon.core.registry import Registry, Token
from recon.core.tables import table_of
from recon.core.text import clean_text, count_text
from recon.core.times import to_ms
from recon.sources.exports.claims import place_of
from recon.sources.exports.mapping import TransfersSection, WholeWindow
from recon.sources.exports.rows import BadCells, ExportedRow, exported_rows
from recon.sources.exports.statements import proven_window
from recon.sources.exports.windows import stretches, unread
from recon.sources.interface import ChainQuestion, Coverage, Gap, Progress, Reading, no_progress

Row = dict[str, Any]
_DAY: Final = timedelta(days=1, milliseconds=-1)
_SCANS: Final = ("proxy", "erc20")
_PAID_OUT: Final = "an export of what came in does not show what left a wallet"


@dataclass(frozen=True, slots=True)
class ExportTerms:
    """What rows are read with."""

    registry: Registry
    policy: Policy
    home: Path
    faults: BadCells
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class ExportedTransfers:
    """What files hold of chains: their transfers, the windows in which they are whole, and doubts, each by chain."""

    rows: Mapping[int, Sequence[Row]]
    windows: Mapping[int, Sequence[WholeWindow]]
    doubts: Mapping[int, Sequence[str]]


class ExportedChain:
    """One chain whose transfers come from files.

    Args:
        rows: Rows of the table ``transfers``.
        windows: When the files are whole; empty: never.
        taken_ms: When the files were exported.
        doubts: Why files are not whole for all of the time that their mapping names.
    """

    def __init__(
        self, chain_id: int, rows: Sequence[Row], *, windows: Sequence[WholeWindow], taken_ms: int,
        doubts: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.chain_id = chain_id
        self._rows, self._taken_ms = rows, taken_ms
        self._whole, self._doubts = stretches(windows, taken_ms=taken_ms), tuple(doubts)

    def check(self) -> str:
        """Files can always be used."""
        return f"chain:{self.chain_id}: {count_text(len(self._rows), 'transfer')} from files"

    def read(self, question: ChainQuestion, *, progress: Progress = no_progress) -> Reading:
        """Answer from the files, and account for what they leave open."""
        hashes: set[str] = {found for text in question.tx_hashes if (found := normalise_tx_hash(text))}
        is_scan = question.proxies or question.recipients or question.senders
        chosen = [row for row in self._rows if row["tx_hash"] in hashes or (is_scan and _is_asked(row, question))]
        transactions, missing = self._transactions(hashes)
        coverage, gaps = self._scanned(question, len(chosen)) if is_scan else ([], [])
        if hashes:
            coverage.append(self._receipts(len(hashes), missing))
        tables = {
            "transfers": table_of("transfers", sorted(chosen, key=_order)),
            "transactions": table_of("transactions", transactions),
        }
        return Reading(tables=tables, coverage=tuple(coverage), gaps=tuple(gaps))

    def _scanned(self, question: ChainQuestion, items: int) -> tuple[list[Coverage], list[Gap]]:
        from_ms, to_ms_ = question.from_ms, self._taken_ms
        missing = [(from_ms, to_ms_)] if question.senders else unread(self._whole, asked=(from_ms, to_ms_))
        problem = None if not missing else _PAID_OUT if question.senders else self._problem()
        scopes = _SCANS if question.proxies else _SCANS[1:]
        coverage = [
            Coverage(
                f"chain:{self.chain_id}", scope, complete=not missing, chain_id=self.chain_id, asked_from=from_ms,
                asked_to=to_ms_, head_time=to_ms_, items=items, problem=problem,
            )
            for scope in scopes
        ]  # fmt: skip
        gaps = [
            Gap(f"chain:{self.chain_id}", scope, begin, end, str(problem), chain_id=self.chain_id)
            for scope in scopes
            for begin, end in missing
        ]
        return coverage, gaps

    def _problem(self) -> str:
        if not self._rows and not self._whole:
            return f"no export of transfers on chain {self.chain_id} was given"
        if self._doubts:
            said = clean_text("; ".join(self._doubts), limit=600)
            return f"the export of transfers on chain {self.chain_id} is not complete: {said}"
        return f"the export of transfers on chain {self.chain_id} is not said to be complete for all of this time"

    def _receipts(self, asked: int, missing: int) -> Coverage:
        problem = f"{missing} of {asked} transactions do not stand in the export" if missing else None
        return Coverage(
            f"chain:{self.chain_id}", "receipts", complete=not missing, chain_id=self.chain_id, items=asked,
            problem=problem,
        )  # fmt: skip

    def _transactions(self, hashes: set[str]) -> tuple[list[Row], int]:
        """A row for each transaction that was asked about, and how many the files do not hold."""
        held: dict[str, Row] = {}
        for each in self._rows:
            held.setdefault(each["tx_hash"], each)
        made = []
        for tx_hash in sorted(hashes):
            row: Row = {"chain_id": self.chain_id, "tx_hash": tx_hash}
            known = held.get(tx_hash)
            if known is None:
                made.append({**row, "outcome": "failed", "error": "it does not stand in the exported transfers"})
            else:
                names = ("block", "block_time", "confirmations", "final", "sender")
                made.append({**row, "outcome": "success", **{name: known[name] for name in names}})
        return made, sum(tx_hash not in held for tx_hash in hashes)


def _is_asked(row: Row, question: ChainQuestion) -> bool:
    """Whether a scan would have given a transfer: what left the wallets that were named, or else all that came in."""
    if question.senders:
        return row["sender"] in {normalise_address(text) for text in question.senders}
    return bool(row["block_time"] >= question.from_ms)


def _order(row: Row) -> tuple[Any, ...]:
    return row["block_time"], row["tx_hash"], row["log_index"]


def transfers_in(sections: Iterable[TransfersSection], *, terms: ExportTerms) -> ExportedTransfers:
    """The transfers of all files by chain; a transfer that stands in two files counts once."""
    seen: dict[tuple[Any, ...], tuple[str, Row]] = {}
    windows: dict[int, list[WholeWindow]] = {}
    doubts: dict[int, list[str]] = {}
    for section in sections:
        chains = {terms.registry.chain_id(section.fixed.get("network"))}
        for place, row in _rows_of(section, terms):
            key = (row["chain_id"], row["tx_hash"], row["log_index"])
            if key in seen and seen[key][1] != row:
                terms.faults.add(
                    place, f"{seen[key][0]} holds the same log of the same transaction with other contents"
                )
            seen.setdefault(key, (place, row))
            chains.add(row["chain_id"])
        proven = proven_window(section, section.complete, home=terms.home, taken_at=terms.taken_at)
        for chain_id in chains - {None}:
            windows.setdefault(chain_id or 0, []).extend(proven.windows)
            doubts.setdefault(chain_id or 0, []).extend(proven.doubts)
    rows: dict[int, list[Row]] = {}
    for _, row in seen.values():
        rows.setdefault(row["chain_id"], []).append(row)
    return ExportedTransfers(rows, windows, doubts)


def _rows_of(section: TransfersSection, terms: ExportTerms) -> Iterator[tuple[str, Row]]:
    numbered: dict[tuple[int, str], int] = {}
    told: dict[tuple[Any, ...], str] = {}
    for row in exported_rows(section, home=terms.home, faults=terms.faults):
        if row.raw.get("booked") == "false":
            continue  # announced on a bank statement, and not moved yet
        made = _transfer(row, section, terms=terms)
        if made is None:
            continue
        if made["log_index"] is None:
            _number(made, row, numbered=numbered, told=told)
        yield row.place, made


def _number(
    made: Row, row: ExportedRow, *, numbered: dict[tuple[int, str], int], told: dict[tuple[Any, ...], str]
) -> None:
    """Number the transfers of a transaction as they come, where the file does not; two that are alike are refused."""
    alike = tuple(sorted((name, str(value)) for name, value in made.items()))
    if alike in told:
        row.faults.add(row.place, f"it is the same as {told[alike]}; give a column 'log_index', or remove one of them")
    told.setdefault(alike, row.place)
    place = (made["chain_id"], made["tx_hash"])
    made["log_index"] = numbered[place] = numbered.get(place, -1) + 1


_NEEDED: Final = ("tx_hash", "time", "recipient", "token", "network", "amount")


def _transfer(row: ExportedRow, section: TransfersSection, *, terms: ExportTerms) -> Row | None:
    """A row of the table; None where a part of it cannot be read, which is told."""
    before = row.faults.count
    for name in _NEEDED:
        row.needed(name)
    chain_id, token = place_of(row, terms.registry)
    at = _moved_at(row)
    decimals = 0 if section.amounts == "base" else None if token is None else token.decimals
    moved: Row = {
        "chain_id": chain_id,
        "tx_hash": row.tx_hash(),
        "log_index": row.number("log_index"),
        "block": row.number("block"),
        "token": _contract(row, token),
        "token_known": token is not None,
        "sender": row.address("sender"),
        "recipient": row.address("recipient"),
        "amount_units": _moved(row, decimals),
        "fee_units": row.units("fee", decimals=decimals),
        "fee_recipient": row.address("fee_recipient"),
        "confirmations": row.number("confirmations"),
        "final": bool(row.flag("final")),
        **_log_of(row, token),
    }
    if row.faults.count > before or at is None or chain_id is None:
        return None
    if moved["kind"] == "erc20":
        moved["emitter"] = moved["token"]
    is_final = moved["final"] or _is_deep(moved, terms.policy) or (section.final_before or at) > at
    return {**moved, "block_time": to_ms(at), "final": is_final}


def _moved_at(row: ExportedRow) -> datetime | None:
    """When it moved; a bank tells the day alone, and by its end the money was there."""
    at = row.moment("time")
    return at if at is None or not row.raw else at + _DAY


def _is_deep(moved: Row, policy: Policy) -> bool:
    """Whether a transfer has as many confirmations as the backend wants; without a count it has not."""
    count = moved["confirmations"]
    return count is not None and count >= policy.confirmations_of(moved["chain_id"])


def _log_of(row: ExportedRow, token: Token | None) -> Row:
    """Which log a transfer was: with a reference the proxy's, whose word it is then where its token may take a fee."""
    reference = row.reference()
    if reference is None:
        return {"kind": "erc20", "stated_only": False, "reference_topic": None}
    is_stated = token is None or token.may_take_fee
    return {"kind": "fee_proxy", "stated_only": is_stated, "reference_topic": reference_topic(reference)}


def _contract(row: ExportedRow, token: Token | None) -> str | None:
    """The contract of a token; one that nobody knows has to be named by it."""
    named = row.text("token") or ""
    contract = token.address if token is not None else normalise_address(named)
    if contract is None and named:
        row.miss("token", f"{clean_text(named, limit=60)!r} is no token that is known on this chain")
    return contract


def _moved(row: ExportedRow, decimals: int | None) -> int | None:
    units = row.units("amount", decimals=decimals)
    if units is not None and units < 0:
        row.miss("amount", "it is negative; a transfer never is")
    return units
