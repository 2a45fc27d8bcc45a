"""The page of the files that recon writes and reads: kinds, versions, fields and columns."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Final

from docs_pages.words import code, fields_of, made, prose, table
from recon.core import model
from recon.core.tables import TABLES
from recon.desk import draft
from recon.investigation.payment import casefile
from recon.plans import approvals, file, history, notes
from recon.rails.flags import journal as flag_journal
from recon.rails.flags import plan as flag_plan
from recon.rails.gates import evidence, sample
from recon.repairs import deeds
from recon.repairs import plan as repair_plan
from recon.runs.stores import journal
from recon.snapshots import sealed
from recon.sources.deliveries.forms import FIELDS
from recon.sources.recorded import format as recorded
from recon.watch import state as watch_log

_KINDS: Final = (
    ("plan", "`plan-….json`", file.FORMAT, "`recon plan`, `recon select`, `recon undo`, `recon backfill shkeeper`",
     "`recon show`"),
    ("snapshot", "`snapshot-…/` with `manifest.json`", sealed.FORMAT, "`recon snapshot`, `recon plan`", "`recon show`"),
    ("run history", "`history.ndjson`", history.FORMAT, "`recon plan`", "`recon history`"),
    ("log of the watch", "`watch/rounds-….ndjson`, one a month", watch_log.FORMAT, "`recon watch`, `recon watch ack`",
     "`recon watch status`"),
    ("decision", "`decisions/…json`", 1, "`recon approve`, `recon ack`", "`recon show latest`, `recon history`"),
    ("journal", "collection `recon_journal`, or `journal.ndjson` of a recorded world", journal.FORMAT, "`recon apply`",
     "`recon runs`"),
    ("case", "the file of `--out`", casefile.FORMAT, "`recon case`", "`recon inspect --case case.json`"),
    ("decisions of a sheet", f"`…{notes.NOTES_SUFFIX}`", notes.NOTES_FORMAT, "`recon decide import`",
     "`recon show PLAN --payment ID`, `recon review`"),
    ("marks of a review", "`PLAN.review`", draft.DRAFT_FORMAT, "`recon review`", "`recon review`"),
    ("plan of repairs", "`repair-….json`", repair_plan.FORMAT,
     "`recon repair missing`, `recon hold`, `recon repair undo`", "`recon show`"),
    ("flag plan", "the file of `--out`", flag_plan.FORMAT, "`recon flags rollback`, `recon flags enable`",
     "`recon show`"),
    ("journal of flags", "`flags-journal.ndjson`", flag_journal.FORMAT, "`recon flags apply`",
     "`recon flags status`"),
    ("sample and sign-offs", "the file of `--out`", sample.FORMAT, "`recon sample`, `recon sample sign`",
     "`recon gates enable`"),
    ("health checks", f"`{evidence.HEALTH_FILE}`", evidence.FORMAT, "`recon gates check`", "`recon gates enable`"),
    ("recorded world", "a folder with `world.json`", recorded.FORMAT, "`recon demo`, `recon simulate`",
     "`[recorded] path`"),
)  # fmt: skip
"""Kind, where it is, version, what writes it, what shows it."""


def files_page() -> str:
    """Every kind of file with its fields."""
    parts = [
        _LEAD, table(("kind", "file", "format", "written by", "shown by"), _KINDS),
        "## Plan", prose(model.Plan.__doc__), fields_of(model.Plan),
    ]  # fmt: skip
    for title, kind in (
        ("Finding", model.Finding), ("Compared field", model.FieldView), ("Change", model.Change),
        ("Field of a change", model.FieldChange), ("Guard", model.GuardTerm), ("Proof", model.ProofTerm),
        ("What is left alone", model.LeftAlone), ("Target", model.Target),
    ):  # fmt: skip
        parts += [f"### {title}", prose(kind.__doc__), fields_of(kind)]
    parts += ["## Decision", prose(approvals.Approval.__doc__), _both(approvals.Approval)]
    parts += ["## Journal", prose(journal.Note.__doc__), fields_of(journal.Note), fields_of(journal.JournalEntry)]
    parts += ["## Plan of repairs", prose(repair_plan.RepairPlan.__doc__), fields_of(repair_plan.RepairPlan)]
    parts += ["### Deed", prose(deeds.Deed.__doc__), fields_of(deeds.Deed)]
    parts += ["## Flag plan", prose(flag_plan.FlagPlan.__doc__), fields_of(flag_plan.FlagPlan)]
    parts += ["## Sample", prose(sample.Sample.__doc__), fields_of(sample.Sample)]
    parts += ["### Sign-off", prose(sample.SignOff.__doc__), fields_of(sample.SignOff)]
    parts += ["## Snapshot", _SNAPSHOT, *_tables()]
    parts += ["## Deliveries", _DELIVERIES, table(("field", "looked for under"), [
        (code(name), ", ".join(code(each) for each in places)) for name, places in FIELDS.items()
    ])]  # fmt: skip
    return made("Files", *parts)


def _both(kind: Any) -> str:
    return fields_of(kind, without=("signer", "void"))


def _tables() -> list[str]:
    about = json.loads(resources.files("recon.reports.notebooks").joinpath("columns.json").read_text(encoding="utf-8"))
    parts = []
    for name, schema in TABLES.items():
        rows = [(code(column), kind, about.get(column, ("", ""))[1]) for column, kind in schema.items()]
        parts += [f"### `{name}.parquet`", table(("column", "kind", "means"), rows)]
    return parts


_LEAD: Final = """\
Everything that people keep is a file of its own: written whole or not at all, synced, private, never over another
file. Each carries the number of its format; older ones keep loading. Amounts are text in base units, times are UTC, a
field that is not there is `{"$recon": "missing"}`, and values of documents are canonical Extended JSON. Plans,
decisions, samples and cases hold the SHA-256 of their own bytes; histories and journals chain each line to the one
before it. A file of which a byte was
changed is refused. A JSON Schema of each kind and version stands in `docs/schemas`."""
_SNAPSHOT: Final = """\
A folder of Parquet tables. `manifest.json` names the SHA-256 of each file, the coverage and the rules; its own digest
is the seal. What the second reading of the breaks gave lies in `again/`. Kinds: `int` (times are milliseconds),
`units` (whole base units, up to 37 digits), `text`, `bool`; null means "not known"."""
_DELIVERIES: Final = """\
Webhook deliveries are read from NDJSON, JSON, HAR and CSV files, mongodump's BSON, dumps of `pg_dump`, what queues of
jobs keep (Sidekiq, Resque, Celery, BullMQ and others), lines of Kafka's console consumer and of `redis-cli`, folders of
such files, or a collection. A field is looked for under these names, in order; `[deliveries.fields]` puts yours before
them."""
