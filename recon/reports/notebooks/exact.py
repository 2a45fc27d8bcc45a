"""Columns of exact numbers in pandas: base units as ``int``, whole tokens as ``Decimal``, of any size, never a float.

pandas itself has no such column: its integers stop at 64 bits, and on its object columns ``quantile`` fails while
``hist`` and ``mean`` go through floats. On these columns ``sum``, ``min``, ``max``, ``quantile``, ``median`` and
``groupby`` with any of them give exact numbers. A mean, a ratio or a product is a ``Decimal`` that keeps
:data:`DIGITS` digits. What would have to be a float (``std``, ``var``, ``+ 0.5``) is refused; ``astype(float)`` is how
one says that a float is wanted. ``hist`` draws, so its bars stand where a float puts them; :func:`histogram` counts
exactly and gives the numbers.

>>> import pandas as pd
>>> pd.Series(ExactArray([2**53 + 1, 1, None])).sum()
9007199254740994
"""

from __future__ import annotations

import decimal
import math
import operator
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.extensions import ExtensionArray, ExtensionDtype, register_extension_dtype, take
from pandas.api.indexers import check_array_indexer

DIGITS: Final = 100
"""Digits that a quotient keeps; sums, differences and products keep all of theirs."""
ARROW_DIGITS: Final = (38, 76)
"""What Arrow's decimals hold; a longer number is kept as text."""

ExactKind = Literal["units", "tokens"]
Cell = int | Decimal | None
_DIGITS_MAX: Final = 5_000
_EXACTLY: Final = decimal.Context(prec=_DIGITS_MAX, Emax=999_999, Emin=-999_999, traps=[decimal.InvalidOperation])
_DIVIDING: Final = decimal.Context(prec=DIGITS, Emax=999_999, Emin=-999_999, traps=[decimal.InvalidOperation])


class InexactError(TypeError):
    """Something that only floats can give is asked of exact numbers."""

    def __init__(self, *, what: str) -> None:
        super().__init__(
            f"{what} is not exact, and amounts never become floats by themselves; say astype(float) where one will do."
        )


@register_extension_dtype
class ExactDtype(ExtensionDtype):  # type: ignore[misc]
    """``exact[units]`` holds ints, ``exact[tokens]`` holds Decimals; None is "not known"."""

    na_value = None
    _metadata = ("kind_of",)
    _is_numeric = True

    def __init__(self, kind: ExactKind = "tokens") -> None:
        self.kind_of = kind

    @property
    def name(self) -> str:
        """The name under which Parquet files and ``astype`` know it."""
        return f"exact[{self.kind_of}]"

    @classmethod
    def construct_array_type(cls) -> Any:
        """The array of this type."""
        return ExactArray

    @property
    def type(self) -> Any:
        """The type of a cell."""
        return int if self.kind_of == "units" else Decimal

    @classmethod
    def construct_from_string(cls, string: str) -> ExactDtype:
        """The type of a name."""
        for kind in ("units", "tokens"):
            if string == f"exact[{kind}]":
                return cls(kind)
        raise TypeError(f"{string!r} is no type of exact numbers")

    def __from_arrow__(self, array: Any) -> ExactArray:
        """Read back what Parquet kept: decimals, or text where they were too long for one."""
        return ExactArray([None if cell is None else Decimal(cell) for cell in array.to_pylist()], dtype=self)


class ExactArrow(pa.ExtensionType):  # type: ignore[misc]
    """How Arrow and Parquet keep such a column: as decimals for every reader, and as the same column for this one."""

    def __init__(self, storage: Any, kind: str) -> None:
        self.kind_of = kind
        super().__init__(storage, "recon.exact")

    def __arrow_ext_serialize__(self) -> bytes:
        return str(self.kind_of).encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: Any, serialized: bytes) -> ExactArrow:
        kind = serialized.decode("utf-8", "replace")
        return cls(storage_type, kind if kind in ("units", "tokens") else "tokens")

    def to_pandas_dtype(self) -> ExactDtype:
        """The type of the column in pandas."""
        return ExactDtype("units" if self.kind_of == "units" else "tokens")


