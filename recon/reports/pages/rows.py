"""The grid of a plan: every payment of the snapshot, or without a snapshot the findings alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recon.core.ids import TRON_CHAINS, written_address
from recon.core.model import TIER_TEXT, Change, Finding, Plan, Severity, Tier
from recon.core.money import format_units
from recon.core.registry import Registry
from recon.core.times import parse_iso_ms
from recon.plans.notes import PlanNotes
from recon.plans.picking import written_word
from recon.reports.pages.page import CELL_MAX, Grid, GridColumn, PickList
from recon.reports.pages.pictures import age_band, chain_name
from recon.reports.pages.whole import Whole
from recon.reports.text import amount_text, display_text, value_text
from recon.reports.views.notes import note_line
from recon.reports.views.plan import finding_row
from recon.reports.views.totals import breaks_of
from recon.sources.interface import Progress, no_progress, told_one_by_one

ROWS_MAX: Final = 300_000
"""Most payments of one page. Breaks come first and are never left out."""

COLUMNS: Final = (
    GridColumn("severity", "severity", "severity", is_filter=True),
    GridColumn("payment_id", "payment", "id"),
    GridColumn("verdict", "verdict", "verdict", is_filter=True),
    GridColumn("tier", "tier", "tier", is_filter=True),
    GridColumn("value", "at risk", "amount"),
    GridColumn("expected", "expected", "amount"),
    GridColumn("age_s", "age", "age"),
    GridColumn("provider", "provider", is_filter=True),
    GridColumn("chain", "chain", is_filter=True),
    GridColumn("status", "status", is_filter=True),
    GridColumn("reason", "reason", "prose"),
    GridColumn("age_band", "age band", is_filter=True, is_hidden=True),
    GridColumn("created_at", "created", "ms", is_hidden=True),
    GridColumn("updated_at", "updated", "ms", is_hidden=True),
    GridColumn("expires_at", "expires", "ms", is_hidden=True),
    GridColumn("difference", "received less expected", "amount", is_hidden=True),
    GridColumn("direction", "direction", is_hidden=True),
    GridColumn("escrow_state", "escrow state", is_hidden=True),
    GridColumn("tx_hash", "recorded hash", "id", is_hidden=True),
    GridColumn("request_id", "request id", "id", is_hidden=True),
    GridColumn("external_id", "external id", "id", is_hidden=True),
    GridColumn("reference", "payment reference", "id", is_hidden=True),
    GridColumn("recipient", "recipient", "id", is_hidden=True),
    GridColumn("token", "token contract", "id", is_hidden=True),
    GridColumn("findings", "all findings", is_hidden=True),
)
_TOLD_EVERY: Final = 1000
_STORED: Final = (
    "payment_id", "provider", "chain_id", "status_raw", "expected_units", "decimals", "currency", "created_at",
    "updated_at", "expires_at", "direction", "escrow_state", "tx_hash", "tx_hash_raw", "request_id", "external_id",
    "reference", "recipient", "token", "amount_text",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Known:
    """What a plan says, by payment."""

    findings: Mapping[str, Finding]
    changes: Mapping[str, Change]
    left: Mapping[str, str]


def plan_grid(
    plan: Plan, *, whole: Whole | None, registry: Registry, command: str = "", progress: Progress = no_progress
) -> Grid:
    """The rows of a plan, worst first, then every other payment of the snapshot, newest first.

    Args:
        command: What takes a list of picked rows; without it none are picked.
        progress: Hears of ``rows`` as they are laid out.
    """
    known = _known(plan)
    now_ms = whole.taken_at_ms if whole else parse_iso_ms(plan.created_at)
    stored = _stored(whole) if whole else {}
    order, note = _order(plan, stored)
    heard = told_one_by_one(order, source="rows", progress=progress, every=_TOLD_EVERY)
    rows = [_cells(name, known, stored.get(name, {}), whole=whole, registry=registry, now_ms=now_ms) for name in heard]
    cells = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in COLUMNS]
    numbers = {name: number for number, name in enumerate(order)}
    grid = Grid("Payments", COLUMNS, cells, note=note, now_ms=now_ms)
    grid.details = {numbers[name]: _details(name, known) for name in order if name in known.findings}
    if whole is not None:
        grid.events = _events(whole, numbers, registry)
    grid.explorers = known_explorers(registry)
    grid.picks = _picks(plan, numbers, command=command)
    return grid


def add_notes(grid: Grid | None, notes: PlanNotes) -> None:
    """Put what was decided of payments in sheets into the details of their rows, where a page has rows."""
    if grid is None:
        return
    place = [column.name for column in COLUMNS].index("payment_id")
    for number, name in enumerate(grid.cells[place]):
        if number in grid.details and (held := notes.of(name)):
            grid.details[number]["notes"] = [display_text(note_line(each)) for each in held]


def known_explorers(registry: Registry) -> dict[str, dict[str, Any]]:
    """By chain, as a cell names it, the pages of its explorer: what the page's script may link to, and nothing else."""
    return {
        chain_name(chain, registry): {
            "id": str(chain), "tx": facts.explorer.tx, "address": facts.explorer.address, "tron": chain in TRON_CHAINS,
        }
        for chain, facts in sorted(registry.chains.items())
        if facts.explorer is not None
    }  # fmt: skip


