"""``hold``: put and lift holds on release and payout by plan, and list those that nothing speaks for any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from recon.api.choosing import Moment
from recon.api.common import Config, OnSaved, Place, saved_unseen, settings_of
from recon.api.repair import NoRepairReasonError, save_plan_of_repairs
from recon.core.errors import UsageError
from recon.core.text import count_text

if TYPE_CHECKING:
    from typing import Unpack

    from recon.repairs.deeds import Deed
    from recon.repairs.holds import HoldFields, HoldList
    from recon.repairs.plan import LeftOut, RepairKind, RepairPlan
    from recon.runs.stores.documents import RecordWriter
    from recon.setup.settings import Settings

HoldOf = Literal["payment", "request", "deal", "seller"]


class NothingToHoldError(UsageError):
    """What is named leads to no row, or to too many."""

    def __init__(self, *, asked: Collection[str], why: str) -> None:
        super().__init__(f"{', '.join(sorted(asked)[:3]) or 'nothing'}: {why}; nothing was planned.")


class HoldNames(TypedDict, total=False):
    """What holds are about: ids of payments, requests, deals or sellers."""

    payments: Iterable[str]
    requests: Iterable[str]
    deals: Iterable[str]
    sellers: Iterable[str]


def put(
    *,
    reason: str,
    until: Moment | None = None,
    ticket: str | None = None,
    config: Config = None,
    out: Place | None = None,
    operator: str | None = None,
    on_saved: OnSaved = saved_unseen,
    **held: Unpack[HoldNames],
) -> RepairPlan:
    """Plan holds on release and payout; see ``recon hold put``. The plan is saved, and applied like any other.

    Args:
        until: A time to come, or how long from now, at which the hold ends at the latest.
        held: See :class:`HoldNames`.

    Raises:
        NoHoldFieldError, NoHoldKeyError: The configuration does not say where holds or rows are.
        NothingToHoldError: What is named leads to no row that can be held.
    """
    from recon.api.common import operator_name
    from recon.repairs.holds import HoldWords, plan_holds

    settings = settings_of(config)
    _check_reason(reason)
    ends = settings.now() + until if isinstance(until, timedelta) else until
    if ends is not None and ends <= settings.now():
        raise NothingToHoldError(asked=(), why=f"a hold until {ends:%Y-%m-%d %H:%M} UTC would be over already")
    words = HoldWords(reason=reason, ticket=ticket, until=ends, by=operator_name(operator))

    def plan(documents: Sequence[Any], fields: HoldFields) -> tuple[Sequence[Deed], Sequence[LeftOut]]:
        return plan_holds(documents, fields, words=words)

    return _planned("hold", settings, held, plan=plan, said=(reason, ticket, operator), out=out, on_saved=on_saved)


def lift(
    *,
    reason: str,
    ticket: str | None = None,
    config: Config = None,
    out: Place | None = None,
    operator: str | None = None,
    on_saved: OnSaved = saved_unseen,
    **held: Unpack[HoldNames],
) -> RepairPlan:
    """Plan that holds are lifted, never while a dispute is active; see ``recon hold lift``. The plan is saved.

    Args:
        held: See :class:`HoldNames`.

    Raises:
        NoHoldFieldError, NoHoldKeyError: The configuration does not say where holds or rows are.
        NothingToHoldError: What is named leads to no row whose hold can be lifted.
    """
    from recon.repairs.holds import plan_lifts

    settings = settings_of(config)
    _check_reason(reason)

    def plan(documents: Sequence[Any], fields: HoldFields) -> tuple[Sequence[Deed], Sequence[LeftOut]]:
        return plan_lifts(documents, fields, reason=reason)

    return _planned("lift", settings, held, plan=plan, said=(reason, ticket, operator), out=out, on_saved=on_saved)


def list_(config: Config = None, *, judge: bool = True) -> HoldList:
    """Every row that is held by hand, and whether anything still speaks for it; see ``recon hold list``.

    Args:
        judge: Ask every source about the payments; otherwise only disputes are looked at.

    Raises:
        NoHoldFieldError: The configuration does not say where holds are.
    """
    from recon.core.errors import SourceError
    from recon.core.ids import payment_id_text
    from recon.core.model import Verdict
    from recon.repairs.holds import HoldList, held_rows
    from recon.runs.stores.documents import FOUND_MAX
    from recon.setup.judge_again import judge_again
    from recon.setup.open_repairs import hold_fields, records_of_store
    from recon.setup.open_runs import open_ledger

    settings = settings_of(config)
    fields = hold_fields(settings)
    with open_ledger(settings) as ledger:
        documents = records_of_store(ledger).find(fields.collection, path=fields.field, values=[True])
    verdicts, why = None, "" if judge else "nothing was asked"
    if len(documents) > FOUND_MAX:
        why = f"more than {FOUND_MAX} rows are held"
    elif judge and documents and fields.collection == fields.payments:
        try:
            verdicts = judge_again(settings)([payment_id_text(each["_id"]) for each in documents])
        except SourceError as error:
            why = str(error)
    rows = held_rows(
        documents[:FOUND_MAX], fields, verdicts=verdicts, now=settings.now(), quiet=(str(Verdict.DISPUTE_HOLD),)
    )
    ordered = sorted(rows, key=lambda each: (each.is_supported is not False, each.is_supported is None, each.about))
    return HoldList(tuple(ordered), verdicts is not None or not documents, why)


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise NoRepairReasonError


def _planned(
    kind: RepairKind,
    settings: Settings,
    held: HoldNames,
    *,
    plan: Any,
    said: tuple[str, str | None, str | None],
    out: Place | None,
    on_saved: OnSaved,
) -> RepairPlan:
    from recon.setup.open_repairs import hold_fields, records_of_store
    from recon.setup.open_runs import clock_of, open_ledger

    fields = hold_fields(settings)
    wanted: list[tuple[HoldOf, tuple[str, ...]]] = [
        ("payment", tuple(held.get("payments", ()))), ("request", tuple(held.get("requests", ()))),
        ("deal", tuple(held.get("deals", ()))), ("seller", tuple(held.get("sellers", ()))),
    ]  # fmt: skip
    asked = [value for _, values in wanted for value in values]
    with open_ledger(settings) as ledger:
        records, now = records_of_store(ledger), clock_of(ledger, settings)()
        documents = _rows(records, settings, fields, wanted)
        if not documents:
            raise NothingToHoldError(asked=asked, why="no row was found that bears one of these")
        deeds, left = plan(documents, fields)
        if not deeds:
            why = "; ".join(sorted({each.why for each in left})[:3])
            raise NothingToHoldError(asked=asked, why=f"of {count_text(len(documents), 'row')} none can be: {why}")
        return save_plan_of_repairs(
            kind, deeds, settings=settings, records=records, now=now, said=said, out=out, on_saved=on_saved,
            left_out=tuple(left),
        )  # fmt: skip


def _rows(
    records: RecordWriter, settings: Settings, fields: HoldFields, wanted: Iterable[tuple[HoldOf, Sequence[str]]]
) -> list[Any]:
    """Every row that one of the wanted things leads to, each once, by id."""
    from recon.core.ids import payment_id_text
    from recon.repairs.holds import NoHoldKeyError
    from recon.runs.stores.documents import FOUND_MAX
    from recon.setup.open_repairs import stored_ids

    found: dict[str, Any] = {}
    keys = settings.values.hold.keys
    for what, values in wanted:
        if not values:
            continue
        if what not in keys:
            raise NoHoldKeyError(what=what, known=keys)
        for document in records.find(fields.collection, path=keys[what], values=stored_ids(values, path=keys[what])):
            found[payment_id_text(document["_id"])] = document
    if len(found) > FOUND_MAX:
        raise NothingToHoldError(asked=(), why=f"more than {FOUND_MAX} rows bear these")
    return [found[name] for name in sorted(found)]
