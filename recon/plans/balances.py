"""What a plan says of known wallets: opening balance, every movement with its explanation, closing balance, residual.

A worked example in base units, one payout of 310, its fee of 2, and one transfer of 50 that nothing explains::

    opening 1000   in 0   out 362   fees 2 of them   explained out 312   unexplained out 50   closing 638   residual 0

The *residual* is what closing has over opening and all movements. It is 0 unless the token changes balances without
a transfer (it rebases, or keeps a part of what is sent), or unless logs were missed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from recon.core.money import format_units, whole_tokens
from recon.core.text import count_text

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.core.model import ExplainedMovement, Policy
    from recon.core.registry import Registry

UNEXPLAINED_LISTED_MAX: Final = 500
"""Most unexplained movements that a plan lists; all are summed."""

LEFT_OUT: Final = (
    "one-time deposit addresses (each would be a call of its own)",
    "fee addresses of others",
    "native coins and tokens that the registry does not know",
)
"""What the proof is not about."""

_UNSEARCHED: Final = (
    "The collection of payments could not be read or searched to the end: what is called unexplained may be one of its "
    "rows."
)
_REASONS_SHOWN: Final = 5

Row = Mapping[str, Any]
Place = tuple[int, str, str]
"""A chain's id, a wallet, and the contract of a token."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """What moved in and out of one wallet, of one token: rows of :data:`recon.verdicts.balances.MOVED`."""

    moved: Sequence[Row]

    @property
    def unread(self) -> int:
        """Movements whose amount enters no sum."""
        return sum(int(row["unread"] or 0) for row in self.moved)

    @property
    def rows(self) -> int:
        """How many movements there are."""
        return sum(int(row["rows"]) for row in self.moved)

    def units(self, side: str, *hows: str) -> int:
        """Base units of one side, of some explanations or of all."""
        rows = [row for row in self.moved if row["side"] == side and (not hows or row["how"] in hows)]
        return sum(int(row["units"] or 0) for row in rows)

    def told(self) -> dict[str, int]:
        """The sums that mean something only when every movement was read."""
        came, left = self.units("in"), self.units("out")
        return {
            "in": came,
            "out": left,
            "fees": self.units("out", "fee"),
            "explained_in": came - self.units("in", "none"),
            "explained_out": left - self.units("out", "none"),
        }