def _picks(plan: Plan, numbers: Mapping[str, int], *, command: str) -> PickList | None:
    """The rows that have a change: only those can be selected."""
    if not command or not plan.changes:
        return None
    words = {numbers[change.payment_id]: written_word(change.payment_id) for change in plan.changes}
    head = f"Payments picked on the page of plan {plan.digest}"
    return PickList(command, f"picked-{plan.digest[:12]}.txt", head, dict(sorted(words.items())))


def _known(plan: Plan) -> _Known:
    return _Known(
        findings=_found(plan),
        changes={item.payment_id: item for item in plan.changes},
        left={item.payment_id: item.reason for item in plan.left_alone},
    )


def _found(plan: Plan) -> dict[str, Finding]:
    """The findings by payment; a way back or a backfill has none, and then its changes speak for themselves."""
    found = {item.payment_id: item for item in sorted(plan.findings, key=lambda item: item.payment_id)}
    for change in plan.changes:
        if change.payment_id not in found:
            found[change.payment_id] = Finding(
                payment_id=change.payment_id,
                verdict=change.verdict,
                findings=(change.verdict,),
                tier=change.tier,
                severity=Severity.INFO,
                reason=change.reason,
                chain_id=change.chain_id,
                token=change.token,
                symbol=change.symbol,
                decimals=change.decimals,
                age_s=change.age_s,
                value_units=change.value_units,
                evidence=change.evidence,
            )
    for left in plan.left_alone:
        if left.payment_id not in found:
            found[left.payment_id] = Finding(
                left.payment_id, left.verdict, (left.verdict,), Tier.NEVER, Severity.INFO, left.reason
            )
    return found


def _stored(whole: Whole) -> dict[str, dict[str, Any]]:
    """The payments table by id, only the columns that are shown."""
    columns = [whole.payments[name].to_pylist() for name in _STORED]
    return {row[0]: dict(zip(_STORED, row, strict=True)) for row in zip(*columns, strict=True)}


def _order(plan: Plan, stored: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], str]:
    first = [item.payment_id for item in breaks_of(plan)]
    told = set(first)
    first += [name for name in _found(plan) if name not in told]
    told.update(first)
    rest = sorted(
        (name for name in stored if name not in told), key=lambda name: (-(stored[name]["created_at"] or 0), name)
    )
    rest_max = max(0, ROWS_MAX - len(first))
    if plan.kind != "correction":
        return first, ""
    if not stored:
        return first, "Only breaks and payments that wait; the snapshot with all payments was not available."
    note = (
        f"The newest {rest_max:,} of {len(rest):,} payments without a break are listed." if len(rest) > rest_max else ""
    )
    return first + rest[:rest_max], note


