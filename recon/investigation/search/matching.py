"""Finds in tables what a search asks for, and which rows of ours know it.

Tables are filtered as columns; only what is found becomes records. What carries no amount or no time cannot be told to
fit one, and is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import UsageError
from recon.core.ids import normalise_address, reference_topic
from recon.core.text import count_text
from recon.investigation.payment.dossier import exact_row
from recon.investigation.search.question import HITS_MAX, PLACES, TIMES, Amount, Row, SearchHit, SearchQuestion

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.core.registry import Registry
    from recon.core.registry.known import Token

_EXACT: Final = Context(prec=200)
_UNITS_OF: Final[Mapping[str, str]] = {
    "payments": "expected_units",
    "claims": "paid_units",
    "transfers": "amount_units",
}
_CARRIED: Final[Mapping[str, Mapping[str, str]]] = {
    "claims": {
        "tx_hashes": "tx_hash",
        "reference_topic": "reference_topic",
        "request_id": "request_id",
        "external_id": "external_id",
    },
    "transfers": {"tx_hash": "tx_hash", "reference_topic": "reference_topic"},
}
"""By table the columns that carry a key of a row, and which."""
_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "payments": ("row", "rows"),
    "claims": ("provider object", "provider objects"),
    "transfers": ("transfer", "transfers"),
}


class UnknownTokenError(UsageError):
    """A search is for an amount of a token that nobody knows."""

    def __init__(self, *, token: str, known: Sequence[str]) -> None:
        super().__init__(
            f"--token: no configured chain has a token {token[:60]!r}; nothing was searched. Known are "
            f"{', '.join(known)}, or give its contract."
        )


@dataclass(slots=True)
class SearchTables:
    """What is searched.

    Args:
        payments: Our rows (:data:`recon.core.tables.PAYMENTS`), with their further ``keys``.
        owners: By ``chain_id:tx_hash:log_index`` or ``provider:object:claim_id`` a row of the whole collection that
            knows it, and by which key, where the tables hold no such row.
    """

    payments: pa.Table
    keys: pa.Table
    claims: pa.Table
    transfers: pa.Table
    owners: Mapping[str, str] = field(default_factory=dict)

    def of(self, name: str) -> pa.Table:
        """One of the tables that are searched."""
        found: pa.Table = getattr(self, name)
        return found


@dataclass(slots=True)
class FoundInTables:
    """The hits by table, and what could not be told."""

    hits: dict[str, list[SearchHit]]
    untold: list[str] = field(default_factory=list)


def tokens_meant(amount: Amount | None, registry: Registry) -> tuple[Token, ...]:
    """The tokens that an amount may be of.

    Raises:
        UnknownTokenError: It names one that no chain has.
    """
    if amount is None:
        return ()
    every = tuple(registry.tokens.values())
    if amount.token is None:
        return every
    address = normalise_address(amount.token)
    found = tuple(
        each for each in every if (each.address == address if address else each.is_called(amount.token.strip()))
    )
    if not found:
        raise UnknownTokenError(token=amount.token, known=sorted({each.symbol for each in every}))
    return found


def match_tables(tables: SearchTables, question: SearchQuestion, *, registry: Registry) -> FoundInTables:
    """Everything in the tables that the question means, and by which rows it is known."""
    matched = FoundInTables({})
    tokens = tokens_meant(question.amount, registry)
    for name in PLACES:
        found = _found(tables, name, question, matched.untold, tokens)
        matched.hits[name] = [SearchHit(row) for row in _listed(found, name, matched.untold)]
    _add_own(tables, matched, question)
    owners = _Owners(tables)
    for name in ("claims", "transfers"):
        known = owners.of_claims if name == "claims" else owners.of_transfers
        rows = [hit.row for hit in matched.hits[name]]
        matched.hits[name] = [
            SearchHit(hit.row, hit.found_by, names) for hit, names in zip(matched.hits[name], known(rows), strict=True)
        ]
    matched.hits["payments"] = [_with_sides(hit, tables) for hit in matched.hits["payments"]]
    return matched


def _found(
    tables: SearchTables, name: str, question: SearchQuestion, untold: list[str], tokens: Sequence[Token]
) -> pa.Table:
    """The records of one table that fit every condition which the table can hold; none where it cannot hold one."""
    table = tables.of(name)
    if not question.fits_table(name) or not table.num_rows:
        return table.slice(0, 0)
    for condition in question.keys:
        table = table.filter(_key_mask(table, name, condition, tables.keys))
    table = _within(table, name, question, untold)
    if question.amount is not None:
        table = _of_amount(table, name, question.amount, untold, tokens)
    return table


def _key_mask(table: pa.Table, name: str, condition: Mapping[str, frozenset[str]], keys: pa.Table) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    mask: Any = _same(table, value=False)
    for kind, values in condition.items():
        wanted = pa.array(sorted({*values, *(map(reference_topic, values) if kind == "reference" else ())}))
        for place in PLACES[name].get(kind, ()):
            column = table.column(place)
            held = _in_lists(column, wanted) if place == "tx_hashes" else pc.is_in(column, value_set=wanted)
            mask = pc.or_(mask, held)
        if name == "payments" and keys.num_rows and kind in ("request_id", "reference", "external_id"):
            further = keys.filter(
                pc.and_(pc.equal(keys.column("field"), kind), pc.is_in(keys.column("value"), value_set=wanted))
            )
            ids = further.column("payment_id").combine_chunks()
            mask = pc.or_(mask, pc.is_in(table.column("payment_id"), value_set=ids))
    return mask


def _in_lists(column: Any, wanted: Any) -> Any:
    """Whether a cell that lists hashes, separated by spaces, holds one of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = pc.split_pattern(pc.fill_null(column, ""), " ").combine_chunks()
    places = pc.list_parent_indices(lists).filter(pc.is_in(pc.list_flatten(lists), value_set=wanted))
    return pc.is_in(pa.array(range(len(column)), type=places.type), value_set=places)


