"""What a plan says of the backend's ledger: what is the matter with it, and where every unit went.

A worked example in base units, one deal whose fee of 3 was forgotten::

    came 100   booked of it 100   unexplained 0
    gross 100   fee 0   released 97   refunded 0   left: held 0, after the end 3, overdrawn 0   residual 0

What is left of deals is *held* while they are open; what is left *after the end* nothing explains. *Overdrawn* is what
entries gave out over what they had. The *residual* is what all entries make over all that is told here: it is 0, or
entries were lost on the way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recon.core.ledger import KINDS, PROBLEMS, LedgerRules, LedgerVerdict
from recon.core.money import format_units
from recon.verdicts.ledger import LedgerTerms

if TYPE_CHECKING:
    from recon.core.registry import Registry
    from recon.verdicts.judge import Judgement
    from recon.verdicts.ledger import LedgerJudgement

FINDINGS_LISTED_MAX: Final = 5_000
"""Most findings that a plan lists; all are counted."""
ACCOUNTS_LISTED_MAX: Final = 500

Row = Mapping[str, Any]
_V = LedgerVerdict

_SENTENCES: Final[Mapping[str, tuple[LedgerVerdict, str]]] = {
    "missing": (_V.LEDGER_MISSING, "{proven} {moved} by the evidence, and no entry of kind {kind} states it."),
    "lacks": (_V.LEDGER_MISMATCH, "{proven} {moved} by the evidence, and entries of kind {kind} state {booked}."),
    "doubled": (_V.LEDGER_MISMATCH, "{proven} {moved} by the evidence, and {entries} entries of kind {kind} state it: "
                "{booked} in all."),
    "sign": (_V.LEDGER_MISMATCH, "{proven} {moved} by the evidence, and an entry of kind {kind} states it with the "
             "wrong sign: {booked}."),
    "token": (_V.LEDGER_MISMATCH, "{proven} {moved} by the evidence, and an entry of kind {kind} states {other}: "
              "another token."),
    "unfounded": (_V.LEDGER_ORPHAN, "Entries of kind {kind} state {booked}, and by the evidence none of it moved."),
    "unknown": (_V.LEDGER_ORPHAN, "The entry states {booked} of kind {kind}, and the whole collection has no row of "
                "the payment or order it names."),
    "reverses_unknown": (_V.LEDGER_ORPHAN, "The entry takes back entry {other_id}, which is not in the ledger."),
    "account": (_V.LEDGER_MISMATCH, "The entry of kind {kind} stands in account {account}, where its kind may not "
                "stand."),
    "reverses_reversal": (_V.LEDGER_MISMATCH, "The entry takes back entry {other_id}, which takes back another one "
                          "itself."),
    "reversal_differs": (_V.LEDGER_MISMATCH, "The entry takes back entry {other_id} with {booked}, which is not its "
                         "exact opposite in amount, kind, token and account."),
    "reversed_twice": (_V.LEDGER_MISMATCH, "Entry {other_id} is taken back by more than one entry."),
    "group": (_V.LEDGER_OUT_OF_BALANCE, "The {entries} entries of group {other_id} make {booked} and not zero."),
    "overdrawn": (_V.LEDGER_OUT_OF_BALANCE, "The entries give out more than they state to have come in: {booked} is "
                  "left."),
    "early": (_V.LEDGER_OUT_OF_BALANCE, "The entries release or refund before they state that anything came in."),
    "after_end": (_V.LEDGER_OUT_OF_BALANCE, "The deal is over and {booked} is still held: a fee, a release or a refund "
                  "was not booked."),
}  # fmt: skip
_MOVED: Final = {"gross": "came in", "released": "went out", "refunded": "went back"}
_CAUSES: Final = frozenset({"overdrawn", "early", "after_end"})
"""What follows from another finding of the same deal and is told only without one."""


def terms_of(manifest: Row, coverage: Iterable[Row]) -> LedgerTerms | None:
    """How the books of a snapshot are judged; None where it holds none, or not all of what was asked for."""
    held = manifest.get("ledger")
    if held is None or _problem(coverage) is not None:
        return None
    return LedgerTerms(LedgerRules.from_json(held["rules"]), held["since_ms"], int(manifest["taken_at_ms"]))


def _problem(coverage: Iterable[Row]) -> str | None:
    """Why the entries were not read; None where they were."""
    failed = (row for row in coverage if (row["source"], row["scope"]) == ("ledger", "window") and not row["complete"])
    row = next(failed, None)
    return None if row is None else str(row["problem"])


@dataclass(frozen=True)
class LedgerProof:
    """The judgement of the books, as a plan writes it."""

    judged: LedgerJudgement
    registry: Registry

    @classmethod
    def of(
        cls, manifest: Row, judgement: Judgement, *, coverage: Iterable[Row], registry: Registry
    ) -> dict[str, Any] | None:
        """The block ``ledger`` of a plan: amounts are text in base units. None where the snapshot holds no ledger."""
        held = manifest.get("ledger")
        if held is None:
            return None
        books = "double" if held["rules"]["is_double"] else "single"
        empty: dict[str, Any] = {
            "books": books, "totals": [], "accounts": [], "accounts_more": 0, "counts": {}, "findings": [],
            "findings_more": 0, "unread": [], "untold": None,
        }  # fmt: skip
        if judgement.ledger is None:
            return {**empty, "problem": _problem(coverage)}
        return {**empty, **cls(judgement.ledger, registry).told(), "problem": None}

    def told(self) -> dict[str, Any]:
        """Everything that was judged."""
        findings = self.findings()
        accounts = self.judged.accounts.to_pylist()
        counts = Counter(each["verdict"] for each in findings)
        return {
            "totals": self.totals(),
            "accounts": [self._account(row) for row in accounts[:ACCOUNTS_LISTED_MAX]],
            "accounts_more": max(0, len(accounts) - ACCOUNTS_LISTED_MAX),
            "counts": {str(verdict): counts[verdict] for verdict in LedgerVerdict if counts[verdict]},
            "findings": findings[:FINDINGS_LISTED_MAX],
            "findings_more": max(0, len(findings) - FINDINGS_LISTED_MAX),
            "unread": [self._unread(row) for row in self.judged.unread.to_pylist()],
            "untold": self.judged.untold,
        }

    def findings(self) -> list[dict[str, Any]]:
        """Everything that is the matter, by verdict, deal and payment; what only follows from another is left out."""
        rows = _with_tokens_folded(self.judged.breaks.to_pylist())
        caused = {row["deal"] for row in rows if row["what"] not in _CAUSES}
        told = [self._finding(row) for row in rows if row["what"] not in _CAUSES or row["deal"] not in caused]
        order = list(LedgerVerdict)
        return sorted(
            told,
            key=lambda each: (
                order.index(each["verdict"]), each["deal"] or "", each["payment_id"] or "", each["reason"],
                each["entry_id"] or "", each["token"] or "",
            ),
        )  # fmt: skip

    def _finding(self, row: Row) -> dict[str, Any]:
        reason = _reason(row)
        verdict, sentence = _SENTENCES[reason]
        asset = self._asset(row)
        other = row.get("other")
        words = {
            "kind": row["kind"],
            "account": row["account"] or "none",
            "entries": row["entries"],
            "other_id": row["other_id"],
            "moved": _MOVED.get(row["kind"] or "", "moved"),
            "booked": _amount(row["booked"], asset, text=row["amount_text"]),
            "proven": _amount(row["proven"], asset),
            "other": None if other is None else _amount(other["booked"], self._asset(other)),
        }
        booked, proven = row["booked"], row["proven"]
        return {
            "verdict": verdict,
            "reason": reason,
            "payment_id": row["payment_id"],
            "deal": row["deal"],
            **asset,
            "kind": row["kind"],
            "account": row["account"],
            "booked": _text(booked),
            "proven": _text(proven),
            "difference": None if booked is None or proven is None else _text(int(booked) - int(proven)),
            "entries": row["entries"],
            "entry_id": row["entry_id"],
            "other_id": row["other_id"],
            "sentence": sentence.format(**words),
        }

    def totals(self) -> list[dict[str, Any]]:
        """By token where every unit is, with what is left unexplained."""
        sums: dict[tuple[Any, Any], dict[str, int]] = defaultdict(lambda: defaultdict(int))

        def add(row: Row, name: str, units: Any) -> None:
            sums[row["chain_id"], row["token"]][name] += int(units or 0)

        for row in self.judged.incoming.to_pylist():
            add(row, "came", row["proven"])
            add(row, "booked", row["booked"])
        for row in self.judged.proven.to_pylist():
            add(row, row["side"], row["units"] if row["side"] != "came" else 0)
        for row in self.judged.entries.to_pylist():
            add(row, row["kind"] if row["state"] == "deal" else f"{row['state']} {row['kind']}", row["units"])
            add(row, "effect", row["effect_units"])
            add(row, "elsewhere", 0 if row["state"] == "deal" else row["effect_units"])
            add(row, "entries", row["entries"])
        for row in self.judged.left.to_pylist():
            add(row, f"left {row['state']}", row["units"])
            add(row, "left", row["units"])
        places = sorted(sums, key=lambda place: (place[0] or 0, place[1] or ""))
        return [self._total(place, sums[place]) for place in places]

    def _total(self, place: tuple[Any, Any], sums: Mapping[str, int]) -> dict[str, Any]:
        had = defaultdict(int, sums)
        return {
            **self._asset({"chain_id": place[0], "token": place[1]}),
            "came": str(had["came"]),
            "booked": str(had["booked"]),
            "unexplained": str(had["came"] - had["booked"]),
            "went": str(had["went"]),
            "back": str(had["back"]),
            **{kind: str(had[kind]) for kind in KINDS},
            "left_held": str(had["left held"]),
            "left_after_end": str(had["left after the end"]),
            "left_overdrawn": str(had["left overdrawn"]),
            "left_out_of_window": str(had["left reaches out of the window"]),
            "elsewhere": str(had["elsewhere"]),
            "residual": str(had["effect"] - had["left"] - had["elsewhere"]),
            "entries": had["entries"],
        }

    def _account(self, row: Row) -> dict[str, Any]:
        return {
            "account": row["account"],
            **self._asset(row),
            "kind": row["kind"],
            "entries": row["entries"],
            "units": _text(row["units"]),
            "balance": _text(row["balance_units"]),
        }

    def _unread(self, row: Row) -> dict[str, Any]:
        reasons = [PROBLEMS[code] for code in row["problem"].split()]
        return {
            "kind": row["kind_raw"], "entries": row["entries"], "entry_id": row["entry_id"],
            "problem": row["problem"], "reason": "; ".join(reasons),
        }  # fmt: skip

    def _asset(self, row: Row) -> dict[str, Any]:
        token = self.registry.tokens.get((row["chain_id"], row["token"]))
        return {
            "chain_id": row["chain_id"],
            "token": row["token"],
            "symbol": token.symbol if token else None,
            "decimals": token.decimals if token else None,
        }


def _with_tokens_folded(rows: Iterable[Row]) -> list[Row]:
    """The rows, those that say the same of two tokens as one: booked in this, moved in that."""
    found: list[Row] = []
    sides: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        if row["what"] in _MOVED:
            sides[row["what"], row["deal"], row["payment_id"]].append(row)
        else:
            found.append(row)
    for group in sides.values():
        bare = [row for row in group if not row["booked"]]
        unfounded = [row for row in group if not row["proven"]]
        if len(group) == 2 and len(bare) == len(unfounded) == 1:
            found.append({**bare[0], "other": unfounded[0], "entry_id": unfounded[0]["entry_id"], "is_other": True})
        else:
            found += group
    return found


def _reason(row: Row) -> str:
    """Which sentence a row is told by."""
    if row["what"] not in _MOVED:
        return str(row["what"])
    if row.get("is_other"):
        return "token"
    booked, proven = int(row["booked"] or 0), int(row["proven"] or 0)
    if not proven:
        return "unfounded"
    return "missing" if not booked else _difference(booked, proven, entries=row["entries"])


def _difference(booked: int, proven: int, *, entries: int) -> str:
    """In which way what is booked is not what moved."""
    if booked == -proven and entries == 1:
        return "sign"
    return "doubled" if entries > 1 and booked > proven and booked % proven == 0 else "lacks"


def _amount(units: Any, asset: Row, *, text: str | None = None) -> str:
    if units is None:
        return "an amount that is not known" if text is None else f"{text} of a token that is not known"
    if asset["decimals"] is None:
        return f"{int(units)} base units of {asset['token']}"
    return f"{format_units(int(units), decimals=asset['decimals'])} {asset['symbol']}"


def _text(units: Any) -> str | None:
    return None if units is None else str(int(units))
