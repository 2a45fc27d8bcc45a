"""``ledger``: the backend's own ledger beside the evidence, and by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recon.api.common import Config, OnSaved, Place, Say, free_path, saved_unseen, settings_of, tell
from recon.core.errors import UsageError

if TYPE_CHECKING:
    from typing import Unpack

    from recon.api.choosing import Moment
    from recon.api.reconcile import PlanOptions, SavedPlan
    from recon.core.model import Plan
    from recon.repairs.plan import LeftOut, RepairPlan
    from recon.setup.settings import Settings
    from recon.snapshots.sealed import Snapshot


class LedgerUnreadError(UsageError):
    """A ledger is to be judged, and none was read."""

    def __init__(self) -> None:
        super().__init__(
            "The snapshot holds no entries of a ledger. Name collection and amount_field in [ledger] of the "
            "configuration, and take a new snapshot."
        )


def check(
    snapshot: Snapshot | Place | None = None, *, config: Config = None, **options: Unpack[PlanOptions]
) -> SavedPlan:
    """Judge the ledger of a window; see ``recon ledger check``.

    It is what :func:`recon.plan` says of the ledger: the same snapshot and the same plan file are written.

    Args:
        snapshot: Judged offline; without one a new snapshot is taken first.
        options: See :class:`~recon.api.reconcile.PlanOptions`.

    Raises:
        LedgerUnreadError: The configuration, or the snapshot, has no ledger.
        ConfigError: A setting is missing or wrong.
    """
    from recon.api.reconcile import plan_and_save

    if snapshot is None and settings_of(config).values.ledger.mapping() is None:
        raise LedgerUnreadError
    made = plan_and_save(snapshot, config=config, **options)
    if made.plan.ledger is None:
        raise LedgerUnreadError
    return made


class NoLedgerFindingError(UsageError):
    """What is to be put right is nothing that the plan finds in the ledger."""

    def __init__(self, *, name: str) -> None:
        super().__init__(
            f'{name[:100]!r} is no payment, deal or entry with a finding in the ledger; nothing was planned. "recon '
            'ledger check" lists what there is.'
        )


def repair(
    names: Collection[str],
    *,
    plan: Plan | Place | None = None,
    rest_kind: str | None = None,
    config: Config = None,
    reason: str = "",
    ticket: str | None = None,
    out: Place | None = None,
    operator: str | None = None,
    on_saved: OnSaved = saved_unseen,
    say: Say = tell,
) -> LedgerRepairs:
    """Plan entries that put the ledger right; see ``recon ledger repair``.

    Args:
        names: Payments, deals or entries that the plan has a finding of.
        plan: The plan that judged the ledger; the newest when not given.
        rest_kind: What is stated of what is left of a deal that is over: ``fee``, ``released`` or ``refunded``.

    Raises:
        NoLedgerFindingError: A name has no finding in the ledger.
        NoRepairReasonError: No reason is given.
        NoRepairStoreError: The store takes no repairs.
    """
    from recon.api.naming import NEWEST, plan_of
    from recon.api.repair import NoRepairReasonError, save_plan_of_repairs
    from recon.repairs.deeds import named_deed
    from recon.repairs.plan import LeftOut
    from recon.setup.open_repairs import records_of_store
    from recon.setup.open_runs import clock_of, open_ledger
    from recon.setup.plan_entries import propose_for

    settings = settings_of(config)
    judged = plan_of(plan or NEWEST[0], config=settings)
    if not reason.strip():
        raise NoRepairReasonError
    chosen = _chosen(judged, names)
    with open_ledger(settings) as store:
        records, now = records_of_store(store), clock_of(store, settings)()
        proposed = [
            (each, propose_for(each, judged, settings=settings, records=records, said=(reason, now, rest_kind)))
            for each in chosen
        ]
        left = tuple(LeftOut(_about(each), found) for each, found in proposed if isinstance(found, str))
        # Each leg of a group is a finding of its own, and one deed takes the whole group back.
        deeds = list({named_deed(found).id: found for _, found in proposed if not isinstance(found, str)}.values())
        if not deeds:
            return LedgerRepairs(None, left)
        cases = _captured([each for each, found in proposed if not isinstance(found, str)], judged, settings, say=say)
        made = save_plan_of_repairs(
            "ledger", deeds, settings=settings, records=records, now=now, said=(reason, ticket, operator), out=out,
            on_saved=on_saved, left_out=left, cases=cases, snapshot=judged.snapshot,
        )  # fmt: skip
    return LedgerRepairs(made, left)


@dataclass(frozen=True, slots=True)
class LedgerRepairs:
    """What was planned for a ledger: the plan, None where nothing can be proposed; and what was left out, and why."""

    plan: RepairPlan | None
    left_out: tuple[LeftOut, ...]


def _about(finding: Mapping[str, Any]) -> str:
    return str(finding["payment_id"] or finding["deal"] or finding["entry_id"])


def _chosen(judged: Plan, names: Collection[str]) -> list[Mapping[str, Any]]:
    """The findings of the names, each once."""
    if judged.ledger is None:
        raise LedgerUnreadError
    chosen: list[Mapping[str, Any]] = []
    for name in dict.fromkeys(names):
        found = [
            each for each in judged.ledger["findings"] if name in (each["payment_id"], each["deal"], each["entry_id"])
        ]
        if not found:
            raise NoLedgerFindingError(name=name)
        chosen += [each for each in found if each not in chosen]
    return chosen


def _captured(
    findings: Collection[Mapping[str, Any]], judged: Plan, settings: Settings, *, say: Say
) -> tuple[str, ...]:  # fmt: skip
    """Freeze the evidence of the payments that entries are about; what has no payment is whole in the plan itself."""
    import json

    from recon.api.investigate import case
    from recon.files import make_folder
    from recon.snapshots.sealed import find_snapshot

    taken = find_snapshot(settings.output_dir, judged.snapshot)
    names = sorted({each["payment_id"] for each in findings if each["payment_id"] and each["reason"] != "unknown"})
    made = []
    for name in names if taken is not None else ():
        make_folder(settings.output_dir)
        path = free_path(settings.output_dir / f"case-{name[:40]}.json")
        case(name, out=path, config=settings, snapshot=taken.path if taken is not None else None)
        say(f"Case:     {path}")
        made.append(f"{path.name} {json.loads(path.read_bytes())['seal']}")
    return tuple(made)


def reverse(
    payments: Collection[str],
    *,
    from_at: Moment,
    to_at: Moment | None = None,
    by: str | None = None,
    config: Config = None,
    reason: str = "",
    ticket: str | None = None,
    out: Place | None = None,
    operator: str | None = None,
    on_saved: OnSaved = saved_unseen,
) -> LedgerRepairs:
    """Plan counter-entries of what was booked of payments between two times; see ``recon ledger reverse``.

    Args:
        payments: Their ids; nothing is taken back of a payment that nobody named.
        by: Only entries that this account or person made; needs ``[ledger] by_field``.

    Raises:
        NoMakerFieldError: ``by`` is given, and nothing says who makes entries.
        NoRepairReasonError: No reason is given.
        NoRepairStoreError: The store takes no repairs.
    """
    from recon.api.choosing import resolve_moment
    from recon.api.repair import NoRepairReasonError, save_plan_of_repairs
    from recon.core.times import to_ms
    from recon.repairs.plan import LeftOut
    from recon.setup.open_repairs import records_of_store
    from recon.setup.open_runs import clock_of, open_ledger
    from recon.setup.plan_entries import EntriesMade, propose_way_back

    settings = settings_of(config)
    if not reason.strip():
        raise NoRepairReasonError
    if by is not None and settings.values.ledger.by_field is None:
        raise NoMakerFieldError
    with open_ledger(settings) as store:
        records, now = records_of_store(store), clock_of(store, settings)()
        start, end = resolve_moment(from_at, now=now), resolve_moment(to_at, now=now) or now
        assert start is not None, "only no moment resolves to none"
        made = EntriesMade(to_ms(start), to_ms(end), by)
        proposed = [
            (name, propose_way_back(name, made, settings=settings, records=records, said=(reason, now)))
            for name in dict.fromkeys(payments)
        ]
        left = tuple(LeftOut(name, found) for name, found in proposed if isinstance(found, str))
        deeds = [found for _, found in proposed if not isinstance(found, str)]
        if not deeds:
            return LedgerRepairs(None, left)
        plan = save_plan_of_repairs(
            "ledger", deeds, settings=settings, records=records, now=now, said=(reason, ticket, operator), out=out,
            on_saved=on_saved, left_out=left,
        )  # fmt: skip
    return LedgerRepairs(plan, left)


class NoMakerFieldError(UsageError):
    """Entries of one maker are asked for, and nothing says who makes entries."""

    def __init__(self) -> None:
        super().__init__(
            "Nothing says who makes entries of the ledger; nothing was planned. Name the field in [ledger] by_field, "
            "or leave out --by."
        )