def _within(table: pa.Table, name: str, question: SearchQuestion, untold: list[str]) -> pa.Table:
    """What lies in the window; what has no time is counted and left out."""
    import pyarrow.compute as pc

    if question.from_ms is None and question.to_ms is None:
        return table
    column = table.column(TIMES[name])
    if column.null_count:
        untold.append(f"{_counted(column.null_count, name)} without a time, so whether in the window is not known")
    if question.from_ms is not None:
        table = table.filter(pc.greater_equal(table.column(TIMES[name]), question.from_ms))
    if question.to_ms is not None:
        table = table.filter(pc.less(table.column(TIMES[name]), question.to_ms))
    return table


def _of_amount(table: pa.Table, name: str, amount: Amount, untold: list[str], tokens: Sequence[Token]) -> pa.Table:
    """What is of the amount, to the base unit; a provider object by what it asks for as well."""
    import pyarrow as pa
    import pyarrow.compute as pc

    units, token, chain = (table.column(each) for each in (_UNITS_OF[name], "token", "chain_id"))
    mask: Any = _same(table, value=False)
    for each in tokens:
        bounds = _bounds(amount, each.decimals)
        if bounds is None:
            continue
        low, high = (pa.scalar(Decimal(bound), pa.decimal128(38, 0)) for bound in bounds)
        fits = pc.and_(pc.greater_equal(units, low), pc.less_equal(units, high))
        own = pc.and_(pc.equal(chain, each.chain_id), pc.equal(token, each.address))
        mask = pc.or_(mask, pc.fill_null(pc.and_(fits, own), fill_value=False))
    silent = pc.is_null(units)
    if name == "transfers":  # More digits than a column holds are told as text, and are more than any amount asked for.
        silent = pc.and_(silent, pc.is_null(table.column("amount_text")))
    if name == "claims":
        asks = _asks(table, amount, tokens)
        mask = pc.or_(mask, asks)
        silent = pc.and_(silent, pc.and_(pc.is_null(table.column("asked_amount")), pc.is_null(table["amount_fiat"])))
    if name == "payments" and (unread := table.filter(silent)["payment_id"].to_pylist()):
        untold.append(f"{_counted(len(unread), name)} without an amount that can be read: {', '.join(unread[:5])}")
    elif name != "payments" and (count := pc.sum(silent).as_py()):
        untold.append(f"{_counted(count, name)} without an amount that can be read, so whether of this is not known")
    return table.filter(mask)


