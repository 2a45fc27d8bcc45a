"""Every limit that a run would hit is told at once, in the order in which an apply stops at them."""

from __future__ import annotations

from recon.plans.limits import Limits, limits_hit
from tests.support.plans import a_change, a_plan, with_summary

CHANGES = tuple(
    a_change(payment_id=f"{number:024x}", value_units=units, chain_id=1, token="0xaa", symbol="USDC", decimals=6)
    for number, units in enumerate((5_000_000, 7_000_000, 9_000_000), start=1)
)
PLAN = with_summary(a_plan(changes=CHANGES), payments=10)


def told(limits: Limits) -> list[tuple[str, bool]]:
    found = limits_hit(PLAN, iter(CHANGES), limits=limits)
    return [(str(error).split(" is ")[0].removeprefix("The limit on "), error.is_value) for error in found]


def test_nothing_is_hit_on_the_limits_themselves() -> None:
    exact = Limits(
        changes_max=3,
        share_max_percent=30,
        value_max_units={"USDC": 21_000_000},
        value_max_units_per_payment={"USDC": 9_000_000},
    )
    assert told(exact) == []


def test_one_below_all_of_them_are_hit() -> None:
    under = Limits(
        changes_max=2,
        share_max_percent=29,
        value_max_units={"USDC": 20_999_999},
        value_max_units_per_payment={"USDC": 6_999_999},
    )
    assert told(under) == [
        ("value per payment", True),
        ("value per payment", True),
        ("rows", False),
        ("the share of compared rows", False),
        ("value per run", True),
    ]


def test_the_share_counts_only_from_enough_compared_rows_on() -> None:
    assert told(Limits(share_max_percent=1, share_max_from_rows=11)) == []
    assert told(Limits(share_max_percent=1, share_max_from_rows=10)) == [("the share of compared rows", False)]
