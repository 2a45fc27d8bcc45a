"""One file of each kind that people keep, made as a person makes them; ``tests/kept`` holds those of each version.

Those of a version that is to be released are kept by
``PYTHONPATH=. .venv/bin/python -m tests.support.artefacts tests/kept/VERSION``.
"""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

import recon
from recon.watch import acknowledge_situation, watch_once

if TYPE_CHECKING:
    from recon.core.model import Plan

ROOT: Final = Path(__file__).parents[2]
NOW: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEPT: Final = ROOT / "tests" / "kept"
FLAGS: Final = """\
REQUEST_NETWORK_ENABLED=true
PAYMENT_ENABLED_PROVIDERS=request.network,shkeeper
PAYMENT_DEFAULT_PROVIDER=request.network
PAYMENT_PROVIDER_MODE=live
PAYMENT_RECONCILIATION_ENABLED=true
"""
CONFIG: Final = '[recorded]\npath = "world"\n[flags]\nfile = "backend.env"\n[output]\ndir = "."\n'
PLACES: Final = (
    ("plan.json", "plan"),
    ("decided.json", "plan"),
    ("undo.json", "plan"),
    ("snapshot/manifest.json", "snapshot-manifest"),
    ("case.json", "case"),
    ("decided.notes", "decision-notes"),
    ("flags.json", "flags-plan"),
    ("sample.json", "sample"),
)
"""Where each kind lies that is one JSON document."""


def make_artefacts(folder: Path, *, payments: int = 30) -> None:
    """Reconcile a small world and do with it what leaves files: decide, approve, accept, apply, take back, flags."""
    recon.simulate(folder / "world", payments=payments, seed=3)
    config = folder / "recon.toml"
    config.write_text(CONFIG)
    (folder / "backend.env").write_text(FLAGS)
    who: dict[str, Any] = {"config": config, "operator": "Ann"}
    taken = recon.snapshot(config, out=folder / "snapshot")
    plan = recon.plan(taken, config=config, out=folder / "plan.json")
    recon.approve(plan, reason="looked at all of it", **who)
    broken = next(item for item in plan.findings if item.tier == "never")
    until = datetime(2026, 11, 25, tzinfo=UTC)
    recon.ack([broken.payment_id], plan=plan, reason="known", until=until, say=unsaid, **who)
    _decide(folder, plan, who)
    recon.case(broken.payment_id, config=config, out=folder / "case.json")
    ran = recon.apply(plan, digest=plan.digest, say=unsaid, **who)
    recon.undo(str(ran.run), config=config, out=folder / "undo.json")
    drawn = recon.sample.draw("shkeeper", size=2, config=config, plan=folder / "plan.json", out=folder / "sample.json")
    notes = {drawn.rows[0].payment_id: "seen"}
    recon.sample.sign(folder / "sample.json", right=["all"], notes=notes, **who)
    _save_repairs(folder / "repair.json", plan)
    flags = recon.flags.rollback(recipe="read-only", out=folder / "flags.json", say=unsaid, **who)
    recon.flags.apply(folder / "flags.json", digest=flags.digest, **who)
    seen = watch_once(config, say=unsaid)
    acknowledge_situation(seen.open[0].key, **who)


def _decide(folder: Path, plan: Plan, who: dict[str, Any]) -> None:
    """Decide in the sheet of a plan as a person does: one change is applied, the rest is noted."""
    sheet = recon.decide.export(folder / "plan.json", out=folder / "decisions.csv")
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = plan.changes[0].payment_id
    for row in rows:
        row |= {"decision": "apply" if chosen in row.values() else "note", "reason": "looked at"}
    with sheet.open("w", encoding="utf-8", newline="") as file:
        written = csv.DictWriter(file, list(rows[0]))
        written.writeheader()
        written.writerows(rows)
    recon.decide.import_(folder / "plan.json", sheet, out=folder / "decided.json", say=unsaid, **who)


def _save_repairs(path: Path, plan: Plan) -> None:
    """A plan of repairs with a deed of each kind but an undo's: what is recorded cannot be repaired."""
    from recon.repairs.plan import NamedCollection, RepairRequest, make_repair_plan, save_repair_plan
    from tests.support.repairing import a_row, a_set, an_append, an_insert, some_entries

    request = RepairRequest(now=NOW, author="Ann", reason="looked at it", target=plan.target, ticket="T-12")
    deeds = (an_insert(a_row(1)), a_set(a_row(2), {"metadata.manualHold": True}), an_append(*some_entries()))
    collections = [NamedCollection("payments", "00" * 16), NamedCollection("ledger", None)]
    save_repair_plan(make_repair_plan("missing", deeds, request=request, collections=collections), path)


def unsaid(_: str) -> None:
    """What a command would say is not wanted here."""


def documents(folder: Path) -> Iterator[tuple[str, str, Any]]:
    """Every JSON document of a folder of artefacts: the kind, the place, what stands there."""
    for place, kind in PLACES:
        yield kind, place, msgspec.json.decode((folder / place).read_bytes())
    if (folder / "repair.json").is_file():
        yield "repair-plan", "repair.json", msgspec.json.decode((folder / "repair.json").read_bytes())
    for path in sorted((folder / "decisions").glob("*.json")):
        yield "decision", path.name, msgspec.json.decode(path.read_text().partition("\n")[2])
    for path in sorted(folder.glob("sample.*.json")):
        yield "sample-sign-off", path.name, msgspec.json.decode(path.read_bytes())
    for name, kind in (
        ("history.ndjson", "history"),
        ("flags-journal.ndjson", "flags-journal-entry"),
        ("world/deliveries.ndjson", "deliveries"),
    ):
        for line in (folder / name).read_bytes().splitlines():
            yield kind, name, msgspec.json.decode(line)
    for path in sorted((folder / "watch").glob("rounds-*.ndjson")):
        for line in path.read_bytes().splitlines():
            yield "watch-line", path.name, msgspec.json.decode(line)
    for line in (folder / "world" / "journal.ndjson").read_text().splitlines():
        yield "journal-entry", "journal.ndjson", msgspec.json.decode(line.partition(" ")[2])


if __name__ == "__main__":
    made = Path(sys.argv[1])
    made.mkdir(parents=True)
    make_artefacts(made)
    (made / "decisions.csv").unlink()
    shutil.rmtree(made / "runs", ignore_errors=True)