def _bounds(amount: Amount, decimals: int) -> tuple[int, int] | None:
    """The base units between which an amount lies, both included; None where no whole unit does."""
    low = Decimal(amount.low).scaleb(decimals, _EXACT).to_integral_value(ROUND_CEILING, context=_EXACT)
    high = Decimal(amount.high).scaleb(decimals, _EXACT).to_integral_value(ROUND_FLOOR, context=_EXACT)
    most = 10**38 - 1
    return None if low > high or low > most else (int(low), min(int(high), most))


def _asks(table: pa.Table, amount: Amount, tokens: Sequence[Token]) -> Any:
    """Whether a provider object asks for the amount, in whole tokens or in its currency."""
    import pyarrow as pa
    import pyarrow.compute as pc

    addresses = pa.array(sorted({each.address for each in tokens}), type=pa.string())
    symbols = pa.array(sorted({each.symbol.upper() for each in tokens}), type=pa.string())
    token = table.column("token")
    may_be_token = pc.or_kleene(pc.is_null(token), pc.is_in(token, value_set=addresses))
    is_any = amount.token is None
    may_be_fiat = _same(table, value=True) if is_any else pc.is_in(table.column("fiat"), value_set=symbols)
    mask: Any = _same(table, value=False)
    for column, is_meant in (("asked_amount", may_be_token), ("amount_fiat", may_be_fiat)):
        texts = [text for text in pc.unique(table.column(column)).to_pylist() if text and _is_between(text, amount)]
        held = pc.is_in(table.column(column), value_set=pa.array(texts, type=pa.string()))
        mask = pc.or_(mask, pc.and_(held, is_meant))
    return mask


def _same(table: pa.Table, *, value: bool) -> Any:
    """A mask that is the same for every row."""
    import pyarrow as pa

    return pa.array([value] * table.num_rows, type=pa.bool_())


def _is_between(text: str, amount: Amount) -> bool:
    try:
        value = Decimal(text)
    except ArithmeticError:
        return False
    return value.is_finite() and Decimal(amount.low) <= value <= Decimal(amount.high)


def _listed(table: pa.Table, name: str, untold: list[str]) -> Iterator[Row]:
    if table.num_rows > HITS_MAX:
        untold.append(f"{_counted(table.num_rows, name)} fit, and the first {HITS_MAX} are listed: ask for less")
    orders = {
        "payments": ("payment_id",),
        "claims": ("provider", "object", "claim_id"),
        "transfers": ("chain_id", "block", "tx_hash", "log_index"),
    }
    ordered = table.sort_by([(column, "ascending") for column in orders[name]])
    yield from map(exact_row, ordered.slice(0, HITS_MAX).to_pylist())


def _counted(count: int, name: str) -> str:
    one, many = _NAMES[name]
    return count_text(count, one, many=many)


# Whose it is


def _add_own(tables: SearchTables, matched: FoundInTables, question: SearchQuestion) -> None:
    """Where a table cannot hold a key (a buyer, an external id), what the rows that were found have in it."""
    mine = [hit.row for hit in matched.hits["payments"]]
    for name in ("claims", "transfers"):
        if question.fits_table(name) or not mine:
            continue
        for row in mine:
            found = _of_row(tables, name, row)
            by = f"payment {row['payment_id']}"
            seen = {_identity(name, hit.row) for hit in matched.hits[name]}
            matched.hits[name] += [SearchHit(each, by) for each in found if _identity(name, each) not in seen]


def _identity(name: str, row: Row) -> tuple[object, ...]:
    keys = ("provider", "object", "claim_id", "outcome") if name == "claims" else ("chain_id", "tx_hash", "log_index")
    return tuple(row[key] for key in keys)


def _of_row(tables: SearchTables, name: str, row: Row) -> list[Row]:
    """The provider objects or transfers that carry a key of one row."""
    import pyarrow.compute as pc

    table = tables.of(name)
    pairs = [(column, row[key]) for column, key in _CARRIED[name].items() if row[key]]
    if name == "transfers" and row["is_deposit"] and row["recipient"]:
        pairs.append(("recipient", row["recipient"]))
    if not table.num_rows or not pairs:
        return []
    mask: Any = _same(table, value=False)
    for column, value in pairs:
        held = pc.match_substring if column == "tx_hashes" else pc.equal
        mask = pc.or_(mask, pc.fill_null(held(table.column(column), value), fill_value=False))
    return [exact_row(each) for each in table.filter(mask).to_pylist()[:HITS_MAX]]


