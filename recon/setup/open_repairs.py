"""What a run of repairs works with, opened from a configuration, and how its deeds are asked for again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import ConfigError
from recon.core.ids import payment_id_text
from recon.core.model import ProofTerm
from recon.core.values import value_at
from recon.setup.open_runs import clock_of
from recon.setup.settings import Settings
from recon.setup.stores.store import Ledger

if TYPE_CHECKING:
    from recon.repairs.apply import RepairPorts
    from recon.repairs.deeds import Deed
    from recon.repairs.entries import EntryTerms
    from recon.repairs.holds import HoldFields
    from recon.repairs.plan import NamedCollection, RepairPlan
    from recon.runs.stores.documents import RecordWriter
    from recon.sources.interface import DocumentStore


class NoRepairStoreError(ConfigError):
    """The store of the configuration takes no repairs."""

    def __init__(self) -> None:
        super().__init__(
            "The store of this configuration takes no repairs: whole records and holds are written to MongoDB alone; "
            "nothing was read or written."
        )


class AppendOffError(ConfigError):
    """Entries may not be appended to the ledger under this configuration."""

    def __init__(self) -> None:
        super().__init__(
            'No entry is appended to the ledger unless "[ledger] append = true" says so, and it does not; nothing '
            "was written. Read what that means first: docs/how-to/reconcile-the-ledger.md."
        )


def check_may_put(plan: RepairPlan, settings: Settings) -> None:
    """Refuse a plan that puts in what the configuration does not let in.

    Raises:
        InsertOffError, AppendOffError: It puts in rows, or entries.
    """
    if plan.kind == "missing" and not settings.values.repair.insert:
        raise InsertOffError
    if any(deed.kind == "append" for deed in plan.deeds) and not settings.values.ledger.append:
        raise AppendOffError


class NoEntryTermsError(ConfigError):
    """Entries are to be appended to a ledger whose fields nobody configured."""

    def __init__(self) -> None:
        super().__init__(
            "The configuration does not say what an entry of the ledger says; nothing was written. Name collection and "
            "amount_field in [ledger]."
        )


class InsertOffError(ConfigError):
    """Whole rows may not be put in under this configuration."""

    def __init__(self) -> None:
        super().__init__(
            'Whole rows are never inserted unless "[repair] insert = true" says so, and it does not; nothing was '
            "written. Read what that means first: docs/explanation/repairs.md."
        )


def records_of_store(ledger: Ledger) -> RecordWriter:
    """The records of a store that takes repairs.

    Raises:
        NoRepairStoreError: It takes none.
    """
    if ledger.records is None:
        raise NoRepairStoreError
    return ledger.records


def repair_ports(ledger: Ledger, settings: Settings) -> RepairPorts:
    """Everything outside that a run of repairs touches.

    Raises:
        NoRepairStoreError: The store takes no repairs.
        ClientClockError: This machine's clock is further off than the configuration allows.
    """
    from recon.repairs.apply import RepairPorts

    return RepairPorts(records_of_store(ledger), ledger.journal, clock_of(ledger, settings))


def named_collections(records: RecordWriter, names: Iterable[str]) -> tuple[NamedCollection, ...]:
    """Collections by name, with what tells each from another of that name.

    Raises:
        UnknownCollectionError: There is no such collection.
    """
    from recon.repairs.plan import NamedCollection

    return tuple(NamedCollection(name, records.collection_uuid(name)) for name in sorted(set(names)))


_TRANSFER: Final = "transfer "


class AskDeedsAgain:
    """Asks again what missing rows rest on: that nobody knows their keys, and that their money is there and final."""

    def __init__(self, settings: Settings, records: RecordWriter) -> None:
        self._settings, self._records = settings, records

    def __call__(self, deeds: Sequence[Deed]) -> Mapping[str, str]:
        """By the deed's id why it is no longer due.

        Raises:
            SourceError: A source does not answer.
        """
        from recon.setup.open_sources import open_sources

        mine = [deed for deed in deeds if deed.kind == "insert" and deed.finding == "missing_local"]
        found = entries_since(deeds, settings=self._settings, records=self._records)
        if not mine:
            return found
        with open_sources(self._settings) as sources:
            for deed in mine:
                why = next(_known(sources.store, deed), None) or not_kept_unique(deed, self._records)
                if why:
                    found[deed.id] = why
        return {**self._unproven(mine), **found}

    def _unproven(self, deeds: Sequence[Deed]) -> Mapping[str, str]:
        from recon.setup.ask_proof import ask_proof

        terms = {deed.id: [_term(text) for text in deed.evidence if text.startswith(_TRANSFER)] for deed in deeds}
        wanted = sorted({term for each in terms.values() for term in each}, key=str)
        lost = ask_proof(self._settings, None)(wanted).lost if wanted else {}
        return {name: lost[term] for name, each in terms.items() for term in each if term in lost}


def entry_terms(settings: Settings) -> EntryTerms:
    """How entries of the backend's ledger are written.

    Raises:
        NoEntryTermsError: The configuration does not say what an entry says.
    """
    from recon.repairs.entries import EntryTerms

    given = settings.values.ledger
    mapping = given.mapping()
    if mapping is None or given.collection is None:
        raise NoEntryTermsError
    return EntryTerms(
        given.collection,
        mapping,
        settings.registry(),
        key=given.key_field,
        reason=given.reason_field,
        token_as=given.token_as,
    )


def entries_since(deeds: Sequence[Deed], *, settings: Settings, records: RecordWriter) -> dict[str, str]:
    """By the deed's id, why entries are no longer due: there are others now than when they were planned."""
    from recon.repairs.deeds import document_ids
    from recon.repairs.entries import SEEN, entries_digest

    found: dict[str, str] = {}
    for deed in deeds:
        seen = next((text.removeprefix(SEEN) for text in deed.evidence if text.startswith(SEEN)), None)
        if deed.kind != "append" or seen is None:
            continue
        about = seen.partition(" of ")
        now = entries_of(about[2].splitlines(), settings=settings, records=records)
        mine = {payment_id_text(each) for each in document_ids(deed)}
        held = [name for each in now if (name := payment_id_text(each["_id"])) not in mine]
        if entries_digest(held) != about[0]:
            found[deed.id] = "the ledger has other entries of it now than when this was planned; plan it again"
    return found


