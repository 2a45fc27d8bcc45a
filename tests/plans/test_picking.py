"""Smaller plans: what is kept, what a word means, and why nothing is left."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from recon.core.ids import payment_id_text
from recon.core.model import LeftAlone, Plan, Tier, Verdict
from recon.plans.file import seal_plan
from recon.plans.picking import (
    EmptySelectionError,
    NoSuchPaymentError,
    Pick,
    UnchangedPaymentError,
    named_payment,
    picked_breaks,
    select_changes,
    written_word,
)
from recon.reports.views.totals import breaks_of
from tests.support.plans import a_change, a_finding, a_plan

HOUR = 3_600
AUTO = a_change(payment_id="665f1c2e9b1d8a0012345601", value_units=5 * 10**18, age_s=2 * HOUR)
LARGE = a_change(payment_id="665f1c2e9b1d8a0012345602", value_units=500 * 10**18, verdict=Verdict.ESCROW_DRIFT,
                 age_s=30 * HOUR)  # fmt: skip
LATE = a_change(payment_id="665f1c2e9b1d8a0012345603", verdict=Verdict.LATE_PAYMENT, tier=Tier.REVIEW, age_s=30 * HOUR,
                value_units=7 * 10**18)  # fmt: skip
TEXT_ID = replace(LATE, id="c0000000000000004", payment_id='"ad63e249a24a4dcd038b5441"')
CHANGES = (AUTO, LARGE, LATE, TEXT_ID)


@pytest.fixture
def plan() -> Plan:
    findings = tuple(
        a_finding(
            payment_id=change.payment_id, verdict=change.verdict, tier=change.tier, provider=provider,
            chain_id=change.chain_id, age_s=change.age_s, value_units=change.value_units,
        )
        for change, provider in zip(CHANGES, ("shkeeper", "request_network", "shkeeper", "shkeeper"), strict=True)
    )  # fmt: skip
    held = a_finding(payment_id="665f1c2e9b1d8a0012345699", verdict=Verdict.DISPUTE_HOLD, tier=Tier.NEVER)
    made = replace(a_plan(), findings=(*findings, held), changes=CHANGES, left_alone=(), parent=None, picked=())
    return seal_plan(made)


def kept(plan: Plan, pick: Pick) -> list[str]:
    return [change.payment_id for change in select_changes(plan, pick).changes]


def ids(*changes: object) -> list[str]:
    return [change.payment_id for change in changes]  # type: ignore[attr-defined]


def test_a_selection_names_its_parent_and_lists_what_it_leaves(plan: Plan) -> None:
    small = select_changes(plan, Pick(verdicts=frozenset({AUTO.verdict})))
    assert (small.parent, [change.id for change in small.changes]) == (plan.digest, [AUTO.id])
    assert {item.payment_id for item in small.left_alone} == set(ids(LARGE, LATE, TEXT_ID))
    assert (small.picked, small.digest != plan.digest) == ((), True)


def test_without_a_word_everything_automatic_is_kept(plan: Plan) -> None:
    assert kept(plan, Pick()) == ids(AUTO, LARGE)


def test_a_review_change_is_kept_only_if_its_payment_or_its_tier_is_named(plan: Plan) -> None:
    small = select_changes(plan, Pick(payments=(LATE.payment_id,)))
    assert (ids(*small.changes), list(small.picked)) == (ids(LATE), ids(LATE))
    both = select_changes(plan, Pick(tiers=frozenset({"review"}), verdicts=frozenset({"late_payment"})))
    assert (set(ids(*both.changes)), set(both.picked)) == (set(ids(LATE, TEXT_ID)), set(ids(LATE, TEXT_ID)))
    with pytest.raises(EmptySelectionError, match=r'2 fit and are of tier review.*"--tier review" or by payment'):
        select_changes(plan, Pick(verdicts=frozenset({"late_payment"})))


@pytest.mark.parametrize(
    ("pick", "expected"),
    [
        (Pick(providers=frozenset({"request_network"})), (LARGE,)),
        (Pick(chains=frozenset({AUTO.chain_id or 0})), (AUTO, LARGE)),
        (Pick(tokens=frozenset({(AUTO.symbol or "").upper()})), (AUTO, LARGE)),
        (Pick(older_s=24 * HOUR), (LARGE,)),
        (Pick(younger_s=24 * HOUR), (AUTO,)),
        (Pick(least={(AUTO.symbol or "").upper(): Decimal(6)}), (LARGE,)),
        (Pick(most={(AUTO.symbol or "").upper(): Decimal(5)}), (AUTO,)),
        (Pick(but=(LARGE.payment_id[:24],)), (AUTO,)),
        (Pick(providers=frozenset({"shkeeper"}), payments=(LARGE.payment_id,)), (AUTO, LARGE)),
    ],
)
def test_every_kind_of_word_narrows(plan: Plan, pick: Pick, expected: tuple[object, ...]) -> None:
    assert sorted(kept(plan, pick)) == sorted(ids(*expected))


def test_a_value_limit_counts_each_token_in_its_own_units(plan: Plan) -> None:
    """One symbol on two chains, with 18 and 6 decimals: 500 of it are 500 of it on both."""
    coarse = replace(LARGE, chain_id=137, token="0x" + "3c" * 20, decimals=6, value_units=500 * 10**6)
    both = seal_plan(replace(plan, changes=(AUTO, coarse)))
    symbol = (AUTO.symbol or "").upper()
    assert kept(both, Pick(most={symbol: Decimal("499.999999")})) == ids(AUTO)
    assert kept(both, Pick(most={symbol: Decimal(500)})) == ids(AUTO, coarse)


def test_nothing_left_says_why(plan: Plan) -> None:
    for pick, why in (
        (Pick(verdicts=frozenset({"reorged"})), "no change of the plan fits"),
        (Pick(verdicts=frozenset({"dispute_hold"})), "the plan shows 1 dispute_hold, and proposes no change for them"),
        (
            Pick(verdicts=frozenset({str(AUTO.verdict)}), but=(AUTO.payment_id,)),
            "1 change fits and is left out by --except",
        ),
    ):
        with pytest.raises(EmptySelectionError, match=why):
            select_changes(plan, pick)


def test_a_payment_that_is_left_alone_is_refused_for_that(plan: Plan) -> None:
    left = replace(plan, left_alone=(*plan.left_alone, LeftAlone("665f1c2e9b1d8a00ffffff01", Verdict.UNPROVEN, "no")))
    with pytest.raises(
        UnchangedPaymentError, match=r"changes nothing of payment 665f1c2e9b1d8a00ffffff01: no\. No file"
    ):
        select_changes(left, Pick(payments=("665f1c2e9b1d8a00ff",)))
    with pytest.raises(NoSuchPaymentError, match="names no payment of plan"):
        select_changes(left, Pick(payments=("abcdef0123",)))


def test_a_payment_is_named_as_it_is_printed_pasted_or_begun() -> None:
    known = {AUTO.payment_id, LARGE.payment_id, TEXT_ID.payment_id, "order-77"}
    assert named_payment(AUTO.payment_id.upper(), known) == AUTO.payment_id
    assert named_payment("ad63e249a24a4dcd038b5441", known) == TEXT_ID.payment_id, "a shell takes the quotes away"
    assert named_payment("ad63e2", known) == TEXT_ID.payment_id
    assert named_payment("order-77", known) == "order-77"
    with pytest.raises(NoSuchPaymentError, match="names several payments of the plan: 665f1c2e9b1d8a0012345601, "):
        named_payment("665f1c2e", known)
    with pytest.raises(NoSuchPaymentError, match="names no payment of the plan; nothing"):
        named_payment("665f1", known)
    with pytest.raises(NoSuchPaymentError, match="the nearest is 665f1c2e9b1d8a0012345601"):
        named_payment("665f1c2e9b1d8a00123456O1", {AUTO.payment_id, "order-77"})


def test_breaks_are_picked_in_the_same_words(plan: Plan) -> None:
    breaks = breaks_of(plan)
    assert {row.payment_id for row in picked_breaks(breaks, Pick(tiers=frozenset({"never"})))} == {
        "665f1c2e9b1d8a0012345699"
    }
    assert picked_breaks(breaks, Pick()) == [], "nothing is accepted that nobody named"
    late = picked_breaks(breaks, Pick(verdicts=frozenset({"late_payment"}), but=("ad63e249",)))
    assert ids(*late) == ids(LATE)
    with pytest.raises(NoSuchPaymentError):
        picked_breaks(breaks, Pick(payments=("nobody",)))


@pytest.mark.parametrize(
    "value",
    ["plain", "a b", "a  b", "#", "order #7", " a", "a ", "\ta\n", "\u202e", "\x00\x7f", "\U0001f600", '"', "{", "null",
     "é", "-x", "665f1c2e9b1d8a0012345678", "\u2028", "x" * 5000, '\\"#', {"a": {"b#": ["\u202e", 1.5]}}, 7,
     2**40, None, True, b"\x00"],
)  # fmt: skip
def test_every_id_has_a_word_of_plain_ascii_that_a_list_and_a_line_read_back(value: object) -> None:
    name = payment_id_text(value)
    word = written_word(name)
    assert word.isascii()
    assert word.isprintable()
    listed = word.partition("#")[0].strip()
    assert named_payment(listed, {name, "another", f"{name}x"}) == name
    assert written_word(name) == word
