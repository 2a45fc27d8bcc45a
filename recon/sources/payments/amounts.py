"""Stored amounts of a raw batch as exact base units, a column at a time.

What an amount means is said in :mod:`recon.sources.payments.stored_amounts`; this is only faster.
A double of few digits is a whole number of millionths, and dividing that number by a million gives the very double
back: then the millionths are what its writer meant, exactly as its shortest decimal text says. Whole numbers, texts
and Decimal128 of few digits go the same way, through the double nearest to them; everything else goes through its
text, value by value.

>>> round(12.34 * 10**6) / 10**6 == 12.34, round((0.1 + 0.2) * 10**6) / 10**6 == 0.1 + 0.2
(True, False)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from recon.core.money import slack_units
from recon.sources.payments.bson_walk import DECIMAL, DOUBLE, INT32, INT64, MISSING, NULL, STRING, Columns
from recon.sources.payments.stored_amounts import exact_amount

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Octets = npt.NDArray[np.uint8]

MILLION: Final = 10**6
MILLIONTHS_MAX: Final = 2**42
"""Below this a product with 1,050,000 fits 63 bits, and a decimal of so few digits is the shortest of its double."""

EPSILON: Final = 2.0**-52
"""The distance of doubles at 1; a distance divided by it is a double that far from the next."""

DECIMALS_MAX: Final = 24
"""Up to here a power of ten above a millionth fits 63 bits."""

_DECIMAL_BIAS: Final = 6176
_FEW_DIGITS: Final = r"^(0|[1-9][0-9]{0,6})(\.[0-9]{1,6})?$"
_UNITS: Final = ("expected_units", "covered_from_units", "overpaid_from_units")


class Amounts:
    """Amounts of one batch: text, base units, what covers and what is too much, and what is the matter."""

    def __init__(self, raw: Columns, *, kinds: Octets, places: Ints, odd: Bools) -> None:
        import numpy as np

        self._raw, self._kinds, self._places = raw, kinds, places
        self._odd = odd
        self.size = raw.size
        self.problems: dict[str, Bools] = {}
        self._units = {name: np.zeros((self.size, 2), dtype=np.uint64) for name in _UNITS}
        self._known = np.zeros(self.size, dtype=np.bool_)
        self._texts: pa.Array = None

    def read(self, decimals: Ints, *, providers: Ints, tolerances: list[tuple[int, int]]) -> None:
        """Read all amounts. ``decimals`` is -1 where the token is unknown; ``providers`` number the tolerances."""
        import numpy as np
        import pyarrow as pa

        missing = np.isin(self._kinds, (MISSING, NULL))
        self._flag("amount_missing", missing)
        millionths, quick = self._millionths()
        quick &= (decimals == 6) | ((decimals >= 12) & (decimals <= DECIMALS_MAX)) | (decimals < 0)
        is_double = self._kinds == DOUBLE
        for code, tolerance in enumerate(tolerances):
            mine = quick & (providers == code) & (decimals >= 0)
            for places in np.unique(decimals[mine]).tolist():
                rows = np.flatnonzero(mine & (decimals == places))
                self._fill(rows, millionths, int(places), tolerance)
                if not all(tolerance):
                    self._widen(rows[is_double[rows]], int(places), tolerance)
        slow = np.flatnonzero(~missing & ~quick & ~self._odd)
        self._texts = pa.array(millionths / MILLION, mask=~quick).cast(pa.string())
        self._read_slowly(slow, decimals, [tolerances[code] for code in providers[slow].tolist()])

    def columns(self) -> dict[str, Any]:
        """The columns of the payments table that are about the amount."""
        import pyarrow as pa

        mask = pa.array(self._known).buffers()[1]
        columns: dict[str, Any] = {"amount_text": self._texts}
        for name, units in self._units.items():
            buffers = [mask, pa.py_buffer(units)]
            columns[name] = pa.Array.from_buffers(pa.decimal128(38, 0), self.size, buffers)
        return columns

    def _millionths(self) -> tuple[Ints, Bools]:
        """The amounts as millionths, and which of them are exactly that and small enough to be counted here."""
        import numpy as np

        doubles = self._as_doubles()
        usable = np.isfinite(doubles) & (doubles > 0) & (doubles < MILLIONTHS_MAX / MILLION)
        millionths = np.rint(np.where(usable, doubles, 0.0) * MILLION).astype(np.int64)
        return millionths, usable & (millionths / MILLION == doubles)

    def _as_doubles(self) -> npt.NDArray[np.float64]:
        """Each amount as the double nearest to it; zero where it cannot be a number of few digits."""
        import numpy as np

        raw = self._raw
        doubles = np.zeros(self.size)
        here = np.flatnonzero(self._kinds == DOUBLE)
        doubles[here] = raw.double[self._places[here]]
        for kind, numbers in ((INT32, raw.int32), (INT64, raw.int64)):
            here = np.flatnonzero(self._kinds == kind)
            whole = numbers[self._places[here]]
            doubles[here] = np.where(np.abs(whole) < MILLION**2, whole, 0)
        here = np.flatnonzero(self._kinds == DECIMAL)
        digits, high = raw.int64[self._places[here]], raw.int64[self._places[here] + 8]
        places = _DECIMAL_BIAS - (high >> 49)
        plain = (high & (2**49 - 1) == 0) & (places >= 0) & (places <= 6) & (digits >= 0) & (digits < MILLIONTHS_MAX)
        # Both numbers are exact, so this one division rounds as reading the decimal text would.
        doubles[here] = np.where(plain, digits, 0) / 10.0 ** np.where(plain, places, 0)
        here = np.flatnonzero(self._kinds == STRING)
        if here.size:
            doubles[here] = _plain_numbers(raw.texts(self._places[here]))
        return doubles

    def _fill(self, rows: Ints, millionths: Ints, decimals: int, tolerance: tuple[int, int]) -> None:
        import numpy as np

        amount = millionths[rows].astype(np.uint64)
        below, above = MILLION - tolerance[0], MILLION + tolerance[1]
        if decimals == 6:
            covered, overpaid, factor, bound = _ceiling(amount * np.uint64(below)), amount + np.uint64(1), 1, 1
            if tolerance[1]:
                overpaid = _ceiling(amount * np.uint64(above))
            covered = np.maximum(covered, np.uint64(1))
        else:
            factor, bound = 10 ** (decimals - 6), 10 ** (decimals - 12)
            covered, overpaid = amount * np.uint64(below), amount * np.uint64(above)
        self._units["expected_units"][rows] = _wide(amount, factor)
        self._units["covered_from_units"][rows] = _wide(covered, bound)
        units = _wide(overpaid, bound)
        if decimals != 6 and not tolerance[1]:
            units = self._units["expected_units"][rows]
            units[:, 0] += np.uint64(1)
            units[:, 1] += units[:, 0] == 0
        self._units["overpaid_from_units"][rows] = units
        self._known[rows] = True

    def _widen(self, rows: Ints, decimals: int, tolerance: tuple[int, int]) -> None:
        """Let a double be off by 2 units in its last place where nothing else is tolerated on that side."""
        import numpy as np

        exponents, which = np.unique(np.spacing(self._raw.double[self._places[rows]]), return_inverse=True)
        slack = np.array([slack_units(spacing / EPSILON, decimals=decimals) for spacing in exponents.tolist()])
        by = slack.astype(np.uint64)[which.reshape(-1)] if rows.size else np.zeros(0, dtype=np.uint64)
        if not by.any():
            return
        if not tolerance[0]:
            covered = self._units["covered_from_units"]
            less = covered[rows, 0] - by
            covered[rows, 1] -= less > covered[rows, 0]
            covered[rows, 0] = less
        if not tolerance[1]:
            overpaid = self._units["overpaid_from_units"]
            more = overpaid[rows, 0] + by
            overpaid[rows, 1] += more < by
            overpaid[rows, 0] = more

    def _read_slowly(self, rows: Ints, decimals: Ints, tolerances: list[tuple[int, int]]) -> None:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        if not rows.size:
            return
        texts: list[str | None] = []
        found: dict[str, list[int]] = {}
        known: dict[tuple[bytes, int, tuple[int, int]], Any] = {}
        for row, places, tolerance in zip(rows.tolist(), decimals[rows].tolist(), tolerances, strict=True):
            key = (self._stored(row), places, tolerance)
            if key not in known:
                places_known = places if places >= 0 else None
                known[key] = exact_amount(_value(key[0]), decimals=places_known, tolerance=tolerance)
            text, problem, units = known[key]
            texts.append(text)
            if problem:
                found.setdefault(problem, []).append(row)
            elif units:
                self._known[row] = True
                for name, value in zip(_UNITS, units, strict=True):
                    self._units[name][row] = (value & (2**64 - 1), value >> 64)
        mask = np.zeros(self.size, dtype=np.bool_)
        mask[rows] = True
        self._texts = pc.replace_with_mask(self._texts, pa.array(mask), pa.array(texts, pa.string()))
        for code, listed in found.items():
            flags = np.zeros(self.size, dtype=np.bool_)
            flags[listed] = True
            self._flag(code, flags)

    def _stored(self, row: int) -> bytes:
        """The type byte of a value and its bytes."""
        kind, at = int(self._kinds[row]), int(self._places[row])
        size = {DOUBLE: 8, INT32: 4, INT64: 8, DECIMAL: 16}.get(kind)
        if size is None:
            size = 4 + int(self._raw.int32[at])
        return bytes([kind]) + self._raw.data[at : at + size]

    def _flag(self, code: str, flags: Bools) -> None:
        self.problems[code] = flags


def _value(stored: bytes) -> object:
    import struct

    from bson import Decimal128

    kind, data = stored[0], stored[1:]
    if kind == DECIMAL:
        return Decimal128.from_bid(data)
    if kind == DOUBLE:
        return struct.unpack("<d", data)[0]
    if kind in (INT32, INT64):
        return int.from_bytes(data, "little", signed=True)
    return data[4:-1].decode("utf-8", "replace")


def _plain_numbers(texts: pa.Array) -> npt.NDArray[np.float64]:
    """Texts of few digits as the doubles nearest to them, zero for all others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    plain = pc.match_substring_regex(texts, _FEW_DIGITS)
    numbers = pc.if_else(plain, texts, "0").cast(pa.float64())
    return numbers.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def _ceiling(product: Any) -> Any:
    """A product with parts per million, divided by a million and rounded up."""
    import numpy as np

    return (product + np.uint64(MILLION - 1)) // np.uint64(MILLION)


def _wide(values: Any, factor: int) -> Any:
    """The 128-bit products of 63-bit values and a 63-bit factor, low word first."""
    import numpy as np

    half, low_bits = np.uint64(32), np.uint64(2**32 - 1)
    a_low, a_high = values & low_bits, values >> half
    b_low, b_high = np.uint64(factor & (2**32 - 1)), np.uint64(factor >> 32)
    low = a_low * b_low
    middle = a_high * b_low + (low >> half)
    cross = a_low * b_high + (middle & low_bits)
    wide = np.empty((values.size, 2), dtype=np.uint64)
    wide[:, 0] = (cross << half) | (low & low_bits)
    wide[:, 1] = a_high * b_high + (middle >> half) + (cross >> half)
    return wide
