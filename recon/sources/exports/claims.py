"""What a provider says, from its export: an object that stands there is believed, one that does not proves nothing.

Only for a payment made inside the window that the mapping calls complete is silence a "no".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from recon.core.ids import normalise_reference, normalise_request_id, reference_topic
from recon.core.registry import Registry, Token
from recon.core.text import clean_text, count_text
from recon.core.times import to_ms
from recon.sources.exports.mapping import ClaimsSection, WholeWindow
from recon.sources.exports.rows import BadCells, ExportedRow, exported_rows
from recon.sources.exports.statements import NamedEntry, NamedSum, sum_of
from recon.sources.exports.windows import stretches, unread
from recon.sources.interface import ClaimKey, Coverage, Gap, Progress, Reading, no_progress
from recon.sources.providers.claims import Row, Said, digest_of, failed_row, not_found_row, reading_of
from recon.sources.providers.provider import Provider

STATES: Final = frozenset(
    {"unpaid", "partial", "paid", "overpaid", "processing", "failed", "cancelled", "refunded", "unknown"}
)


class ExportedClaims:
    """A provider whose objects come from files.

    Args:
        said: Its objects.
        windows: When the files are whole; empty: never.
        doubts: Why files are not whole for all of the time that their mapping names.
        made_at: When each payment was made, UTC ms, by its id: whether silence about it is a "no".
        taken_ms: When the files were exported.
    """

    def __init__(
        self, provider: Provider, said: Sequence[Said], *, windows: Sequence[WholeWindow], made_at: Mapping[str, int],
        taken_ms: int, doubts: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.name = provider.name
        self._object = object_of(provider)
        self._said, self._made_at, self._taken_ms = said, made_at, taken_ms
        self._whole = stretches(windows, taken_ms=taken_ms)
        self._doubts = tuple(doubts)

    def check(self) -> str:
        """Files can always be used."""
        return f"{self.name}: {count_text(len(self._said), 'object')} from files"

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress = no_progress) -> Reading:
        """Everything that the files hold, whatever the window is, and what of the window they do not cover."""
        missing = unread(self._whole, asked=(from_ms, to_ms))
        problem = self._problem() if missing else None
        row = Coverage(
            self.name, "bulk", complete=not missing, asked_from=from_ms, asked_to=to_ms, items=len(self._said),
            problem=problem,
        )  # fmt: skip
        gaps = [Gap(self.name, "bulk", begin, end, str(problem)) for begin, end in missing]
        return reading_of(self._said, coverage=[row], gaps=gaps)

    def _problem(self) -> str:
        if not self._said and not self._whole:
            return f"no export of {self.name} was given"
        if self._doubts:
            return f"the export of {self.name} is not complete: {clean_text('; '.join(self._doubts), limit=600)}"
        return f"the export of {self.name} is not said to be complete for all of this time"

    def look_up(self, keys: Sequence[ClaimKey], *, progress: Progress = no_progress) -> Reading:
        """What the files hold of single payments; of another one they say "no" only inside a complete window."""
        found: list[Said] = []
        unsure = 0
        for key in keys:
            known = [said for said in self._said if _is_about(said.claim, key)]
            if not known:
                known = [Said(self._silence(key))]
                unsure += known[0].claim["outcome"] == "failed"
            found += known
        problem = None if not unsure else f"{unsure} of {len(keys)} payments do not stand in the export of {self.name}"
        row = Coverage(self.name, "lookup", complete=not unsure, items=len(keys), problem=problem)
        return reading_of(found, coverage=[row])

    def _silence(self, key: ClaimKey) -> Row:
        name = key.external_id or key.request_id or key.reference or key.payment_id
        about: dict[str, Any] = {"claim_id": name, "at_ms": self._taken_ms, "kind": self._object}
        made_at = self._made_at.get(key.payment_id)
        if made_at is not None and any(begin <= made_at < end for begin, end in self._whole):
            return not_found_row(self.name, key, **about)
        return failed_row(self.name, key, reason="the export does not hold it and may lack it", **about)


def _is_about(claim: Row, key: ClaimKey) -> bool:
    pairs = ((claim["request_id"], key.request_id), (claim["external_id"], key.external_id))
    reference = normalise_reference(key.reference) if key.reference else None
    return any(own is not None and own == asked for own, asked in (*pairs, (claim["reference"], reference)))


@dataclass(frozen=True, slots=True)
class ClaimTerms:
    """What the files of a provider are read with."""

    registry: Registry
    home: Path
    taken_ms: int
    faults: BadCells


def claims_said(sections: Iterable[ClaimsSection], provider: Provider, *, terms: ClaimTerms) -> list[Said]:
    """Every object of a provider in its files."""
    places: dict[str, str] = {}
    said = []
    for section in sections:
        if section.format != "table":
            said += _statement_claims(section, provider, terms=terms, places=places)
            continue
        for row in exported_rows(section, home=terms.home, faults=terms.faults):
            claim = _claim(row, provider, registry=terms.registry, taken_ms=terms.taken_ms)
            if claim is not None and not row.is_repeated(str(claim["claim_id"]), places):
                said.append(Said(claim))
    return said


def _statement_claims(
    section: ClaimsSection, provider: Provider, *, terms: ClaimTerms, places: dict[str, str]
) -> list[Said]:
    """One claim for each payment that entries of bank statements name: what they come to."""
    named: dict[str, list[NamedEntry]] = {}
    tokens: dict[str, tuple[int | None, Token | None]] = {}
    key = provider.key if provider.key in {*section.columns, *section.fixed} else "reference"
    for row in exported_rows(section, home=terms.home, faults=terms.faults):
        chain_id, token = place_of(row, terms.registry)
        names, units = row.names(key), row.units("amount", decimals=None if token is None else token.decimals)
        if units is None or row.is_repeated(row.raw["entry_hash"], places):
            continue
        for name in names:
            named.setdefault(name, []).append(NamedEntry(row.raw, units, len(names) > 1))
            tokens.setdefault(name, (chain_id, token))
    said = []
    for name, entries in sorted(named.items()):
        if (found := sum_of(entries)) is not None:
            chain_id, token = tokens[name]
            place = {"chain_id": chain_id, "token": None if token is None else token.address}
            said.append(Said({**_named(name, key, provider), **place, **_summed(found, entries, terms.taken_ms)}))
    return said


def _named(name: str, key: str, provider: Provider) -> Row:
    reference = normalise_reference(name) if key == "reference" else None
    return {
        "provider": provider.name,
        "claim_id": name,
        "object": object_of(provider),
        "request_id": normalise_request_id(name) if key == "request_id" else None,
        "external_id": name if key == "external_id" else None,
        "reference": reference,
        "reference_topic": None if reference is None else reference_topic(reference),
    }


def _summed(found: NamedSum, entries: Sequence[NamedEntry], taken_ms: int) -> Row:
    hashes = sorted(entry.cells["entry_hash"] for entry in entries)
    return {
        "outcome": "found",
        "state": found.state,
        "state_raw": " ".join(sorted({entry.cells["state"] for entry in entries})),
        "paid_units": None if found.problem else max(found.net, 0),
        "looked_up_at": taken_ms,
        "problem": found.problem,
        "digest": digest_of(hashes),
    }


def _claim(row: ExportedRow, provider: Provider, *, registry: Registry, taken_ms: int) -> Row | None:
    request_id, external_id, reference = row.text("request_id"), row.text("external_id"), row.reference()
    claim_id = row.text("id") or (external_id if provider.key == "external_id" else request_id) or reference
    if claim_id is None:
        row.faults.add(row.place, "it names neither a request nor an invoice")
        return None
    chain_id, token = place_of(row, registry)
    state, problem = _state(row, provider)
    made = row.moment("created_at")
    return {
        "provider": provider.name,
        "claim_id": claim_id,
        "object": object_of(provider),
        "outcome": "found",
        "request_id": None if request_id is None else normalise_request_id(request_id),
        "reference": reference,
        "reference_topic": None if reference is None else reference_topic(reference),
        "external_id": external_id,
        "state": state,
        "state_raw": row.text("status"),
        "asked_amount": row.amount("asked_amount"),
        "paid_units": row.units("amount", decimals=None if token is None else token.decimals),
        "token": None if token is None else token.address,
        "chain_id": chain_id,
        "recipient": row.address("recipient"),
        "tx_hashes": row.tx_hash(),
        "created_at": None if made is None else to_ms(made),
        "looked_up_at": taken_ms,
        "problem": problem,
        "digest": digest_of(dict(row.cells)),
    }


def object_of(provider: Provider) -> str:
    """What the objects of a provider are called in tables."""
    return "invoice" if provider.key == "external_id" else "request"


def _state(row: ExportedRow, provider: Provider) -> tuple[str, str | None]:
    """The state that a word means; one that nobody knows is kept and said to be unknown."""
    word = (row.needed("status") or "").strip().lower()
    state = provider.state_words.get(word) or (word if word in STATES else None)
    return (state, None) if state else ("unknown", "unknown_word")


def place_of(row: ExportedRow, registry: Registry) -> tuple[int | None, Token | None]:
    """The chain and the token that a row names; what is not known is told."""
    network = row.text("network")
    chain_id = None if network is None else registry.chain_id(network)
    if network is not None and chain_id is None:
        row.miss("network", f"{clean_text(network, limit=40)!r} is no chain that is known")
    word = row.text("token") or row.text("currency")
    if chain_id is None or word is None:
        return chain_id, None
    known = registry.tokens.get((chain_id, word.lower())) or registry.token(chain_id, word)
    return chain_id, known