pa.register_extension_type(ExactArrow(pa.decimal128(38, 0), "units"))


class ExactArray(ExtensionArray):  # type: ignore[misc]
    """Exact numbers, or None where one is not known.

    Args:
        values: Ints and Decimals; a float, a bool or a text is refused.
        dtype: Of whole tokens or of base units; when not given, base units where every number is an int.
    """

    __array_priority__ = 1000

    def __init__(self, values: Iterable[Any], dtype: ExactDtype | None = None) -> None:
        cells = [_cell(value) for value in values]
        is_whole = all(cell is None or isinstance(cell, int) for cell in cells)
        self._dtype = dtype or ExactDtype("units" if is_whole else "tokens")
        turn = _units if self._dtype.kind_of == "units" else _tokens
        self._cells = np.empty(len(cells), dtype=object)
        self._cells[:] = [None if cell is None else turn(cell) for cell in cells]

    # What pandas asks of every array

    @property
    def dtype(self) -> ExactDtype:
        """Whether these are base units or whole tokens."""
        return self._dtype

    @property
    def nbytes(self) -> int:
        """What the places take; the numbers themselves come on top."""
        return int(self._cells.nbytes)

    @classmethod
    def _from_sequence(cls, scalars: Iterable[Any], *, dtype: Any = None, copy: bool = False) -> ExactArray:
        return cls(scalars, dtype=dtype if isinstance(dtype, ExactDtype) else None)

    @classmethod
    def _from_sequence_of_strings(cls, strings: Iterable[Any], *, dtype: Any, copy: bool = False) -> ExactArray:
        return cls([None if pd.isna(text) or text == "" else Decimal(text) for text in strings], dtype=dtype)

    @classmethod
    def _from_factorized(cls, values: Iterable[Any], original: ExactArray) -> ExactArray:
        return cls(values, dtype=original.dtype)

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[ExactArray]) -> ExactArray:
        return cls([cell for each in to_concat for cell in each._cells], dtype=to_concat[0].dtype)

    def _cast_pointwise_result(self, values: Any) -> Any:
        try:
            return type(self)(values)
        except TypeError:
            return super()._cast_pointwise_result(values)

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, (int, np.integer)):
            return self._cells[item]
        return self._of(self._cells[check_array_indexer(self, item)])

    def __setitem__(self, key: Any, value: Any) -> None:
        turn = _units if self._dtype.kind_of == "units" else _tokens
        many = isinstance(value, (ExactArray, pd.Series, list, tuple, np.ndarray))
        cells = [_cell(each) for each in value] if many else [_cell(value)]
        turned = [None if cell is None else turn(cell) for cell in cells]
        where = check_array_indexer(self, key)
        self._cells[where] = turned if many else turned[0]

    def isna(self) -> Any:
        """Which are not known."""
        return np.array([cell is None for cell in self._cells], dtype=bool)

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> ExactArray:
        """The cells of these places; -1 is the fill where filling is allowed."""
        fill = _cell(fill_value)
        return self._of(take(self._cells, indices, fill_value=fill, allow_fill=allow_fill))

    def copy(self) -> ExactArray:
        """Another array of the same cells."""
        return self._of(self._cells.copy())

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """As another type: this is how a float is asked for."""
        wanted = pd.api.types.pandas_dtype(dtype)
        if isinstance(wanted, ExactDtype):
            return type(self)(self._cells, dtype=wanted)
        if isinstance(wanted, np.dtype) and wanted.kind == "f":
            return np.array([np.nan if cell is None else float(cell) for cell in self._cells], dtype=wanted)
        if isinstance(wanted, pd.StringDtype):
            return pd.array([None if cell is None else _text(cell) for cell in self._cells], dtype=wanted)
        return super().astype(wanted, copy=copy)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        """As NumPy has it; without a type as Decimals, the one exact number that matplotlib draws."""
        if dtype is None:
            return np.array([None if cell is None else Decimal(cell) for cell in self._cells], dtype=object)
        return self.astype(dtype) if np.dtype(dtype).kind == "f" else self._cells.astype(dtype)

    def _values_for_factorize(self) -> tuple[Any, Any]:
        return self._cells, None

    def _values_for_argsort(self) -> Any:
        return self._cells

    def _formatter(self, boxed: bool = False) -> Callable[[Any], str]:
        return lambda cell: "<NA>" if cell is None else _text(cell)

    def __arrow_array__(self, type: Any = None) -> Any:  # noqa: A002 - the name that Arrow calls it by
        """As Arrow's decimals, or as text where a number is longer than they are."""
        places = max((-_exponent(cell) for cell in self._known()), default=0)
        digits = max((len(_text(cell).lstrip("-").partition(".")[0]) for cell in self._known()), default=1) + places
        if digits > ARROW_DIGITS[1]:
            kept = pa.array([None if cell is None else _text(cell) for cell in self._cells], type=pa.string())
        else:
            kind = pa.decimal128(38, places) if digits <= ARROW_DIGITS[0] else pa.decimal256(76, places)
            kept = pa.array([None if cell is None else Decimal(cell) for cell in self._cells], type=kind)
        return pa.ExtensionArray.from_storage(ExactArrow(kept.type, self._dtype.kind_of), kept)

    def _of(self, cells: Iterable[Any]) -> ExactArray:
        return type(self)(cells, dtype=self._dtype)

    def _known(self) -> list[int | Decimal]:
        return [cell for cell in self._cells if cell is not None]

    # Arithmetic and comparison

    def _paired(self, other: Any) -> list[Any]:
        if isinstance(other, (ExactArray, np.ndarray, list, pd.api.extensions.ExtensionArray)):
            if len(other) != len(self):
                raise ValueError("columns of another length")
            return list(other)
        return [other] * len(self)

    def _worked(self, other: Any, work: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, (pd.Series, pd.DataFrame, pd.Index)):
            return NotImplemented
        others = [_cell(each) for each in self._paired(other)]
        pairs = zip(self._cells, others, strict=True)
        return type(self)([None if one is None or two is None else work(one, two) for one, two in pairs])

    def __add__(self, other: Any) -> Any:
        return self._worked(other, _add)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._worked(other, lambda one, two: _add(one, -two))

    def __rsub__(self, other: Any) -> Any:
        return self._worked(other, lambda one, two: _add(two, -one))

    def __mul__(self, other: Any) -> Any:
        return self._worked(other, _multiply)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._worked(other, _divide)

    def __rtruediv__(self, other: Any) -> Any:
        return self._worked(other, lambda one, two: _divide(two, one))

    def __neg__(self) -> ExactArray:
        return self._of([None if cell is None else -cell for cell in self._cells])

    def __abs__(self) -> ExactArray:
        return self._of([None if cell is None else abs(cell) for cell in self._cells])

    def _compared(self, other: Any, compare: Callable[[Any, Any], bool]) -> Any:
        if isinstance(other, (pd.Series, pd.DataFrame, pd.Index)):
            return NotImplemented
        pairs = zip(self._cells, self._paired(other), strict=True)
        missing = compare is operator.ne
        told = [missing if one is None or pd.isna(two) else compare(one, two) for one, two in pairs]
        return np.array(told, dtype=bool)

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> Any:
        return self._compared(other, operator.eq)

    def __ne__(self, other: object) -> Any:
        return self._compared(other, operator.ne)

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, operator.lt)

    def __le__(self, other: Any) -> Any:
        return self._compared(other, operator.le)

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, operator.gt)

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, operator.ge)

    # One number of many

    def _reduce(self, name: str, *, skipna: bool = True, keepdims: bool = False, **kwargs: Any) -> Any:
        if name not in _TOLD:
            raise InexactError(what=name)
        found = (
            None if not skipna and self.isna().any() else _told(name, self._known(), int(kwargs.get("min_count", 0)))
        )
        return type(self)([found]) if keepdims else found

    def _quantile(self, qs: Any, interpolation: str) -> ExactArray:
        cells = sorted(self._known())
        return type(self)([_quantile_of(cells, q, interpolation) for q in qs])

    def _groupby_op(
        self, *, how: str, has_dropped_na: bool, min_count: int, ngroups: int, ids: Any, **kwargs: Any
    ) -> Any:
        if how in ("first", "last"):
            return super()._groupby_op(
                how=how, has_dropped_na=has_dropped_na, min_count=min_count, ngroups=ngroups, ids=ids, **kwargs
            )
        if how not in _TOLD:
            raise InexactError(what=how)
        groups, spoiled = self._groups(ids, ngroups)
        skips = kwargs.get("skipna", True)
        told = [_told(how, group, min_count) for group in groups]
        return type(self)([None if place in spoiled and not skips else each for place, each in enumerate(told)])

    def _groupby_quantile(self, *, qs: Any, interpolation: str, starts: Any, ends: Any, **_rest: Any) -> ExactArray:
        """Of each group; pandas hands over the rows in the order of their groups."""
        slices = (self._cells[start:end] for start, end in zip(starts, ends, strict=True))
        ordered = [sorted(cell for cell in group if cell is not None) for group in slices]
        return type(self)([_quantile_of(cells, q, interpolation) for cells in ordered for q in qs])

    def _groups(self, ids: Any, count: int) -> tuple[list[list[Any]], set[int]]:
        """The known numbers of each group, and the groups in which one is not known."""
        groups: list[list[Any]] = [[] for _ in range(count)]
        spoiled: set[int] = set()
        for group, cell in zip(ids, self._cells, strict=True):
            if group < 0:
                continue
            if cell is None:
                spoiled.add(int(group))
            else:
                groups[group].append(cell)
        return groups, spoiled

    def _accumulate(self, name: str, *, skipna: bool = True, **kwargs: Any) -> ExactArray:
        steps: dict[str, Callable[[Any, Any], Any]] = {"cumsum": _add, "cummax": max, "cummin": min}
        if name not in steps:
            raise InexactError(what=name)
        so_far: Any = None
        found: list[Any] = []
        for cell in self._cells:
            if cell is not None:
                so_far = cell if so_far is None else steps[name](so_far, cell)
            found.append(None if cell is None else so_far)
        return self._of(found)


