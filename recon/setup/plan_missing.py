"""Plans rows for money that no row knows: from a snapshot, by the template of the configuration."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from recon.core.errors import ConfigError
from recon.core.values import changed_document
from recon.repairs.deeds import Deed, read_document
from recon.repairs.missing import (
    KEY_FIELDS,
    MissingEvidence,
    MissingFound,
    RowTemplate,
    missing_evidence,
    propose_row,
)
from recon.setup.open_repairs import not_kept_unique
from recon.setup.settings import Settings

if TYPE_CHECKING:
    from recon.runs.stores.documents import RecordWriter
    from recon.snapshots.sealed import Snapshot
    from recon.sources.payments.fields import FieldPaths
    from recon.verdicts.engine import Engine
    from recon.verdicts.links import Frame

Row = Mapping[str, Any]


class NoTemplateError(ConfigError):
    """The configuration does not say what a missing row is made of."""

    def __init__(self) -> None:
        super().__init__(
            "The configuration does not say what a missing row is made of; nothing was planned. Write a table "
            '"[repair.missing.fields]".'
        )


def row_template(settings: Settings) -> RowTemplate:
    """What a missing row is made of.

    Raises:
        NoTemplateError: The configuration does not say.
        FieldPathError: A configured path cannot be used.
    """
    from recon.sources.payments.fields import FieldPaths

    given = settings.values.repair.missing
    if not given.fields:
        raise NoTemplateError
    fields = FieldPaths.with_overrides(settings.values.fields)
    return RowTemplate(
        collection=settings.values.mongo.collection,
        fields=given.fields,
        kinds=given.kinds,
        optional=given.optional,
        asks=given.asks,
        key_paths={name: _paths(fields, name) for name in KEY_FIELDS},
    )


def repair_says(settings: Settings) -> tuple[Literal["ok", "warning"], str] | None:
    """Whether missing rows can be put in safely under a configuration; None where they never are.

    Raises:
        NoTemplateError, FieldPathError, NoRepairStoreError: They are to be, and cannot.
        SourceError: The database does not answer.
    """
    from recon.setup.open_repairs import records_of_store
    from recon.setup.open_runs import open_ledger

    if not settings.values.repair.insert:
        return None
    template = row_template(settings)
    keys = {path for paths in template.key_paths.values() for path in paths} & set(template.fields)
    with open_ledger(settings) as ledger:
        kept = sorted(keys & records_of_store(ledger).unique_paths(template.collection))
    if kept:
        return "ok", f"Missing rows may be put in; the database keeps {', '.join(kept)} unique."
    return "warning", (
        f"Missing rows may be put in, and no unique index of {template.collection} covers a key of theirs "
        f"({', '.join(sorted(keys)) or 'the template has no key'}), so every row will be refused. Have the backend's "
        "owner create one."
    )


def _paths(fields: FieldPaths, name: str) -> tuple[str, ...]:
    """Every path at which a row may hold a key; of an array all of it counts, and not one place of it."""
    from recon.sources.payments.fields import array_in

    found = []
    for place in fields.of(name):
        before, index, behind = array_in(place.parts)
        found.append(place.path if index is None else ".".join((*before, *behind)))
    return tuple(sorted(set(found)))


def missing_in(snapshot: Snapshot, settings: Settings) -> tuple[MissingFound, ...]:
    """Everything that no row knew when a snapshot was taken, with its evidence."""
    from recon.verdicts.engine import open_engine, usual_engine
    from recon.verdicts.orphans import lost_rows

    if not snapshot.rows("orphans"):
        return ()
    engine = open_engine(usual_engine(snapshot.rows("payments")))
    try:
        frames = snapshot.frames(engine)
        transfers, claims = (table.to_pylist() for table in lost_rows(frames, engine))
        named = _transfers_of(claims, frames, engine)
    finally:
        engine.close()
    names = sorted({f"chain:{row['key']}" for row in transfers} | {f"provider:{row['key']}" for row in claims})
    money = list({row["key"]: row for row in (*named, *transfers)}.values())
    registry, unread, ours = settings.registry(), unread_in(snapshot), settings.recipients
    found = []
    for name in names:
        evidence = missing_evidence(name, transfers=money, claims=claims, registry=registry, ours=ours)
        if isinstance(evidence, MissingEvidence):
            gaps = sorted(unread & {"payments", f"chain:{evidence.chain_id}"})
            evidence = f"{', '.join(gaps)} was not read whole, so another row may know it" if gaps else evidence
        found.append(MissingFound(name, evidence))
    return tuple(found)


def _transfers_of(claims: Sequence[Row], frames: Mapping[str, Frame], engine: Engine) -> list[dict[str, Any]]:
    """The transfers that objects of providers lead to, by hash or by the reference in their log."""
    import narwhals as nw

    from recon.core.ids import reference_topic
    from recon.verdicts.orphans import ORPHAN_TRANSFERS

    hashes = sorted({tx_hash for row in claims for tx_hash in (row["tx_hashes"] or "").split()})
    topics = sorted({reference_topic(row["reference"]) for row in claims if row["reference"]})
    if not hashes and not topics:
        return []
    is_named = nw.col("tx_hash").is_in([*hashes, ""]) | nw.col("reference_topic").fill_null("").is_in([*topics, "-"])
    rows = engine.collect(
        frames["transfers"].filter(is_named).select(*ORPHAN_TRANSFERS), ORPHAN_TRANSFERS,
        order=["chain_id", "tx_hash", "log_index"],
    ).to_pylist()  # fmt: skip
    return [{**row, "key": f"{row['chain_id']}:{row['tx_hash']}:{row['log_index']}"} for row in rows]


def unread_in(snapshot: Snapshot) -> set[str]:
    """The sources that did not give all that was asked of them."""
    return {str(row["source"]) for row in snapshot.table("coverage").to_pylist() if row["complete"] is not True}


def propose_missing(
    found: MissingFound,
    settings: Settings,
    *,
    records: RecordWriter,
    given: Mapping[str, str],
    now: datetime,
) -> Deed | str:
    """The deed that puts one missing row in, or why there is none.

    Raises:
        NoTemplateError, FieldPathError: The configuration does not say what it is made of.
    """
    if isinstance(found.evidence, str):
        return found.evidence
    deed = propose_row(found.evidence, row_template(settings), given=given)
    if isinstance(deed, str):
        return deed
    why = _misread(deed, found.evidence, settings, now) or not_kept_unique(deed, records)
    return why or deed


def _misread(deed: Deed, evidence: MissingEvidence, settings: Settings, now: datetime) -> str:
    """Why recon itself would read the row as something else than the money it is for; empty where it would not."""
    from recon.sources.payments.documents import DocumentReader
    from recon.sources.payments.fields import FieldPaths

    fields = FieldPaths.with_overrides(settings.values.fields)
    reader = DocumentReader(fields=fields, registry=settings.registry(), policy=settings.policy())
    document = changed_document(read_document(deed.documents[0], where=deed.payment_id), dict.fromkeys(deed.times, now))
    row = reader.row(document)
    if row["problem"]:
        return f"the template makes a row that cannot be read ({row['problem']})"
    wanted = {
        "expected_units": evidence.value_units, "chain_id": evidence.chain_id, "token": evidence.token,
        "direction": "in",
    }  # fmt: skip
    off: Collection[str] = [name for name, value in wanted.items() if row.get(name) != value]
    keys = [row.get(name) for name in KEY_FIELDS]
    if not any(keys):
        return "the template puts no key into the row (reference, request id, external id or hash)"
    return f"the template makes a row of another {', '.join(sorted(off))} than the money has" if off else ""
