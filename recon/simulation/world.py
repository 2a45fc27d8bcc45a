"""Worlds with known truth: generate one, write it to a directory, read its truth back."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from recon.core.errors import UsageError
from recon.core.model import Verdict
from recon.core.text import count_text
from recon.core.times import millisecond_text
from recon.simulation.case import SHKEEPER_CHAINS
from recon.simulation.catalogue import BREAKS, HEALTHY
from recon.simulation.crafts import CRAFTS
from recon.simulation.documents import extended
from recon.simulation.intents import facts_of
from recon.simulation.ledger_truth import WorldFacts
from recon.simulation.noise import add_noise
from recon.simulation.odd_crafts import ODD_CRAFTS
from recon.simulation.oddities import ODDITIES
from recon.simulation.pairs import PAIRS
from recon.simulation.shared_crafts import SHARED_CRAFTS
from recon.simulation.situation import Plant, Truth
from recon.simulation.stage import FEE_RECIPIENTS, NOW, NOW_MS, Stage
from recon.sources.recorded.format import FORMAT, RecordedWorld
from recon.sources.recorded.world import LEDGER_FILE

PLANTS: Final[Mapping[str, Plant]] = {**BREAKS, **ODDITIES, **PAIRS}
"""Everything a breaks file may name."""

MIXED: Final[Mapping[str, Plant]] = {**BREAKS, **PAIRS}
"""What the default mixture is made of; oddities are planted by name only."""

EVERY_PLANT_FROM: Final = 1_000
"""From this many payments on, the default mixture holds every row of the catalogue at least once."""

PAYMENTS_MAX: Final = 20_000_000

_CONFIG: Final = """\
# This directory is a simulated world: every source is answered from the files beside this one, and no network is used.
# truth.ndjson holds the right answers; only "recon score" reads it.
[recorded]
path = "."

