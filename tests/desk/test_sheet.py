"""One payment as lines: sides that differ, everything that is guarded, links and commands; nothing steers a screen."""

from __future__ import annotations

import re

import pytest

from recon.core.model import FieldView, GuardTerm, ProofTerm
from recon.core.registry import load_registry
from recon.desk.marks import Mark, MarkKind
from recon.desk.rows import desk_rows
from recon.desk.sheet import SheetFacts, sheet_facts, sheet_lines, sides_differ
from tests.support.plans import PAYMENT, a_change, a_finding, a_plan

TX = "0x" + "11" * 32


@pytest.mark.parametrize(
    ("view", "differs"),
    [
        (FieldView("status", "pending", "PAID", "paid, final"), True),
        (FieldView("status", "completed", "anything", "paid, final"), False),
        (FieldView("status", "completed", None, "no money"), True),
        (FieldView("status", "refunded", None, "paid, final"), False),
        (FieldView("status", "pending", None, "not fully scanned"), False),
        (FieldView("amount", "5", "5 USDC", "5"), False),
        (FieldView("amount", "5", None, "6"), True),
        (FieldView("tx_hash", None, TX, TX), False),
        (FieldView("tx_hash", "0x1", None, TX), True),
    ],
)
def test_sides_that_contradict_each_other_are_marked(view: FieldView, differs: bool) -> None:
    assert sides_differ(view) is differs


def test_every_guarded_value_every_effect_and_every_premise_is_shown() -> None:
    change = a_change(
        guard=(GuardTerm("status", "pending"), GuardTerm("hold", {"$recon": "missing"})),
        side_effects=("becomes possible: release", "will not happen: mail"),
        proof=(ProofTerm(56, TX, 3, 70, "0x2", True),),
    )
    finding = a_finding(
        fields=(FieldView("status", "pending", "paid", "paid, final"),),
        evidence=(f"transfer 56:{TX}:3", "read from status=status", f"same transfer claimed by payment {'b' * 24}"),
    )
    [row] = desk_rows(a_plan(findings=(finding,), changes=(change,)))
    facts = sheet_facts(plan_path="my plan.json", config="recon.toml", registry=load_registry(), rows=[row])
    lines = sheet_lines(row, facts, mark=Mark(MarkKind.ACK, "2026-12-01", "agreed"))
    text = "\n".join(line.text for line in lines)
    for piece in (
        f"Payment {PAYMENT}", "status = pending", "hold is not there", "becomes possible: release",
        "will not happen: mail", f"log 3 of {TX} on chain 56 still there, final, in block 70", "It rests on",
        "Deal: other payments", "chain        56 bsc", "1,234,567 USDC", "!= status", f"https://bscscan.com/tx/{TX}",
        f"recon show 'my plan.json' --payment {PAYMENT}", f"recon inspect {PAYMENT} --config recon.toml",
        "Marked for ack until 2026-12-01: agreed",
    ):  # fmt: skip
        assert piece in text, piece


def test_text_from_outside_cannot_steer_the_screen_or_a_link() -> None:
    evil = "\x1b[2J[bold red]x[/]\n\u202e"
    finding = a_finding(
        payment_id=f'"{evil}"', reason=evil, fields=(FieldView("tx_hash", evil, f"{TX}/../evil", TX),),
        evidence=(evil, f"transfer 56:{TX}zz:1", f"transfer 999:{TX}:1"), provider=evil, symbol=evil,
    )  # fmt: skip
    [row] = desk_rows(a_plan(findings=(finding,), changes=()))
    lines = sheet_lines(row, SheetFacts(registry=load_registry()))
    for line in lines:
        assert line.text.isprintable(), line.text
        assert "\x1b" not in line.text
    pages = [line.text.strip() for line in lines if "://" in line.text]
    assert f"https://bscscan.com/tx/{TX}" in pages
    assert all(re.fullmatch(r"https://bscscan\.com/(tx|address)/0x[0-9a-f]+", page) for page in pages), pages
