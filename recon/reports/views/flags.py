"""Flags as reports: what is set and means together, what a plan would do, and what an apply did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recon.core.text import count_text
from recon.rails.flags.apply import FlagRun
from recon.rails.flags.journal import FlagEntry
from recon.rails.flags.plan import FlagPlan
from recon.rails.flags.status import FlagStatus, FlagView
from recon.reports.model import Column, Fact, Report, Table
from recon.reports.text import shell_word
from recon.reports.views.gates import gate_table_of
from recon.reports.views.people import OPERATORS

_RUNS_SHOWN = 10


def render_flag_status(
    status: FlagStatus,
    *,
    place: str,
    notes: Sequence[str],
    entries: Sequence[FlagEntry],
    looked: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
) -> Report:
    """What is set and where, what it means together, what contradicts, what cannot be told, and the last runs.

    Args:
        looked: The places that were looked at.
        where: The place that sets each flag.
    """
    rails = " ".join(status.rails) or ("cannot tell" if status.unknown else "none")
    facts = [
        Fact("means", "means", status.means),
        Fact("rails", "rails that take new payments", rails),
        Fact("place", "flags are in", place),
    ]
    if status.unknown or len(looked) > 1:
        facts.append(Fact("looked", "looked at", ", ".join(looked) or place))
    facts += [Fact("alarm", "ALARM", text, alarm=True) for text in status.alarms]
    facts += [Fact("unknown", "cannot tell", text, alarm=True) for text in status.unknown]
    facts += [Fact("contradiction", "contradiction", text, alarm=True) for text in status.contradictions]
    facts += [Fact("note", "note", text) for text in notes]
    columns = (
        Column("flag", "flag", "id"), Column("value", "value"), Column("means", "means", "prose"),
        Column("where", "where", "prose", wide=True),
    )  # fmt: skip
    places = where or {}
    rows = tuple((view.flag, _shown(view, places), view.means, places.get(view.flag, "")) for view in status.flags)
    return Report(
        "flags",
        "Provider flags",
        facts=tuple(facts),
        tables=(Table("flags", "Flags", columns, rows), _run_table(entries)),
    )


def _shown(view: FlagView, places: Mapping[str, str]) -> str:
    if view.value is not None:
        return view.value
    is_open = view.flag in places or "not set in what could be read" in view.means
    return "(cannot tell)" if is_open else "(not set here)"


def _run_table(entries: Sequence[FlagEntry]) -> Table:
    columns = (
        Column("run", "run", "id"), Column("at", "when", "time"), Column("recipe", "recipe"), Column("by", "by"),
        Column("outcome", "outcome"), Column("reason", "override reason", "prose", wide=True),
    )  # fmt: skip
    rows = []
    for entry in entries:
        if entry.kind == "intent":
            found = [
                each for each in entries if each.run == entry.run and each.kind == "outcome" and each.seq > entry.seq
            ]
            outcome = str(found[0].body.get("outcome")) if found else "INTERRUPTED: apply the same plan again"
            body = entry.body
            rows.append(
                (
                    entry.run,
                    entry.at,
                    str(body.get("recipe")),
                    str(body.get("by")),
                    outcome,
                    str(body.get("reason") or ""),
                )
            )
    return Table(
        "runs", "Last runs, newest first", columns, tuple(rows[::-1][:_RUNS_SHOWN]), note=OPERATORS, empty="no run yet"
    )


def render_flag_plan(plan: FlagPlan, *, path: str, config: str | None) -> Report:
    """The diff, the order of steps, the restart command, the way back, and the blast radius."""
    facts = [
        Fact("title", plan.kind, plan.title),
        Fact("digest", "digest", plan.digest, "id"),
        Fact("place", "file", plan.place),
        Fact("rails_before", "rails that take new payments now", " ".join(plan.rails_before) or _no_rail(plan.notes)),
        Fact("rails_after", "and afterwards", " ".join(plan.rails_after) or _no_rail((plan.means_after,))),
        Fact("means_after", "afterwards", plan.means_after),
        Fact("expires_at", "may be applied until", plan.expires_at, "time"),
    ]
    facts += [Fact("asked", f"{answer.name} was asked", f"{answer.outcome}: {answer.why}") for answer in plan.asked]
    facts += [
        Fact("confirm", f"confirm {item.flag}", f"{item.value or '(not set)'}: {item.means}", alarm=item.value is None)
        for item in plan.confirms
    ]
    facts += [Fact("alarm", "ALARM", text, alarm=True) for text in plan.alarms]
    facts += [Fact("contradiction", "contradiction afterwards", text, alarm=True) for text in plan.contradictions]
    facts += [Fact("note", "note", text) for text in plan.notes]
    if plan.blocked_by:
        facts.append(Fact("blocked_by", "gates not passed", " ".join(plan.blocked_by), alarm=True))
    tables = [_change_table(plan), _undo_table(plan), _step_table(plan.steps), *_blast_tables(plan.blast)]
    if plan.gates:
        tables.append(gate_table_of(plan.gates))
    return Report(
        f"flag_{plan.kind}", f"Flag plan: {plan.recipe}", tuple(facts), tuple(tables), _next(plan, path, config)
    )


def _no_rail(sentences: Iterable[str]) -> str:
    return "cannot tell" if any(text.startswith("Cannot tell which rails") for text in sentences) else "none"


def _next(plan: FlagPlan, path: str, config: str | None) -> tuple[str, ...]:
    if not plan.changes:
        return ("Nothing has changed, and this plan has nothing to do: the flags say so already.",)
    settings = f" --config {shell_word(config)}" if config else ""
    command = f"recon flags apply {shell_word(path)} --digest {plan.digest}{settings}"
    if plan.blocked_by:
        return (
            "Nothing has changed. Gates did not pass, so apply refuses this plan unless its phrase and a reason are "
            f'given: {command} --override "{plan.phrase}" --reason TEXT',
        )
    return (f"Nothing has changed. To do it: {command}",)


def _change_table(plan: FlagPlan) -> Table:
    columns = (Column("flag", "flag", "id"), Column("before", "before"), Column("after", "after"))
    rows = tuple((c.flag, _value(c.before), _value(c.after)) for c in plan.changes)
    return Table("changes", "Changes", columns, rows, empty="none: the flags say so already")


def _undo_table(plan: FlagPlan) -> Table:
    columns = (Column("flag", "flag", "id"), Column("from", "from"), Column("to", "back to"))
    rows = tuple((c.flag, _value(c.after), _value(c.before)) for c in reversed(plan.changes))
    note = "recon flags undo RUN --out PLAN makes this plan once the run is applied; the file comes back byte for byte."
    return Table("undo", "The way back", columns, rows, note=note, empty="nothing to take back")


def _value(value: str | None) -> str:
    return "(not set)" if value is None else value if value else "(empty)"


def _step_table(steps: Iterable[str]) -> Table:
    rows = tuple((str(number), step) for number, step in enumerate(steps, 1))
    return Table("steps", "In this order", (Column("step", "", "count"), Column("what", "what", "prose")), rows)


def _blast_tables(blast: Mapping[str, Any] | None) -> list[Table]:
    columns = (
        Column("what", "what"), Column("age", "age"), Column("payments", "payments", "count"),
        Column("value", "value", "amounts"),
    )  # fmt: skip
    if blast is None:
        empty = "not measured: --no-blast was given, or the database could not be read"
        return [Table("blast", "Blast radius", columns, (), empty=empty)]
    rows = [(f"in flight, {each['status']}", each["age"], *_pile(each)) for each in blast["in_flight"]]
    money, window = blast["not_credited"], blast["reconcile_window"]
    if money["measured"]:
        rows.append((f"seen and not credited (plan of {money['at']})", "", *_pile(money)))
    else:
        rows.append((f"seen and not credited: not measured, {money['why']}", "", "?", ""))
    rows.append(("can still be paid after the switch", "", *_pile(blast["lands_late"])))
    rows += [
        (label, "", *_pile(blast[name]))
        for name, label in (
            ("releases_under_way", "releases under way"),
            ("refunds_under_way", "refunds under way"),
            ("disputed_or_held", "disputed or held"),
        )
    ]
    whole = "" if blast["complete"] else " The payments could NOT be read completely: these counts are too low."
    note = f"To reconcile afterwards: payments created {window['from']} to {window['to']}.{whole}"
    return [Table("blast", f"Blast radius on {blast['provider']}", columns, tuple(rows), note=note)]


def _pile(pile: Mapping[str, Any]) -> tuple[str, str]:
    value = ", ".join(f"{amount} {name}" for name, amount in pile["value"].items())
    unknown = pile["without_readable_amount"]
    if unknown:
        value += f"{', ' if value else ''}{unknown} without a readable amount"
    return str(pile["payments"]), value


def render_flag_run(run: FlagRun, *, config: str | None) -> Report:
    """What an apply did and what could not be confirmed."""
    said = {
        "changed": "the flags were written",
        "settled": "an interrupted run had written them; it is settled now",
        "already": "nothing was left to do",
    }[run.outcome]
    facts = [Fact("run", "run", run.run, "id"), Fact("outcome", "outcome", said)]
    facts += [Fact("behind", "stands behind it", line) for line in run.backing]
    if run.restart is not None:
        how = "well" if run.restart.code == 0 else f"with {run.restart.code}"
        text = f"the command ended {how} after {run.restart.took_ms / 1000:.1f} s"
        facts.append(Fact("restart", "restart", text, alarm=run.restart.code != 0))
    columns = (Column("what", "what"), Column("outcome", "outcome", "severity"), Column("why", "why", "prose"))
    rows = tuple((item.what, item.outcome, item.why) for item in run.readback)
    settings = f" --config {shell_word(config)}" if config else ""
    steps = [f"To take it back: recon flags undo {run.run} --out undo.json{settings}"]
    if run.unconfirmed:
        things = count_text(len(run.unconfirmed), "thing")
        steps.insert(0, f"{things} could not be confirmed; look again: recon flags status{settings}")
    return Report(
        "flag_run",
        f"Flags: {said}",
        facts=tuple(facts),
        tables=(Table("readback", "Read back", columns, rows), *_restart_tables(run)),
        next_steps=tuple(steps),
    )


def _restart_tables(run: FlagRun) -> tuple[Table, ...]:
    if run.restart is None or not run.restart.output:
        return ()
    rows = tuple((line,) for line in run.restart.output)
    return (Table("restart_output", "What the restart command said", (Column("line", "", "prose"),), rows),)


def render_patch_note(place: str, notes: Iterable[str]) -> tuple[str, ...]:
    """The note beside a patch that a person applies by hand."""
    return (*notes, f"Nothing has changed. To do it: apply the patch to {place}, then restart the backend.")
