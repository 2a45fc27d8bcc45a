"""A page for each verdict: what it means, an example as the tool judged it, its evidence, what to do; their table."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

from docs_pages.desk import EXAMPLES
from docs_pages.words import cell, code, made, table
from recon.core.model import MISSING, TIER_TEXT, Change, Finding, Plan, Tier, Verdict
from recon.verdicts.rules import RULE

WORDS: Final = Path(__file__).with_name("verdicts.toml")
EXAMPLE_HEAD: Final = "## An example, as recon judged it"
_GROUPS: Final = (
    ("Nothing to judge", Verdict.TEST_PAYMENT), ("Stop: people decide", Verdict.DISPUTE_HOLD),
    ("The money is there", Verdict.LOCAL_BEHIND), ("Nothing is wrong", Verdict.PARTLY_REFUNDED),
    ("Wait", Verdict.STUCK_PENDING), ("The money is wrong", Verdict.NETWORK_MISMATCH),
    ("The proof is gone", Verdict.REORGED), ("Cannot tell", Verdict.LOOKUP_FAILED),
    ("Only one side says so", Verdict.PROVIDER_AHEAD), ("No money yet", Verdict.IN_TRANSIT),
    ("Money without a row", Verdict.MISSING_LOCAL),
)  # fmt: skip
"""Where in the order of verdicts a group begins."""


def words() -> Mapping[Verdict, Mapping[str, str]]:
    """What is written by hand about each verdict.

    Raises:
        ValueError: One is missing, or something in the file is none.
    """
    given = tomllib.loads(WORDS.read_text(encoding="utf-8"))
    if wrong := sorted(set(given) ^ {verdict.value for verdict in Verdict}):
        raise ValueError(f"{WORDS.name} and the verdicts differ: {', '.join(wrong)}")
    return {Verdict(name): said for name, said in given.items()}


def groups() -> dict[str, list[Verdict]]:
    """The verdicts in their order, in groups."""
    found: dict[str, list[Verdict]] = {}
    starts = {verdict: title for title, verdict in _GROUPS}
    title = ""
    for verdict in Verdict:
        title = starts.get(verdict, title)
        found.setdefault(title, []).append(verdict)
    return found


def transitions() -> list[dict[str, Any]]:
    """What may be written from which state, as the registry has it."""
    text = resources.files("recon.core.registry").joinpath("transitions.json").read_text(encoding="utf-8")
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


def tier_text(verdict: Verdict, said: Mapping[str, str]) -> str:
    """The tier of a verdict, and on what it depends if it does."""
    return said.get("tier", RULE[verdict].tier.value)


def verdicts_page() -> str:
    """The table of all verdicts."""
    known = words()
    tiers = ", ".join(f"**{tier.value}** {text}" for tier, text in TIER_TEXT.items())
    rows = [
        (f"[`{verdict}`]({verdict}.md)", known[verdict]["means"], tier_text(verdict, known[verdict]))
        for verdict in Verdict
    ]
    return made(
        "Verdicts",
        "Every payment gets one verdict, the first that applies in this order; every other finding is kept beside "
        f"it. Tiers: {tiers}.",
        table(("verdict", "means", "tier"), rows),
        _TRY,
    )


def verdict_page(verdict: Verdict) -> str:
    """The page of one verdict without its example."""
    said = words()[verdict]
    rule = RULE[verdict]
    parts = [
        f"**{said['means'][:1].upper()}{said['means'][1:]}.**",
        table(("tier", "what may become of it"), [(code(each), TIER_TEXT[each]) for each in _tiers(verdict, said)]),
        "## What it rests on", said["evidence"], "## What to do", said["do"],
    ]  # fmt: skip
    written = [each for each in transitions() if each["verdict"] == verdict.value]
    if written:
        rows = [
            (", ".join(each["directions"]), ", ".join(each["status"]),
             ", ".join("unset" if state is None else state for state in each["escrow"]),
             ", ".join(f"{name}: {value}" for name, value in each["sets"].items()))
            for each in written
        ]  # fmt: skip
        parts += ["## What a plan may write", table(("direction", "from status", "from escrowState", "sets"), rows)]
    else:
        parts += ["## What a plan may write", "Nothing."]
    parts += ["## The sentence", f"Rule {rule.number} of the code: *{cell(rule.sentence)}*"]
    return made(f"`{verdict}`", *parts)


def with_example(page: str, verdict: Verdict, plan: Plan) -> str:
    """The page of a verdict with the example that the marketplace of the documentation shows."""
    story = words()[verdict]["story"]
    finding = next((each for each in plan.findings if each.verdict is verdict), None)
    parts = [EXAMPLE_HEAD, story]
    if finding is None:
        parts.append("It is counted in the summary of the plan and not listed.")
    else:
        change = next((each for each in plan.changes if each.payment_id == finding.payment_id), None)
        parts.append(_shown(finding, change, plan))
    parts.append(f"The simulator makes it as the scenario `{EXAMPLES[verdict]}`.")
    before, head, after = page.partition("## What it rests on")
    return before + "\n\n".join(parts) + "\n\n" + head + after


def _shown(finding: Finding, change: Change | None, plan: Plan) -> str:
    lines = [f"reason    {finding.reason}"]
    further = [each.value for each in finding.findings if each is not finding.verdict]
    if further:
        lines.append(f"also      {', '.join(further)}")
    if finding.fields:
        rows: list[tuple[str, ...]] = [("", "our record", "provider", "chain")]
        rows += [
            (each.field, *(_short(side) for side in (each.local, each.provider, each.chain))) for each in finding.fields
        ]
        widths = [max(len(row[at]) for row in rows) for at in range(4)]
        lines += [
            "",
            *["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows],
        ]
    if finding.evidence:
        lines += [
            "",
            *[f"evidence  {_short(each, 88)}" for each in finding.evidence if not each.startswith("read from")][:4],
        ]
    if change is not None:
        lines += [
            "",
            *[f"change    {each.path}: {_value(each.before)} -> {_value(each.after)}" for each in change.sets],
        ]
    else:
        why = next((each.reason for each in plan.left_alone if each.payment_id == finding.payment_id), None)
        lines += ["", f"left alone: {why}"] if why else []
    return "```text\n" + "\n".join(lines) + "\n```"


def _short(value: Any, most: int = 30) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _value(value: Any) -> str:
    if value == MISSING:
        return "not there"
    plain = next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else value
    return _short(plain, 40)


def _tiers(verdict: Verdict, said: Mapping[str, str]) -> list[Tier]:
    text = tier_text(verdict, said)
    return [tier for tier in Tier if tier.value in text.replace("(", " ").replace("·", " ").split()]


_TRY: Final = """\
Each page shows an example. The simulator makes it for you, as a marketplace of one payment, offline:

```console
$ recon simulate --scenario webhook_lost --out example
$ recon plan --config example/recon.toml   # leaves with 1: there is a break
$ recon show latest --config example/recon.toml
```"""