def histogram(column: Any, bins: int | Sequence[int | Decimal] = 10) -> pd.DataFrame:
    """Count the numbers of a column between edges, exactly: each bin holds its left edge, the last one both.

    Args:
        bins: How many of equal width, or the edges in order.

    Returns:
        ``left``, ``right`` and ``count``, a row a bin; what is not known is not counted.
    """
    cells = sorted(cell for cell in ExactArray(column) if cell is not None)
    edges = _edges(cells, bins) if isinstance(bins, int) else [_tokens(_cell(edge) or 0) for edge in bins]
    if len(edges) < 2 or any(one >= two for one, two in pairwise(edges)):
        raise ValueError("a histogram wants edges that rise, two at least")
    counts = [0] * (len(edges) - 1)
    for cell in cells:
        place = bisect_right(edges, cell) - 1 if cell != edges[-1] else len(counts) - 1
        if 0 <= place < len(counts):
            counts[place] += 1
    return pd.DataFrame(
        {"left": ExactArray(edges[:-1]), "right": ExactArray(edges[1:]), "count": pd.array(counts, dtype="Int64")}
    )


def _edges(cells: Sequence[Any], count: int) -> list[Decimal]:
    if count < 1:
        raise ValueError("a histogram wants one bin at least")
    low, high = (_tokens(cells[0]), _tokens(cells[-1])) if cells else (Decimal(0), Decimal(1))
    if low == high:
        high = _tokens(_add(low, 1))
    width = _divide(_add(high, -low), count) or Decimal(1)
    return [*(_tokens(_add(low, _multiply(width, place))) for place in range(count)), high]


