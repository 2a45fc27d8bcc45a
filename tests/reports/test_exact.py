"""Exact columns: sums, quantiles, groups and histograms of numbers that no float holds, and floats refused."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recon.reports.notebooks.exact import ExactArray, ExactDtype, InexactError, histogram

BIG = 2**53 + 1
HUGE = 10**37 - 1
UNITS = [BIG, BIG + 2, HUGE, 1, None, 0, -BIG, BIG + 1]
WHOLE = [None if units is None else Decimal(units).scaleb(-18) for units in UNITS]


@pytest.fixture(params=[UNITS, WHOLE], ids=["units", "tokens"])
def cells(request: pytest.FixtureRequest) -> list[int | Decimal | None]:
    return list(request.param)


def frame_of(cells: list[int | Decimal | None]) -> pd.DataFrame:
    return pd.DataFrame({"group": list("aabbbcca"), "value": ExactArray(cells)})


def rational_quantile(cells: list[int | Decimal], q: str) -> Fraction:
    ordered = sorted(map(Fraction, cells))
    place = Fraction(q) * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


@pytest.mark.parametrize("q", ["0", "0.1", "0.25", "0.333", "0.5", "0.9", "1"])
def test_a_quantile_is_the_rational_one(cells: list[int | Decimal | None], q: str) -> None:
    known = [cell for cell in cells if cell is not None]
    frame = frame_of(cells)
    found = frame["value"].quantile(float(q))
    assert isinstance(found, (int, Decimal))
    assert Fraction(found) == rational_quantile(known, q)
    grouped = frame.groupby("group")["value"].quantile(float(q))
    for name, part in frame.dropna().groupby("group"):
        assert Fraction(grouped[name]) == rational_quantile(list(part["value"]), q)


def test_several_quantiles_of_groups_come_in_their_order(cells: list[int | Decimal | None]) -> None:
    found = frame_of(cells).groupby("group")["value"].quantile([0.1, 0.9])
    assert list(found.index) == [(name, q) for name in "abc" for q in (0.1, 0.9)]
    assert Fraction(found["a", 0.9]) == rational_quantile(
        [c for c in (cells[0], cells[1], cells[7]) if c is not None], "0.9"
    )


def test_sums_extremes_and_medians_keep_every_digit_by_group_too(cells: list[int | Decimal | None]) -> None:
    frame = frame_of(cells)
    known = [Fraction(cell) for cell in cells if cell is not None]
    column = frame["value"]
    assert Fraction(column.sum()) == sum(known)
    assert (Fraction(column.min()), Fraction(column.max())) == (min(known), max(known))
    told = frame.groupby("group")["value"].agg(["sum", "min", "max", "median", "count", "mean"])
    assert str(told["sum"].dtype) == str(column.dtype)
    for name in "abc":
        part = [
            Fraction(cell) for cell, group in zip(cells, "aabbbcca", strict=True) if group == name and cell is not None
        ]
        assert Fraction(told.loc[name, "sum"]) == sum(part)
        assert Fraction(told.loc[name, "max"]) == max(part)
        assert Fraction(told.loc[name, "median"]) == rational_quantile(part, "0.5")
        assert told.loc[name, "count"] == len(part)
    assert frame.groupby("group", as_index=False).agg(total=("value", "sum"))["total"].map(type).nunique() == 1
    assert [type(cell) for cell in told["mean"]] == [Decimal] * 3


def test_arithmetic_and_comparison_are_exact_and_nothing_is_known_of_what_is_missing() -> None:
    column = pd.Series(ExactArray(UNITS))
    assert (column + 1).tolist() == [None if cell is None else cell + 1 for cell in UNITS]
    assert (column * 10**18 - column).tolist()[2] == HUGE * (10**18 - 1)
    assert (1 - column).tolist()[0] == -(2**53)
    assert (column / 3).tolist()[3] == Decimal("0." + "3" * 100)
    assert (column == BIG).tolist() == [True, *[False] * 7], "2**53 and 2**53 + 1 are two numbers"
    assert (column > BIG).tolist() == [False, True, True, False, False, False, False, True]
    assert (column + pd.Series(ExactArray(WHOLE))).dtype == ExactDtype("tokens")
    assert column.sort_values().tolist()[:3] == [-BIG, 0, 1]
    assert column.cumsum().tolist()[1] == 2 * BIG + 2
    assert column.isin([BIG]).sum() == 1
    assert column.nunique() == 7
    assert abs(column).tolist()[6] == BIG


@pytest.mark.parametrize("what", ["std", "var", "sem", "skew", "kurt"])
def test_what_only_a_float_can_say_is_refused(what: str) -> None:
    frame = frame_of(list(UNITS))
    with pytest.raises(TypeError):
        getattr(frame["value"], what)()
    with pytest.raises(TypeError):
        getattr(frame.groupby("group")["value"], what)()


@pytest.mark.parametrize("value", [0.5, np.float64(1.0), True, "1", Decimal("Infinity"), 1 + 2j])
def test_no_float_bool_or_text_gets_in(value: object) -> None:
    with pytest.raises(TypeError):
        ExactArray([1, value])
    column = pd.Series(ExactArray([1, 2]))
    with pytest.raises(TypeError):
        _ = column + value
    with pytest.raises(TypeError):
        column.array[0] = value
    with pytest.raises(InexactError, match="astype"):
        _ = column * 1.5
    assert column.astype(float).tolist() == [1.0, 2.0], "whoever says float gets it"


def test_a_histogram_counts_exactly_where_floats_put_two_numbers_into_one() -> None:
    column = pd.Series(ExactArray([BIG - 1, BIG, BIG, BIG + 1, None]))
    found = histogram(column, bins=[BIG - 1, BIG, BIG + 1])
    assert found["count"].tolist() == [1, 3]
    assert histogram(column, bins=[BIG - 1, BIG, BIG + 1, BIG + 2])["count"].tolist() == [1, 2, 1]
    even = histogram(column, bins=2)
    assert even["left"].tolist() == [BIG - 1, BIG]
    assert even["count"].sum() == 4
    assert histogram(pd.Series(ExactArray([])), bins=3)["count"].tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="rise"):
        histogram(column, bins=[2, 1])


def test_hist_draws_and_describe_tells(cells: list[int | Decimal | None]) -> None:
    import matplotlib as mpl
    from matplotlib import pyplot

    mpl.use("agg")
    frame = frame_of(cells)
    assert frame["value"].hist(bins=4) is not None
    assert frame.hist() is not None
    pyplot.close("all")


def test_parquet_gives_back_the_same_column(cells: list[int | Decimal | None], tmp_path: Path) -> None:
    long = [Decimal("1." + "0" * 80 + "1"), *cells[1:]]
    middle = [Decimal(10) ** 40 + 1, *cells[1:]]
    for number, given in enumerate((cells, long, middle, [None] * 8)):
        frame = frame_of(given)
        frame.to_parquet(tmp_path / f"{number}.parquet")
        back = pd.read_parquet(tmp_path / f"{number}.parquet")
        pd.testing.assert_frame_equal(back, frame)
        assert [type(cell) for cell in back["value"]] == [type(cell) for cell in frame["value"]]
        assert back["value"].tolist() == frame["value"].tolist()


def test_frames_of_exact_columns_are_joined_stacked_and_reshaped(cells: list[int | Decimal | None]) -> None:
    frame = frame_of(cells)
    both = pd.concat([frame, frame], ignore_index=True)
    assert both["value"].dtype == frame["value"].dtype
    assert Fraction(both["value"].sum()) == 2 * Fraction(frame["value"].sum())
    joined = frame.merge(pd.DataFrame({"group": ["a", "d"]}), on="group", how="right")
    assert joined["value"].dtype == frame["value"].dtype
    assert joined["value"].isna().sum() == 1
    wide = frame.groupby("group")["value"].sum().reindex(["a", "z"])
    assert wide.isna().tolist() == [False, True]
    assert "E" not in frame.to_string()