@dataclass(frozen=True)
class BalanceProof:
    """The evidence about known wallets, and what the judgement made of it.

    Args:
        balances: The snapshot's table; None where no wallet is known, and then nothing is said.
        moved: Rows of :data:`recon.verdicts.balances.MOVED`.
        unexplained: Rows of :data:`recon.verdicts.balances.UNEXPLAINED`.
        is_searched: Whether what may explain a movement was looked for in the whole collection.
    """

    balances: pa.Table | None
    moved: pa.Table
    unexplained: pa.Table
    registry: Registry
    policy: Policy
    is_searched: bool = True

    @cached_property
    def block(self) -> dict[str, Any] | None:
        """The block ``balances`` of a plan: amounts are text in base units, null where nobody can tell."""
        return None if self.balances is None else self._block(self.balances.to_pylist())

    def _block(self, held: list[Row]) -> dict[str, Any]:
        sums: dict[Place, list[Row]] = defaultdict(list)
        for row in self.moved.to_pylist():
            sums[row["chain_id"], row["wallet"], row["token"]].append(row)
        listed = self._listed()
        return {
            "rows": [self._row(row, sums[_place(row)]) for row in sorted(held, key=_place)],
            "rules": self._rules(),
            "unexplained": [self._movement(row) for row in listed[:UNEXPLAINED_LISTED_MAX]],
            "unexplained_more": max(0, self._count("none") - UNEXPLAINED_LISTED_MAX),
            "left_out": list(LEFT_OUT),
            "problem": None if self.is_searched else _UNSEARCHED,
        }

    def residuals(self, *, chain_id: int | None = None) -> list[str]:
        """One sentence for each wallet and token whose balances and movements do not add up, and for the rest.

        Args:
            chain_id: Of this chain only.
        """
        rows = (self.block or {"rows": ()})["rows"]
        odd = [row for row in rows if row["residual"] not in (None, "0")]
        found = [row for row in odd if chain_id in (None, row["chain_id"])]
        told = [_residual_text(row) for row in found[:_REASONS_SHOWN]]
        more = len(found) - len(told)
        return [*told, *([f"{more} more balances of known wallets do not add up"] if more > 0 else [])]

    def told_coverage(self, coverage: Sequence[Row]) -> list[Row]:
        """The coverage of the plan: what does not add up was not read completely, or is moved in unseen ways."""
        told = []
        for row in coverage:
            residuals = self.residuals(chain_id=row["chain_id"]) if row["scope"] == "balances" else []
            said = [*([row["problem"]] if row["problem"] else []), *(f"{text}." for text in residuals)]
            told.append({**row, "complete": False, "problem": " ".join(said)} if residuals else row)
        return told

    def leaks(self, *, from_ms: int | None, besides: Iterable[Row]) -> list[Row]:
        """Final outgoing movements that nothing explains, as rows of :data:`recon.verdicts.outflows.OUTFLOWS`.

        Args:
            from_ms: Only those since then, UTC ms; earlier ones were looked up nowhere else.
            besides: Rows that are known already.
        """
        known = {_log(row) for row in besides}
        return [
            {**row, "sender": row["wallet"], "recipient": row["counterparty"], "listed_by": None,
             "to_payee": False, "is_less_known": False, "given_up_row": None}
            for row in self.unexplained.to_pylist()
            if row["side"] == "out" and row["final"] and row["amount_units"] is not None
            and _log(row) not in known and (from_ms is None or (row["block_time"] or 0) >= from_ms)
        ]  # fmt: skip

    def _count(self, how: str) -> int:
        return sum(int(row["rows"]) for row in self.moved.to_pylist() if row["how"] == how)

    def _row(self, row: Row, moved: Sequence[Row]) -> dict[str, Any]:
        """One wallet and token, in the words of the plan."""
        sums = _Sums(moved)
        unread = count_text(sums.unread, "movement has", many="movements have")
        problems = [row[name] for name in ("opening_problem", "closing_problem", "movements_problem") if row[name]]
        problems += [f"{unread} an amount that is too long to be summed."] if sums.unread else []
        is_whole = not sums.unread and row["movements_problem"] is None
        told = sums.told()
        opening, closing = row["opening_units"], row["closing_units"]
        residual = None
        if is_whole and opening is not None and closing is not None:
            residual = int(closing) - int(opening) - told["in"] + told["out"]
        return {
            **self._asset(row),
            "opening_block": row["opening_block"],
            "closing_block": row["closing_block"],
            "opening": _text(opening),
            "closing": _text(closing),
            **{name: _text(units if is_whole else None) for name, units in told.items()},
            **{f"unexplained_{side}": _text(sums.units(side, "none")) for side in ("in", "out")},
            "residual": _text(residual),
            "movements": sums.rows,
            "problems": list(dict.fromkeys(problems)),
        }

    def _asset(self, row: Row) -> dict[str, Any]:
        token = self.registry.tokens.get((row["chain_id"], row["token"]))
        return {
            "chain_id": row["chain_id"],
            "wallet": row["wallet"],
            "token": row["token"],
            "symbol": token.symbol if token else None,
            "decimals": token.decimals if token else None,
        }

    def _rules(self) -> list[dict[str, Any]]:
        """What named rules explain: each with its reason, by wallet, token and side."""
        rows = sorted((row for row in self.moved.to_pylist() if row["how"] == "rule"), key=_rule_order)
        return [
            {
                "reason": self.policy.explained[row["rule"]].reason,
                "address": self.policy.explained[row["rule"]].address,
                **self._asset(row),
                "side": row["side"],
                "movements": int(row["rows"]),
                "units": _text(row["units"]),
            }
            for row in rows
        ]

    def _listed(self) -> list[Row]:
        """The unexplained movements: what left first, then by size in whole tokens."""

        def order(row: Row) -> tuple[Any, ...]:
            decimals = self._asset(row)["decimals"]
            size = whole_tokens(int(row["amount_units"] or 0), decimals=decimals)
            return row["side"] != "out", -size, *_place(row), *_log(row)

        return sorted(self.unexplained.to_pylist(), key=order)

    def _movement(self, row: Row) -> dict[str, Any]:
        return {
            **self._asset(row),
            "side": row["side"],
            "tx_hash": row["tx_hash"],
            "log_index": row["log_index"],
            "counterparty": row["counterparty"],
            "units": _text(row["amount_units"]),
            "block_time": row["block_time"],
            "final": bool(row["final"]),
        }


def without_named(outflows: Iterable[Row], policy: Policy) -> list[Row]:
    """Outgoing money that no named rule is about."""
    return [row for row in outflows if not any(_is_about(rule, row) for rule in policy.explained)]


def _is_about(rule: ExplainedMovement, row: Row) -> bool:
    return (
        row["recipient"] == rule.address
        and f"{row['chain_id']}:{row['token']}" in rule.tokens
        and rule.wallet in (None, row["sender"])
        and rule.direction in (None, "out")
    )


def _residual_text(row: Row) -> str:
    units = int(row["residual"])
    amount = str(abs(units)) if row["decimals"] is None else format_units(abs(units), decimals=row["decimals"])
    word = "more" if units > 0 else "less"
    return (
        f"{row['wallet']} holds {amount} {row['symbol'] or row['token']} {word} on chain {row['chain_id']} than its "
        f"balance at block {row['opening_block']} and its movements make: the token rebases or takes a fee, or "
        "transfers were not seen"
    )


def _place(row: Row) -> Place:
    return row["chain_id"], row["wallet"], row["token"]


def _log(row: Row) -> tuple[int, str, int]:
    return row["chain_id"], row["tx_hash"], row["log_index"]


def _rule_order(row: Row) -> tuple[Any, ...]:
    return row["rule"], *_place(row), row["side"]


def _text(units: Any) -> str | None:
    return None if units is None else str(int(units))
