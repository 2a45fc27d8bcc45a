"""The review in the terminal driven by keys, and its screen as text, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input, Static

from recon.core.model import Change, FieldChange, FieldView, Finding, LeftAlone, Plan, Severity, Tier, Verdict
from recon.desk.app import DeskApp
from recon.desk.desk import Desk, open_desk
from recon.desk.screen import DeskScreen
from recon.plans.file import change_id, save_plan
from tests.support.plans import USDC_ETH, a_change, a_finding, a_plan


@dataclass
class Seat:
    """A person at the desk: presses keys, and reads the screen."""

    app: DeskApp
    pilot: Pilot[None]
    pressed: int = 0

    async def press(self, *keys: str) -> Seat:
        """Press keys one after the other, and wait until what they began is done."""
        for key in keys:
            await self.pilot.press(key)
            self.pressed += 1
        await self.settle()
        return self

    async def type(self, text: str) -> Seat:
        """Type a text; each sign is a key."""
        names = {" ": "space", ":": "colon", ">": "greater_than_sign", "-": "minus", "/": "slash", ".": "full_stop"}
        return await self.press(*(names.get(sign, sign) for sign in text))

    async def settle(self) -> None:
        """Wait until no worker is at work and the screen is drawn."""
        await self.pilot.pause()
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()

    @property
    def text(self) -> str:
        """The screen as it is seen, without spaces at the ends of lines."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips).rstrip() + "\n"

    @property
    def screen(self) -> DeskScreen:
        """The plan on the screen, also under a question."""
        return next(each for each in reversed(self.app.screen_stack) if isinstance(each, DeskScreen))

    @property
    def desk(self) -> Desk:
        """The plan on the desk."""
        return self.screen.desk

    @property
    def said(self) -> str:
        """What stands in the line of messages."""
        return str(self.app.screen.query_one("#message", Static).render())

    @property
    def refused(self) -> str:
        """What a question was refused for."""
        return str(self.app.screen.query_one("#dialog-error", Static).render())

    def fill(self, name: str, text: str) -> None:
        """Put a text into a field of a question."""
        self.app.screen.query_one(f"#field-{name}", Input).value = text

    @property
    def shown(self) -> list[str]:
        """The payments of the list, in order."""
        return [line.payment_id for line in self.screen.lines if hasattr(line, "payment_id")]


def sit_down(
    do: Callable[[Seat], Awaitable[Any]],
    *,
    plan: Path | None,
    config: Path | None = None,
    size: tuple[int, int] = (80, 24),
    operator: str = "ann",
) -> Any:
    """Open a plan, do something, and leave."""

    async def run() -> Any:
        app = DeskApp(open_desk(plan, config=config, operator=operator))
        async with app.run_test(size=size) as pilot:
            seat = Seat(app, pilot)
            await seat.settle()
            return await do(seat)

    return asyncio.run(run())


def a_review_plan(folder: Path) -> Path:
    """A plan of many kinds, always the same, as a file."""
    path = folder / "plan.json"
    save_plan(review_plan(), path)
    return path


def review_plan() -> Plan:
    """Twelve payments that can be put right, six that a person settles, four that nobody can decide, two not due."""
    findings, changes, left = [], [], []
    for number in range(24):
        finding, change = _of(number)
        findings.append(finding)
        if change is not None:
            changes.append(change)
        else:
            left.append(LeftAlone(finding.payment_id, finding.verdict, "a verdict of this kind is only reported"))
    return a_plan(findings=tuple(findings), changes=tuple(changes), left_alone=tuple(left), tool_version="1")


def _of(number: int) -> tuple[Finding, Change | None]:
    kinds = ((12, Verdict.LOCAL_BEHIND, Tier.AUTO), (18, Verdict.LATE_PAYMENT, Tier.REVIEW),
             (22, Verdict.DISPUTE_HOLD, Tier.NEVER), (24, Verdict.INSUFFICIENT_CONFIRMATIONS, Tier.WAIT))  # fmt: skip
    verdict, tier = next((verdict, tier) for end, verdict, tier in kinds if number < end)
    payment = f"{0x665F1C2E9B1D8A0000000000 + number:024x}"
    tx = "0x" + f"{number + 16:02x}" * 32
    token = {"chain_id": 1, "token": USDC_ETH, "decimals": 6} if number % 3 == 0 else {}
    units = (number + 1) * 125 * 10 ** (4 if token else 16)
    shared: dict[str, Any] = {
        "payment_id": payment, "verdict": verdict, "tier": tier, "value_units": units, "age_s": 3600 * (number + 1),
        "reason": f"What is the matter with payment number {number}.", **token,
        "evidence": (f"transfer {token.get('chain_id', 56)}:{tx}:3", "read from status=status"),
    }  # fmt: skip
    finding = a_finding(
        **shared,
        findings=(verdict,),
        severity=(Severity.HIGH, Severity.MEDIUM)[number % 2],
        provider=("request_network", "shkeeper")[number % 2],
        fields=(
            FieldView("status", "pending", "PAID", "paid, final"),
            FieldView("amount", "12.5", "12.5", "12.5"),
            FieldView("tx_hash", None, tx, tx),
        ),
    )
    if tier not in (Tier.AUTO, Tier.REVIEW):
        return finding, None
    sets = (FieldChange("status", "pending", "completed"),)
    change = a_change(**shared, sets=sets, document_id={"$oid": payment}, side_effects=("becomes possible: release",))
    return finding, replace(change, id=change_id(payment, verdict, sets=sets))
