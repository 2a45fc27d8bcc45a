"""The words of sightings: counts, money, ages and commands, each said in one way."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from recon.core.model import Finding
from recon.core.money import format_units
from recon.core.text import count_text, short_amount
from recon.watch.facts import RoundFacts

Money = tuple[tuple[str, str], ...]


def age_said(span: timedelta) -> str:
    """How long something lasts, in its two largest units.

    >>> age_said(timedelta(minutes=200))
    '3 h 20 min'
    """
    minutes = max(0, int(span.total_seconds())) // 60
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def asset_said(symbol: str | None, chain_id: int | None, *, names: Mapping[int, str]) -> str:
    """A token as a person reads it: ``USDC on Base``."""
    where = "" if chain_id is None else f" on {names.get(chain_id, f'chain {chain_id}')}"
    return f"{symbol or 'unknown token'}{where}"


def summed_money(findings: Iterable[Finding], names: Mapping[int, str]) -> Money:
    """What findings are about, exact, by token and chain; what has no readable amount is left out."""
    units: Counter[tuple[str, int]] = Counter()
    for each in findings:
        if each.value_units and each.decimals is not None:
            units[asset_said(each.symbol, each.chain_id, names=names), each.decimals] += each.value_units
    return tuple((asset, format_units(held, decimals=places)) for (asset, places), held in sorted(units.items()))


def money_words(money: Money) -> str:
    """Money as a part of a sentence: at most three tokens, and how many more there are."""
    if not money:
        return ""
    shown = ", ".join(f"{short_amount(amount)} {asset}" for asset, amount in money[:3])
    return f"{shown} and {count_text(len(money) - 3, 'more token')}" if len(money) > 3 else shown


def sum_said(count: int, one: str, *, money: Money, oldest: datetime | None, now: datetime) -> str:
    """Count, money and the oldest, as the beginning of a sentence."""
    said = count_text(count, one)
    if words := money_words(money):
        said += f" ({words})"
    return said if oldest is None else f"{said}, the oldest for {age_said(now - oldest)}"


def command_said(facts: RoundFacts, *words: str) -> str:
    """A command as it can be typed, with the configuration of the watch where it has a name of its own."""
    config = ["--config", facts.config] if facts.config else []
    return " ".join(shlex.quote(word) for word in ("recon", *words, *config))


def oldest_of(findings: Iterable[Finding], now: datetime) -> datetime | None:
    """Since when the oldest finding is there; None where none says it."""
    ages = [each.age_s for each in findings if each.age_s is not None]
    return now - timedelta(seconds=max(ages)) if ages else None
