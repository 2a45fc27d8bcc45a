"""Other writers of every kind between our look and our write, and changed bytes in every file that we keep."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson import Decimal128, Int64
from click.testing import CliRunner

from recon.cli import cli
from recon.core.errors import ReconError
from recon.core.values import STAMP, value_at
from recon.plans.file import load_plan
from recon.plans.history import load_history
from recon.rails.flags.journal import FlagJournal
from recon.rails.flags.plan import load_flag_plan
from recon.rails.gates.evidence import load_health
from recon.rails.gates.sample import load_sample, load_sign_offs
from recon.runs.ends import noted_heads
from recon.runs.states import Result
from recon.simulation import generate_world, write_world
from recon.snapshots.sealed import open_snapshot
from tests.support.applying import FIXED, HASH, UNLIMITED, SeenWriter, a_world, some_documents

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

    Store = Database[dict[str, Any]]
    Deed = Callable[[Collection[dict[str, Any]], dict[str, Any]], object]


def sets(**fields: Any) -> Deed:
    named = {path.replace("__dot__", "."): value for path, value in fields.items()}
    return lambda rows, row: rows.update_one({"_id": row["_id"]}, {"$set": named})


def unsets(path: str) -> Deed:
    return lambda rows, row: rows.update_one({"_id": row["_id"]}, {"$unset": {path: ""}})


def replaced(rows: Collection[dict[str, Any]], row: dict[str, Any]) -> None:
    rows.replace_one({"_id": row["_id"]}, {**row, "status": "failed", "note": "whole"})


def born_again(rows: Collection[dict[str, Any]], row: dict[str, Any]) -> None:
    rows.delete_one({"_id": row["_id"]})
    rows.insert_one({**row, "amount": {"amount": 99, "currency": "USDC"}})


OURS = {path.replace(".", "__dot__"): value for path, value in FIXED.items()}
FOREIGN: dict[str, Deed] = {
    "another status": sets(status="failed"),
    "the status in capitals": sets(status="Pending"),
    "the status in a list": sets(status=["pending"]),
    "the status null": sets(status=None),
    "the status gone": unsets("status"),
    "the status we were to set": sets(status="completed"),
    "an escrow under way": sets(escrowState="releasing"),
    "an escrow null": sets(escrowState=None),
    "a dispute": sets(disputed=True),
    "a dispute that is denied": sets(disputed=False),
    "another provider": sets(provider="shkeeper"),
    "another direction": sets(direction="out"),
    "another amount": sets(amount__dot__amount=12),
    "the amount as a decimal": sets(amount__dot__amount=Decimal128("12.5")),
    "the amount in a list": sets(amount=[{"amount": 12.5, "currency": "USDC"}]),
    "another currency": sets(amount__dot__currency="USDT"),
    "a hash of its own": sets(blockchain__dot__transactionHash="0x1"),
    "our hash": sets(blockchain__dot__transactionHash=HASH),
    "another depth": sets(blockchain__dot__confirmations=Int64(4)),
    "the chain's part as text": sets(blockchain="gone"),
    "the chain's part gone": unsets("blockchain"),
    "the metadata as text": sets(metadata="gone"),
    "a stamp of another run": sets(metadata__dot__recon__dot__last="other/1"),
    "the whole document": replaced,
    "deleted": lambda rows, row: rows.delete_one({"_id": row["_id"]}),
    "deleted and made anew": born_again,
    "our values without our stamp": sets(**OURS),
    "a version of its own": sets(__v=7),
    "a touch": sets(updatedAt=datetime(2026, 11, 20, 11, 59, tzinfo=UTC)),
    "a field that nobody reviewed": sets(note="mine"),
}
STILL_WRITTEN = {"a version of its own", "a touch", "a field that nobody reviewed"}
"""What touches nothing that was reviewed: the row is asked again, and written beside it."""


@pytest.mark.parametrize("moment", ["before our last look", "between our look and our write"])
def test_what_another_writer_does_is_never_lost_or_overwritten(
    mongo_database: Store, moment: str, record_property: Callable[[str, object], None]
) -> None:
    world = a_world(mongo_database, some_documents(2 * len(FOREIGN)))
    rows, left = mongo_database.payments, {}
    deeds = {world.before[2 * number]["_id"]: name for number, name in enumerate(FOREIGN)}
    plan = world.plan()

    def do(key: Any) -> None:
        if name := deeds.get(key) if key not in left else None:
            FOREIGN[name](rows, rows.find_one({"_id": key}) or {})
            left[key] = rows.find_one({"_id": key})

    writer = SeenWriter(rows, lambda update: do(update.document_id))
    if moment == "before our last look":
        for key in deeds:
            do(key)
    limits = replace(UNLIMITED, refusals_max=len(FOREIGN))
    report = world.apply(plan, writer=writer, limits=limits, canary_rows=0, group_size=8, in_flight=4)
    results = {row.payment_id: row.result for row in report.rows}
    ours = {*FIXED, STAMP, "updatedAt"}
    for document in world.before:
        key, found = document["_id"], rows.find_one({"_id": document["_id"]})
        name, result = deeds.get(key), results[str(key)]
        if name is None or name in STILL_WRITTEN:
            assert result is Result.APPLIED, (name, result)
            assert found is not None
            assert [value_at(found, path) for path in FIXED] == list(FIXED.values())
            assert str(value_at(found, STAMP)).startswith(str(report.run))
            kept = left.get(key) or document
            own = {field for field in kept if field not in {path.partition(".")[0] for path in ours}}
            assert {field: found.get(field) for field in own} == {field: kept[field] for field in own}, name
        else:
            assert result is not Result.APPLIED, name
            assert bson.encode(found or {}) == bson.encode(left[key] or {}), (
                f"{name}: what it wrote stays, byte for byte"
            )
    record_property("blows", len(FOREIGN))


# ------------------------------------------------------------------------------------------------ changed bytes

BLOWS = 60


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every kind of file that is kept, of a small recorded world."""
    folder = tmp_path_factory.mktemp("kept")
    write_world(generate_world(payments=60, seed=3), folder / "world")
    (folder / ".env").write_text("REQUEST_NETWORK_ENABLED=true\nPAYMENT_ENABLED_PROVIDERS='shkeeper,request.network'\n")
    (folder / "recon.toml").write_text('[recorded]\npath = "world"\n[flags]\nfile = ".env"\n[output]\ndir = "out"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECON_OPERATOR", "ada")

        def run(*words: object) -> None:
            done = CliRunner().invoke(cli, [*map(str, words), "--config", str(folder / "recon.toml")])
            assert done.exit_code in (0, 1, 3, 4), done.output

        run("snapshot", "--out", folder / "snapshot")
        run("plan", "--out", folder / "plan.json")
        run("approve", folder / "plan.json", "--reason", "looked")
        run("sample", "--provider", "rn", "--size", "5", "--out", folder / "sample.json")
        run("sample", "sign", folder / "sample.json", "--right", "all")
        run("flags", "rollback", "--recipe", "read-only", "--no-blast", "--out", folder / "flags.json")
        run("flags", "apply", folder / "flags.json", "--digest", load_flag_plan(folder / "flags.json").digest)
        run("gates", "check", "rn")
        run("gates", "check", "rn")
        run("apply", folder / "plan.json", "--digest", load_plan(folder / "plan.json").digest)
    return folder


def decisions_of(folder: Path) -> Any:
    from recon.plans.approvals import DecisionRecords

    return DecisionRecords(folder).approvals(load_plan(folder.parent.parent / "plan.json"), now=datetime.now(UTC))


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "plan": ("plan.json", load_plan),
    "flag plan": ("flags.json", load_flag_plan),
    "snapshot": ("snapshot/manifest.json", lambda path: open_snapshot(path.parent)),
    "sample": ("sample.json", load_sample),
    "sign-off": ("sample.signed-*.json", lambda path: load_sign_offs(path.with_name("sample.json"))),
    "approval": ("out/decisions/approval-*.json", lambda path: decisions_of(path.parent)),
    "journal of flags": ("out/flags-journal.ndjson", lambda path: FlagJournal(path).read()),
    "health checks": ("out/health-checks.ndjson", lambda path: load_health(path.parent)),
    "run history": ("out/history.ndjson", lambda path: load_history(path.parent)),
    "heads of the journal": ("out/journal-heads.ndjson", lambda path: list(noted_heads(path.parent))),
}