def entries_of(payment_ids: Sequence[str], *, settings: Settings, records: RecordWriter) -> list[Mapping[str, Any]]:
    """Every entry of some payments, whole, as the database has them now."""
    from recon.core.ids import parse_payment_id
    from recon.sources.ledger.entries import payment_spellings

    terms = entry_terms(settings)
    spelled = {each for name in payment_ids for each in payment_spellings(parse_payment_id(name))}
    values = [parse_payment_id(each) for each in sorted(spelled)]
    path = terms.mapping.payment
    return records.find(terms.collection, path=path, values=values) if path is not None and values else []


def not_kept_unique(deed: Deed, records: RecordWriter) -> str:
    """Why two rows of a deed's keys could come to be; empty where the server itself keeps one of them unique."""
    from recon.repairs.deeds import read_document

    document = read_document(deed.documents[0], where=deed.payment_id)
    borne = [path for key in deed.unique for path in key.paths if value_at(document, path) in key.values]
    if set(borne) & records.unique_paths(deed.collection):
        return ""
    shown = ", ".join(borne[:5]) or "none is in the row"
    return (
        f"no unique index of {deed.collection} covers one of its keys ({shown}), so a webhook that lands at the same "
        "moment could make a second row; have the backend's owner create one"
    )


def _known(store: DocumentStore, deed: Deed) -> Iterator[str]:
    for key in deed.unique:
        if key.field:
            for value, document in store.find_claimants(key.field, sorted(key.values)):
                yield f"payment {payment_id_text(document['_id'])} bears its {key.field.replace('_', ' ')} {value}"


def _term(text: str) -> ProofTerm:
    chain, tx_hash, log = text.removeprefix(_TRANSFER).split(":")
    return ProofTerm(int(chain), tx_hash, int(log))


def hold_fields(settings: Settings) -> HoldFields:
    """Where holds stand under a configuration.

    Raises:
        NoHoldFieldError: It does not say.
    """
    from recon.repairs.holds import HoldFields, NoHoldFieldError

    given = settings.values.hold
    if given.field is None:
        raise NoHoldFieldError
    payments = settings.values.mongo.collection
    return HoldFields(
        collection=given.collection or payments,
        payments=payments,
        field=given.field,
        reason=given.reason,
        ticket=given.ticket,
        until=given.until,
        by=given.by,
        disputes=given.disputes,
        guarded=given.guarded,
    )


def stored_ids(values: Iterable[str], *, path: str) -> list[Any]:
    """Ids as they may be stored: a payment's own exactly as recon writes it, others as text and as what it stands for.

    Args:
        path: Where they are looked for.
    """
    from recon.core.errors import IdError
    from recon.core.ids import parse_payment_id

    if path == "_id":
        return [parse_payment_id(value) for value in values]
    found: list[Any] = []
    for value in values:
        found.append(value)
        try:
            meant = parse_payment_id(value)
        except IdError:
            continue
        if meant != value:
            found.append(meant)
    return found
