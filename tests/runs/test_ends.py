"""A journal that lost its end is found out: by the stamps in the rows, and by the ends that were noted elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from recon.cli import cli
from recon.plans.approvals import DecisionRecords, DecisionTerms, JournalHead
from recon.runs.ends import (
    HEADS_FILE,
    ChangedHeadsError,
    CutRunError,
    check_not_cut,
    journal_head,
    journal_name,
    note_head,
    noted_heads,
    orphaned_rows,
    stamped_rows,
)
from recon.runs.stores.journal import FileJournal, verify_journal
from recon.runs.undo import plan_undo
from recon.simulation import generate_world, write_world
from tests.support.applying import NOW, World, a_world, some_documents

if TYPE_CHECKING:
    from pymongo.database import Database

    Store = Database[dict[str, Any]]


@pytest.fixture
def world(mongo_database: Store) -> World:
    return a_world(mongo_database, some_documents(4))


def test_an_undo_from_a_journal_cut_anywhere_is_refused_or_marked(world: World) -> None:
    report = world.apply(world.plan(), group_size=2, canary_rows=1)
    assert report.run is not None
    entries = world.database["recon_journal"]
    whole = list(entries.find().sort("_id", 1))
    noted = [("a note", len(whole), whole[-1]["hash"])]
    assert verify_journal(world.journal, noted=noted).noted_seq == len(whole)
    told = set()
    for kept in range(len(whole)):
        entries.delete_many({})
        if kept:
            entries.insert_many(whole[:kept])
        world.journal.refresh()
        assert verify_journal(world.journal).is_whole, "the chain alone does not tell"
        check = verify_journal(world.journal, noted=noted)
        assert check.broken_seq == kept + 1
        assert f"a note noted entry {len(whole)}" in str(check.why)
        try:
            check_not_cut(world.journal, run=report.run, writer=world.writer)
            plan = plan_undo(world.journal, run=report.run, target=world.target, now=NOW)
        except CutRunError as error:
            assert "carr" in str(error)
            assert f"({report.run}/" in str(error)
            told.add("refused")
            continue
        except Exception as error:
            assert "has written nothing" in str(error), "all writes are announced and none is settled"
            told.add("nothing")
            continue
        assert f"Run {report.run} is unfinished" in plan.summary["unfinished"]
        assert len(plan.changes) + len(plan.left_alone) == 4
        told.add("marked")
    assert {"refused", "marked"} <= told
    entries.delete_many({})
    entries.insert_many(whole)
    check_not_cut(world.journal, run=report.run, writer=world.writer)
    whole_plan = plan_undo(world.journal, run=report.run, target=world.target, now=NOW)
    assert "unfinished" not in whole_plan.summary


def test_rows_tell_which_entries_are_lost(world: World) -> None:
    report = world.apply(world.plan())
    stamped = stamped_rows(world.writer)
    assert {each.run for each in stamped} == {report.run}
    assert len(stamped) == 4
    assert orphaned_rows(world.journal, stamped) == {}
    world.database["recon_journal"].delete_many({})
    assert {run: len(rows) for run, rows in orphaned_rows(world.journal, stamped).items()} == {report.run: 4}
    assert stamped_rows(world.writer, run=f"{report.run}-other") == ()


def test_an_end_that_is_another_entry_now_is_found_out(world: World) -> None:
    world.apply(world.plan(only=slice(0, 2)))
    head = journal_head(world.journal, name=journal_name(world.writer))
    assert verify_journal(world.journal, noted=[("x", head.seq, head.hash)]).is_whole
    check = verify_journal(world.journal, noted=[("x", head.seq, "0" * 64)])
    assert (check.broken_seq, check.why) == (head.seq, "it is another entry than x noted")
    world.apply(world.plan(only=slice(2, 4)))
    assert verify_journal(world.journal, noted=[("x", head.seq, head.hash)]).is_whole, "it may grow"


def test_heads_are_noted_and_read_back(tmp_path: Path) -> None:
    head = JournalHead(7, "a" * 64, "market:1")
    note_head(tmp_path, head, at=NOW)
    note_head(tmp_path, replace(head, seq=9), at=NOW)
    assert [each.seq for _, each in noted_heads(tmp_path)] == [7, 9]
    whole = (tmp_path / HEADS_FILE).read_bytes()
    for junk in (b'{"seq": "x"}\n', b"[]\n", b'{"format":1,"seq":99}\n'):
        (tmp_path / HEADS_FILE).write_bytes(whole + junk)
        with pytest.raises(ChangedHeadsError, match="line 3"):
            list(noted_heads(tmp_path))
    (tmp_path / HEADS_FILE).write_bytes(whole + b'{"form')
    assert [each.seq for _, each in noted_heads(tmp_path)] == [7, 9], "an interrupted write is no change"
    from tests.support.plans import a_plan

    records = DecisionRecords(tmp_path / "decisions", DecisionTerms(journal_head=head))
    records.approve(a_plan(), who="Ada", at=NOW, reason="looked")
    assert [each for _, each in records.heads()] == [head]


def run(config: Path, *arguments: object, code: int | Sequence[int] = 0) -> Result:
    result = CliRunner().invoke(cli, [*map(str, arguments), "--config", str(config)], prog_name="recon")
    assert "Traceback" not in result.output
    assert result.exit_code in ((code,) if isinstance(code, int) else code), result.output
    return result


def test_commands_say_where_the_journal_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECON_OPERATOR", "ada")
    write_world(generate_world(payments=60, seed=4), tmp_path / "world")
    config, plan = tmp_path / "world" / "recon.toml", tmp_path / "plan.json"
    run(config, "plan", "--out", plan, code=1)
    assert "none: a cut end" in " ".join(run(config, "journal", "verify").stdout.split())
    digest = json.loads(plan.read_text())["digest"]
    facts = json.loads(run(config, "apply", plan, "--digest", digest, "--format", "json", code=(0, 1)).stdout)["facts"]
    assert (config.parent / "recon-out" / HEADS_FILE).exists()
    assert run(config, "journal", "head", "--no-note").stdout.strip() == facts["head"]
    run(config, "approve", plan, "--reason", "looked", "--note-head")
    assert "UNFINISHED" not in run(config, "runs", facts["run"]).stdout
    path = next(config.parent.glob("**/journal.ndjson"))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert "UNFINISHED" in run(config, "runs", facts["run"]).stdout
    assert "unfinished" in run(config, "runs").stdout
    assert "its end is gone" in " ".join(run(config, "journal", "verify", code=3).stdout.split())
    assert "UNFINISHED: Run" in run(config, "undo", facts["run"]).stderr
    path.write_bytes(b"".join(lines[:1]))
    assert "end early" in " ".join(run(config, "runs").stdout.split())
    assert f"{facts['run']}/c" in run(config, "runs", facts["run"]).stdout.replace("\n", "")
    assert "end early" in run(config, "undo", facts["run"], code=3).stderr
    path.write_bytes(b"")
    listed = json.loads(run(config, "runs", "--format", "json").stdout)
    assert [row["state"] for row in listed["runs"]] == ["lost"]
    assert "end early" in run(config, "undo", facts["run"], code=3).stderr
    (config.parent / "recon-out" / HEADS_FILE).unlink()
    said = " ".join(run(config, "journal", "verify", code=3).stdout.split())
    assert "approval-" in said, "the approval noted it as well"


def test_an_empty_journal_has_an_end_too(tmp_path: Path) -> None:
    head = journal_head(FileJournal(tmp_path), name="x")
    assert (head.seq, head.hash) == (0, "0" * 64)
    assert verify_journal(FileJournal(tmp_path), noted=[("x", 0, head.hash)]).is_whole