def _cells(
    name: str, known: _Known, row: Mapping[str, Any], *, whole: Whole | None, registry: Registry,
    now_ms: int | None,
) -> list[Any]:  # fmt: skip
    """One payment under :data:`COLUMNS`, from what the plan says of it and what is stored of it."""
    item = known.findings.get(name)
    said = _no_finding(name, whole) if item is None else dict(zip(_FINDING_NAMES, finding_row(item), strict=True))
    age_s = _age_of(row, now_ms) if item is None else item.age_s
    chain_id = _told(item, row, "chain_id")
    named = {
        **said,
        "payment_id": name,
        "expected": _expected(row),
        "age_s": age_s,
        "age_band": age_band(age_s),
        "provider": said["provider"] or row.get("provider"),
        "chain": "none" if chain_id is None else chain_name(chain_id, registry),
        "status": row.get("status_raw"),
        "tx_hash": row.get("tx_hash") or row.get("tx_hash_raw"),
        "recipient": written_address(str(row.get("recipient") or ""), chain_id=chain_id),
        "token": written_address(str(_told(item, row, "token") or ""), chain_id=chain_id),
    }
    return [_cell(named.get(column.name, row.get(column.name)), column) for column in COLUMNS]


def _told(item: Finding | None, row: Mapping[str, Any], name: str) -> Any:
    """What the finding says of something, else what is stored."""
    told = None if item is None else getattr(item, name)
    return row.get(name) if told is None else told


def _cell(value: Any, column: GridColumn) -> Any:
    if column.kind == "ms":
        return value
    return "" if value is None else display_text(value, length_max=CELL_MAX)


def _no_finding(name: str, whole: Whole | None) -> dict[str, str]:
    """What is said of a payment of which the plan says nothing."""
    verdict = whole.verdicts.get(name, "no break") if whole else ""
    return dict.fromkeys(_FINDING_NAMES, "") | {"severity": "none", "verdict": verdict, "tier": "benign"}


def _age_of(row: Mapping[str, Any], now_ms: int | None) -> int | None:
    created = row.get("created_at")
    return None if created is None or now_ms is None else max(0, (now_ms - created) // 1000)


_FINDING_NAMES: Final = (
    "payment_id", "verdict", "tier", "severity", "value", "difference", "age_s", "provider", "chain_id", "findings",
    "reason",
)  # fmt: skip


def _expected(row: Mapping[str, Any]) -> str:
    units, decimals = row.get("expected_units"), row.get("decimals")
    if units is None or decimals is None:
        return f"{row.get('amount_text') or ''} {row.get('currency') or ''}".strip()
    return f"{format_units(int(units), decimals=decimals)} {row.get('currency') or '?'}"


def _details(name: str, known: _Known) -> dict[str, Any]:
    """Everything the plan says of one payment that is not in its row."""
    item, change = known.findings[name], known.changes.get(name)
    detail: dict[str, Any] = {
        "tier": TIER_TEXT[item.tier],
        "fields": [
            [display_text(view.field), *(display_text(side or "") for side in (view.local, view.provider, view.chain))]
            for view in item.fields
        ],
        "evidence": [display_text(entry) for entry in item.evidence],
    }
    if name in known.left:
        detail["left"] = display_text(known.left[name])
    if change is not None:
        detail["change"] = change.id
        detail["change_tier"] = TIER_TEXT[change.tier]
        detail["sets"] = [[display_text(s.path), value_text(s.before), value_text(s.after)] for s in change.sets]
        detail["guard"] = [[display_text(term.path), value_text(term.value)] for term in change.guard]
        detail["effects"] = [display_text(effect) for effect in change.side_effects]
    return detail


class _Events:
    """Collects timeline entries by columns."""

    def __init__(self) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in ("row", "at", "side", "text", "tx", "chain")}

    def add(self, row: int, at: int | None, side: str, *, text: str, tx: str = "", chain: str = "") -> None:
        """One thing that happened to the payment of a row."""
        said = {"row": row, "at": at, "side": side, "text": display_text(text), "tx": tx, "chain": chain}
        for name, value in said.items():
            self.columns[name].append(value)