def _cell(value: Any) -> Cell:
    """A cell as it is kept; what is no exact number is refused."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, Decimal):
        if value.is_nan():
            return None
        if not value.is_finite():
            raise InexactError(what="an infinite number")
        return value
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) or value is pd.NaT:
        return None
    if isinstance(value, (float, np.floating)):
        raise InexactError(what=f"the float {value!r}")
    raise TypeError(f"{type(value).__name__} is no exact number: ints and Decimals are")


def _units(cell: int | Decimal) -> int:
    whole = int(cell)
    if whole != cell:
        raise TypeError(f"{_text(cell)} is no whole number of base units")
    return whole


def _tokens(cell: int | Decimal) -> Decimal:
    """A Decimal in its one form: no zeros at its end, none but the point before them."""
    value = Decimal(cell)
    whole = value.to_integral_value(context=_EXACTLY)
    return Decimal(int(whole)) if whole == value else value.normalize(_EXACTLY)


def _text(cell: int | Decimal) -> str:
    return format(cell, "f") if isinstance(cell, Decimal) else str(cell)


def _exponent(cell: int | Decimal) -> int:
    exponent = cell.as_tuple().exponent if isinstance(cell, Decimal) else 0
    return min(0, exponent) if isinstance(exponent, int) else 0


def _add(one: int | Decimal, two: int | Decimal) -> int | Decimal:
    return one + two if isinstance(one, int) and isinstance(two, int) else _EXACTLY.add(Decimal(one), Decimal(two))


def _multiply(one: int | Decimal, two: int | Decimal) -> int | Decimal:
    both = isinstance(one, int) and isinstance(two, int)
    return one * two if both else _EXACTLY.multiply(Decimal(one), Decimal(two))


def _divide(one: int | Decimal, two: int | Decimal) -> Decimal | None:
    return None if not two else _DIVIDING.divide(Decimal(one), Decimal(two))


def _sum(cells: Iterable[int | Decimal]) -> int | Decimal:
    found: int | Decimal = 0
    for cell in cells:
        found = _add(found, cell)
    return found


def _product(cells: Iterable[int | Decimal]) -> int | Decimal:
    found: int | Decimal = 1
    for cell in cells:
        found = _multiply(found, cell)
    return found


def _mean(cells: Sequence[int | Decimal]) -> Decimal | None:
    return _divide(_sum(cells), len(cells))


def _quantile_of(cells: Sequence[Any], q: float, interpolation: str) -> int | Decimal | None:
    """The quantile of ordered numbers; a share is what it is written as, 0.1 is one tenth."""
    if not cells:
        return None
    place = _EXACTLY.multiply(Decimal(repr(float(q))), Decimal(len(cells) - 1))
    below = int(place)
    above, share = min(below + 1, len(cells) - 1), _EXACTLY.subtract(place, Decimal(below))
    if not share or interpolation == "lower":
        return cells[below]  # type: ignore[no-any-return]
    if interpolation == "higher":
        return cells[above]  # type: ignore[no-any-return]
    if interpolation == "nearest":
        half = Decimal("0.5")
        return cells[above if share > half or (share == half and below % 2) else below]  # type: ignore[no-any-return]
    part = Decimal("0.5") if interpolation == "midpoint" else share
    return _add(cells[below], _multiply(_add(cells[above], -cells[below]), part))


_TOLD: Final[dict[str, Callable[[Any], Any]]] = {
    "sum": _sum, "prod": _product, "min": min, "max": max, "mean": _mean,
    "median": lambda cells: _quantile_of(sorted(cells), 0.5, "linear"), "count": len,
}  # fmt: skip


def _told(name: str, cells: Sequence[Any], count_min: int) -> Any:
    """One number of many; of nothing there is a sum, and no other."""
    least = max(count_min, 0 if name in ("sum", "prod", "count") else 1)
    return _TOLD[name](cells) if len(cells) >= least else None
