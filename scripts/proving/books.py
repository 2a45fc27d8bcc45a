"""Worlds with a ledger: books that are right, and books with every flaw, up to a number of payments."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.simulation import write_world
from recon.simulation.books import FLAWS, Books, BooksWorld, world_with_books
from recon.snapshots.take import take_snapshot


def prove(*, payments: int, seed: int, world: int, say: Callable[[str], None]) -> int:
    """Judge worlds until so many payments are judged; how many of them were judged wrongly."""
    wrong, done, number, began = 0, 0, 0, time.monotonic()
    while done < payments:
        books: Books = "double" if number % 2 else "single"
        flaws = dict.fromkeys(FLAWS, 5) if number % 3 else None
        size = min(world, payments - done)
        breaks = "none" if flaws else "default"
        made = world_with_books(payments=size, seed=seed + number, books=books, flaws=flaws, breaks=breaks)
        found = mistakes(made, judged(made))
        wrong += len(found)
        done, number = done + size, number + 1
        took = time.monotonic() - began
        say(f"seed {seed + number - 1}, {books} books: {done:,} payments in {took:,.0f} s, {wrong} mistakes")
        for text in found[:10]:
            say(f"  {text}")
    return wrong


def judged(made: BooksWorld) -> Mapping[str, Any]:
    """What a plan of the world says of its ledger."""
    with TemporaryDirectory() as folder:
        write_world(made.world, Path(folder) / "world")
        settings = load_settings(Path(folder) / "world" / "recon.toml")
        policy, registry = settings.policy(), settings.registry()
        with open_sources(settings) as sources:
            terms: dict[str, Any] = {"selection": settings.selection(), "policy": policy, "registry": registry}
            taken = take_snapshot(sources, **terms, now=settings.now(), out=Path(folder) / "snapshot")
        block = make_plan(taken, policy=policy, registry=registry).ledger
    assert block is not None, "the world has a ledger"
    return block


def mistakes(made: BooksWorld, block: Mapping[str, Any]) -> list[str]:
    """Flaws that no finding names, findings where there is no flaw, and units that are nowhere."""
    findings = block["findings"]
    told = {(each["verdict"], each["reason"], at) for each in findings for at in (each["payment_id"], each["deal"])}
    flawed = {each.where for each in made.flaws}
    deals = {each["deal"] for each in findings if flawed & {each["payment_id"], each["deal"]}}
    missed = [each for each in made.flaws if (each.verdict, each.reason, each.where) not in told]
    return [
        *(f"{each.name} at {each.where} is not named" for each in missed),
        *(f"{each['deal']} is flagged: {each['sentence']}" for each in findings if each["deal"] not in deals),
        *(f"{row['residual']} of {row['token']} is nowhere" for row in block["totals"] if row["residual"] != "0"),
    ]