def _events(whole: Whole, numbers: Mapping[str, int], registry: Registry) -> dict[str, list[Any]]:
    """Transfers, what providers say, and notifications, each at the payment it belongs to."""
    events = _Events()
    for link in whole.links.to_pylist() if whole.links is not None else ():
        number = numbers.get(link["payment_id"])
        if number is not None:
            said = {"text": _link_text(link, registry), "tx": display_text(link["t_tx"])}
            events.add(number, link["t_time"], "chain", **said, chain=chain_name(link["t_chain"], registry))
    owner = _owners(whole, numbers)
    for claim in whole.claims.to_pylist():
        number = _owner_of(claim, owner)
        if number is not None:
            at = claim["created_at"] if claim["created_at"] is not None else claim["looked_up_at"]
            events.add(number, at, "provider", text=_claim_text(claim))
    for delivery in whole.deliveries.to_pylist():
        number = _owner_of(delivery, owner)
        if number is not None:
            events.add(number, delivery["received_at"], "notification", text=_delivery_text(delivery))
    return events.columns


def _owners(whole: Whole, numbers: Mapping[str, int]) -> dict[tuple[str, str], int]:
    """Rows by every provider key they hold; a key of two rows belongs to the first."""
    found: dict[tuple[str, str], int] = {}
    names = whole.payments["payment_id"].to_pylist()
    for key in ("request_id", "external_id", "reference"):
        for name, value in zip(names, whole.payments[key].to_pylist(), strict=True):
            if value and name in numbers:
                found.setdefault((key, value), numbers[name])
    return found


def _owner_of(row: Mapping[str, Any], owner: Mapping[tuple[str, str], int]) -> int | None:
    keys: Iterable[tuple[str, Any]] = ((key, row[key]) for key in ("request_id", "external_id", "reference"))
    return next((owner[key, value] for key, value in keys if value and (key, value) in owner), None)


def _link_text(link: Mapping[str, Any], registry: Registry) -> str:
    token = registry.tokens.get((link["t_chain"], link["t_token"] or ""))
    amount = "an unreadable amount" if link["t_amount"] is None else amount_text(
        int(link["t_amount"]), decimals=token.decimals if token else None, symbol=token.symbol if token else None
    )  # fmt: skip
    kind = "transfer" if link["is_valid"] else "refund" if link["is_refund"] else "other transfer"
    wrong = [word for word in ("chain", "token", "recipient", "reference") if link[f"wrong_{word}"]]
    parts = [f"{kind} of {amount} on {chain_name(link['t_chain'], registry)}"]
    parts.append("final" if link["t_final"] else "not final")
    if wrong:
        parts.append(f"wrong {' and '.join(wrong)}")
    parts.append(f"block {link['t_block']}, log {link['t_log']}")
    return ", ".join(parts)


def _claim_text(claim: Mapping[str, Any]) -> str:
    if claim["outcome"] != "found":
        return f"{claim['provider']} {claim['object']}: {claim['outcome'].replace('_', ' ')} {claim['error'] or ''}"
    return f"{claim['provider']} {claim['object']}: {claim['state_raw'] or claim['state'] or 'no state'}"


def _delivery_text(row: Mapping[str, Any]) -> str:
    status = "no status" if row["http_status"] is None else f"answered {row['http_status']}"
    return f"{row['event'] or 'notification'} attempt {row['attempt'] or '?'}: {status}"