def _with_sides(hit: SearchHit, tables: SearchTables) -> SearchHit:
    """A row with what providers and chains hold of it."""
    said = [
        f"{each['provider']} {each['object']} {each['claim_id']} ({each['state_raw'] or each['outcome']})"
        for each in _of_row(tables, "claims", hit.row)
    ]
    said += [
        f"transfer {each['chain_id']}:{each['tx_hash']}:{each['log_index']}"
        for each in _of_row(tables, "transfers", hit.row)
    ]
    return SearchHit(hit.row, hit.found_by, tuple(dict.fromkeys(said)))


class _Owners:
    """Which rows know a provider object or a transfer, and by which key."""

    def __init__(self, tables: SearchTables) -> None:
        self._tables = tables

    def of_transfers(self, rows: Sequence[Row]) -> list[tuple[str, ...]]:
        """By transfer the rows that carry its hash or its reference, or whose own one-time address it went to."""
        known = self._known(
            tx_hash={row["tx_hash"] for row in rows},
            reference_topic={row["reference_topic"] for row in rows},
            deposit={row["recipient"] for row in rows},
        )
        return [
            self._names(
                f"{row['chain_id']}:{row['tx_hash']}:{row['log_index']}",
                known,
                [
                    ("tx_hash", row["tx_hash"]),
                    ("reference_topic", row["reference_topic"]),
                    ("deposit", row["recipient"]),
                ],
            )
            for row in rows
        ]

    def of_claims(self, rows: Sequence[Row]) -> list[tuple[str, ...]]:
        """By provider object the rows that carry its ids, its reference or a hash that it names."""
        named = [(row, (row["tx_hashes"] or "").split()) for row in rows]
        known = self._known(
            tx_hash={each for _, hashes in named for each in hashes},
            reference_topic={row["reference_topic"] for row in rows},
            request_id={row["request_id"] for row in rows},
            external_id={row["external_id"] for row in rows},
        )
        return [
            self._names(
                f"{row['provider']}:{row['object']}:{row['claim_id']}",
                known,
                [
                    *((kind, row[kind]) for kind in ("request_id", "external_id", "reference_topic")),
                    *(("tx_hash", each) for each in hashes),
                ],
            )
            for row, hashes in named
        ]

    def _names(
        self, key: str, known: Mapping[tuple[str, str], Sequence[str]], pairs: Iterable[tuple[str, str | None]]
    ) -> tuple[str, ...]:
        words = {"reference_topic": "reference", "deposit": "one-time address"}
        found = [
            f"{payment} by {words.get(kind, kind)}"
            for kind, value in pairs
            if value is not None
            for payment in known.get((kind, value), ())
        ]
        if not found and key in self._tables.owners:
            found = [self._tables.owners[key]]
        return tuple(dict.fromkeys(found))

    def _known(self, **wanted: set[str | None]) -> dict[tuple[str, str], list[str]]:
        """By kind and value of a key the payments that carry it."""
        found: dict[tuple[str, str], list[str]] = {}
        for kind, values in wanted.items():
            for value, payment in self._carriers(kind, sorted(each for each in values if each)):
                found.setdefault((kind, value), []).append(payment)
        return {key: sorted(set(payments)) for key, payments in found.items()}

    def _carriers(self, kind: str, values: Sequence[str]) -> Iterator[tuple[str, str]]:
        import pyarrow as pa
        import pyarrow.compute as pc

        payments, keys = self._tables.payments, self._tables.keys
        wanted = pa.array(values, type=pa.string())
        column = "recipient" if kind == "deposit" else kind
        if kind == "deposit":
            payments = payments.filter(pc.fill_null(payments.column("is_deposit"), fill_value=False))
        own = payments.filter(pc.is_in(payments.column(column), value_set=wanted)).select([column, "payment_id"])
        yield from zip(own.column(0).to_pylist(), own.column(1).to_pylist(), strict=True)
        if kind not in ("tx_hash", "deposit") and keys.num_rows:
            place = "reference_topic" if kind == "reference_topic" else "value"
            more = keys.filter(pc.is_in(keys.column(place), value_set=wanted))
            if kind != "reference_topic":
                more = more.filter(pc.equal(more.column("field"), kind))
            yield from zip(more.column(place).to_pylist(), more.column("payment_id").to_pylist(), strict=True)
