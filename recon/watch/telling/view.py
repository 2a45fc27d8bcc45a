"""What came of test messages, as a report."""

from __future__ import annotations

from collections.abc import Sequence

from recon.core.text import count_text
from recon.reports.model import Column, Fact, Report, Table
from recon.watch.telling.open_telling import Trial

_COLUMNS = (Column("channel", "Channel"), Column("kind", "Kind"), Column("taken", "Taken"), Column("why", "Why not"))


def trials_report(trials: Sequence[Trial]) -> Report:
    """One row a channel; ``NO`` where it did not take the message."""
    failed = [each for each in trials if not each.was_taken]
    rows = tuple((each.channel, each.kind, "yes" if each.was_taken else "NO", each.why) for each in trials)
    told = f"{len(trials) - len(failed)} of {count_text(len(trials), 'channel')}"
    steps = [f"See {each.channel}: its variable, and whether the service can be reached from here." for each in failed]
    return Report(
        name="test_alert", title="Test messages",
        facts=(Fact("taken", "Taken by", told, alarm=bool(failed)),),
        tables=(Table("channels", "Channels", _COLUMNS, rows),), next_steps=tuple(steps),
    )  # fmt: skip