def seen_in(read: Callable[[Path], Any], path: Path) -> str:
    """What is read of a file, as text; a refusal is one, too."""
    try:
        return repr(read(path))
    except ReconError as error:
        return f"refused: {error}"


def told_bad(name: str, shown: Any, path: Path) -> bool:
    """Whether a log that goes on without a line says so."""
    if name == "health checks":
        return "refused: " in shown or any(not record.is_ok for record in load_health(path.parent)[-1:])
    if name == "run history":
        history = load_history(path.parent)
        return bool(history.lost_after) or not history.entries
    return "refused: " in shown


@pytest.mark.parametrize("name", READERS)
def test_a_changed_byte_is_refused_or_told_and_changes_nothing_silently(
    name: str, kept: Path, record_property: Callable[[str, object], None]
) -> None:
    pattern, read = READERS[name]
    (path,) = list(kept.glob(pattern))[:1]
    data, mode = path.read_bytes(), path.stat().st_mode
    path.chmod(0o600)
    whole, quiet = seen_in(read, path), []
    assert not whole.startswith("refused"), whole
    dice = random.Random(7)
    try:
        for place in sorted(dice.sample(range(len(data)), min(BLOWS, len(data)))):
            changed = data[place] ^ (1 << dice.randrange(7))
            path.write_bytes(data[:place] + bytes([changed]) + data[place + 1 :])
            shown = seen_in(read, path)
            if shown != whole and not told_bad(name, shown, path):
                quiet.append((place, data[max(0, place - 20) : place + 20], changed))
        assert quiet == []
    finally:
        path.write_bytes(data)
        path.chmod(mode)
    record_property("blows", min(BLOWS, len(data)))
    assert json.dumps(seen_in(read, path)) == json.dumps(whole)