[target]
name = "demo"
"""


class BreaksError(UsageError):
    """A mixture of breaks cannot be used."""

    def __init__(self, *, source: str, why: str) -> None:
        super().__init__(f"{source}: {why}. Give shares between 0 and 1 by name, for example webhook_lost = 0.01.")


class TruthFileError(UsageError):
    """A truth file cannot be read."""

    def __init__(self, *, path: Path, line: int, why: str) -> None:
        super().__init__(f"{path}: line {line} is no truth ({why}). Use the truth.ndjson of a simulated world.")


@dataclass(frozen=True, slots=True)
class World:
    """A simulated world: what the sources would say, what is true, and (where it was just made) what happened.

    ``config`` is what a configuration needs besides the usual lines.
    """

    recorded: RecordedWorld
    truths: tuple[Truth, ...]
    facts: WorldFacts | None = None
    config: str = ""


def generate_world(
    *, payments: int, seed: int, breaks: Mapping[str, float] | Literal["default", "none"] = "default"
) -> World:
    """Make a world of about ``payments`` payments (a planting of several rows may pass the number by a few).

    The same arguments give the same world. ``breaks`` gives the share of payments by name (:data:`PLANTS`); a share
    times ``payments`` that is no whole number is rounded by chance. ``default`` is the catalogue's own mixture, in
    which every row of it appears at least once from :data:`EVERY_PLANT_FROM` payments on; ``none`` plants nothing.

    Raises:
        BreaksError: A name is in no catalogue, or a share is not between 0 and 1.
        UsageError: ``payments`` is negative or more than :data:`PAYMENTS_MAX`.
    """
    if not 0 <= payments <= PAYMENTS_MAX:
        raise UsageError(
            f"A world of {count_text(payments, 'payment')} cannot be made; give a number from 0 to {PAYMENTS_MAX:,}."
        )
    stage = Stage(seed)
    plants = _draw(stage, payments, _rates(breaks), at_least_one=breaks == "default" and payments >= EVERY_PLANT_FROM)
    for plant in plants:
        _plant(stage, plant)
    while len(stage.documents) < payments:
        _plant(stage, stage.rng.choices(HEALTHY, [plant.rate for plant in HEALTHY])[0])
    add_noise(stage, payments, hostile=breaks != "none")
    stage.rng.shuffle(stage.documents)
    return world_of(stage, seed=seed)


def plant_world(*names: str, seed: int = 1) -> World:
    """Make a tiny world that holds exactly the named rows of the catalogue, healthy ones included, and no noise.

    Raises:
        BreaksError: A name is in no catalogue.
    """
    known = {**{plant.name: plant for plant in HEALTHY}, **PLANTS}
    stage = Stage(seed)
    for name in names:
        if name not in known:
            raise BreaksError(source="breaks", why=f"{name!r} is no known break")
        _plant(stage, known[name])
    return world_of(stage, seed=seed)


def _rates(breaks: Mapping[str, float] | Literal["default", "none"]) -> dict[str, float]:
    if breaks == "default":
        return {name: plant.rate for name, plant in MIXED.items()}
    if breaks == "none":
        return {}
    assert not isinstance(breaks, str)
    for name, rate in breaks.items():
        if name not in PLANTS:
            raise BreaksError(source="breaks", why=f"{name!r} is no known break")
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise BreaksError(source="breaks", why=f"the share of {name} is {rate!r}")
    return {name: float(breaks[name]) for name in PLANTS if name in breaks}


def _draw(stage: Stage, payments: int, rates: Mapping[str, float], *, at_least_one: bool) -> list[Plant]:
    plants: list[Plant] = []
    for name, rate in rates.items():
        wanted = rate * payments
        count = int(wanted) + (rate > 0 and stage.rng.random() < wanted - int(wanted))
        plants += [PLANTS[name]] * max(count, 1 if at_least_one else 0)
    stage.rng.shuffle(plants)
    return plants


def _plant(stage: Stage, plant: Plant) -> None:
    if plant.craft is None:
        stage.plant(plant)
    else:
        {**CRAFTS, **ODD_CRAFTS, **SHARED_CRAFTS}[plant.craft](stage, plant)


def world_of(stage: Stage, *, seed: int) -> World:
    """What a stage holds by now as a world, with its truth."""
    facts = facts_of(stage, ledger=stage.ledger, now_ms=NOW_MS, our_fees=FEE_RECIPIENTS)
    return World(_recorded(stage, seed), tuple(sorted(stage.truths, key=lambda truth: truth.payment_id)), facts)


def _recorded(stage: Stage, seed: int) -> RecordedWorld:
    coins = sorted(f"{name}-{symbol}" for name in SHKEEPER_CHAINS.values() for symbol in ("USDC", "USDT"))
    return RecordedWorld(
        now=NOW,
        seed=seed,
        collection_uuid=f"{seed & (2**64 - 1):016x}".rjust(32, "0"),
        merchant_recipients=stage.merchants,
        fee_recipients=FEE_RECIPIENTS,
        chains=stage.ledger.chains(),
        payments=stage.documents,
        said={"request_network": stage.requests, "shkeeper": [{"crypto": coins}, *stage.invoices]},
        deliveries=stage.deliveries,
        faults=tuple(stage.faults),
    )


def load_breaks(path: Path) -> dict[str, float]:
    """Read a breaks file: TOML, one ``name = share`` a line.

    Raises:
        BreaksError: It cannot be read, or a name or a share is wrong.
    """
    try:
        rates = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise BreaksError(source=str(path), why=f"the file cannot be read as TOML ({error})") from error
    try:
        return _rates(rates)
    except BreaksError as error:
        raise BreaksError(source=str(path), why=str(error).split(". Give ")[0].removeprefix("breaks: ")) from error


# ----------------------------------------------------------------------------------------------------------- writing


def write_world(world: World, out: Path) -> None:
    """Write a world as a directory that every command can run on; the same world gives the same bytes.

    A chain on which nothing happened, a world without deliveries and one without faults have no file for them.

    Raises:
        UsageError: The directory cannot be made or written.
    """
    recorded = world.recorded
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "world.json").write_text(json.dumps(_meta(recorded), indent=1) + "\n", encoding="utf-8")
        (out / "recon.toml").write_text(_CONFIG + world.config, encoding="utf-8")
        _write_lines(out / "payments.ndjson", [extended(document) for document in recorded.payments])
        for provider, said in recorded.said.items():
            _write_lines(out / f"{provider}.ndjson", said)
        _write_lines(out / "truth.ndjson", [_truth_line(truth) for truth in world.truths])
        _write_optional(out / "deliveries.ndjson", [{"delivery": row} for row in recorded.deliveries])
        for chain_id, chain in recorded.chains.items():
            lines = [*({"log": log} for log in chain.logs), *({"receipt": row} for row in chain.receipts)]
            lines += [{"balance": dict(row)} for row in chain.balances]
            _write_optional(out / f"chain-{chain_id}.ndjson", lines)
        _write_optional(out / LEDGER_FILE, [extended(entry) for entry in recorded.ledger])
        _write_optional(out / "faults.json", _fault_lines(recorded))
    except OSError as error:
        raise UsageError(f"{out}: the world cannot be written there ({error.strerror}).") from error


def _fault_lines(recorded: RecordedWorld) -> list[dict[str, Any]]:
    rules = [
        {name: getattr(rule, name) for name in rule.__slots__ if getattr(rule, name) is not None}
        for rule in recorded.faults
    ]
    return [{"format": FORMAT, "rules": rules}] if rules else []


def _meta(recorded: RecordedWorld) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "now": millisecond_text(recorded.now),
        "seed": recorded.seed,
        "database": recorded.database,
        "collection": recorded.collection,
        "collection_uuid": recorded.collection_uuid,
        "target_name": recorded.target_name,
        "merchant_recipients": list(recorded.merchant_recipients),
        "fee_recipients": list(recorded.fee_recipients),
        **({"wallets": list(recorded.wallets)} if recorded.wallets else {}),
        "chains": {
            str(chain_id): {
                "head": chain.head,
                "head_time": chain.head_time_ms,
                "finalized": chain.finalized,
                "block_ms": chain.block_ms,
            }
            for chain_id, chain in recorded.chains.items()
        },
    }


def _truth_line(truth: Truth) -> dict[str, Any]:
    return {
        "payment_id": truth.payment_id,
        "verdict": truth.verdict.value,
        "findings": [finding.value for finding in truth.findings],
        "sets": None if truth.sets is None else dict(truth.sets),
        "planted": truth.planted,
    }


def _write_optional(path: Path, rows: Sequence[Any]) -> None:
    """Write a file that may be left out, or take away the one of an earlier world."""
    if rows:
        _write_lines(path, rows)
    else:
        path.unlink(missing_ok=True)


def _write_lines(path: Path, rows: Iterable[Any]) -> None:
    import msgspec

    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        for row in rows:
            file.write(encode(row) + b"\n")


def load_truth(path: Path) -> tuple[Truth, ...]:
    """Read the truth of a world.

    Raises:
        TruthFileError: A line is not the truth of one payment.
        UsageError: The file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the truth cannot be read ({error}).") from error
    truths = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            truths.append(
                Truth(
                    payment_id=str(row["payment_id"]),
                    verdict=Verdict(row["verdict"]),
                    findings=tuple(Verdict(finding) for finding in row["findings"]),
                    sets=None if row["sets"] is None else dict(row["sets"]),
                    planted=str(row.get("planted", "")),
                )
            )
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise TruthFileError(path=path, line=number, why=repr(error)[:120]) from error
    return tuple(truths)
