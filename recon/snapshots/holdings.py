"""What one-time addresses hold at which nobody is seen to have paid: money may be older than every scan.

A scan begins at the oldest row. Where an import gave rows new dates, and neither id nor provider tells the old one,
what came before lies unseen at the row's own address. So the chain is asked what these addresses hold, and whether
anything ever left them: at the most :data:`ASKED_MAX` addresses of a chain, two calls each, in batches of a hundred.

Rows that were made together, :data:`CROWD_MIN` in one second, look like an import: they are asked about first, and what
could not be asked of one of them is noted, so that nobody calls it unpaid.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import SourceError
from recon.core.tables import table_of
from recon.sources.interface import ChainSource, Coverage, HoldingSource, Progress, Reading

if TYPE_CHECKING:
    import pyarrow as pa

    from recon.snapshots.sealed import SnapshotWriter

ASKED_MAX: Final = 500
"""Of so many addresses of a chain it is asked what they hold, at the most: 1,000 calls in ten requests of balances and
ten of counts, whatever the number of payments; 50 s at the usual 20 calls a second."""

CROWD_MIN: Final = 20
"""So many rows made in one second look like an import."""

Row = Mapping[str, Any]
Place = tuple[str, str]


def write_holdings(
    writer: SnapshotWriter, bare: pa.Table, *, chains: Sequence[ChainSource], progress: Progress
) -> tuple[Coverage, ...]:
    """Ask, and write the table ``holdings``, none where nobody waits; gives how far the addresses were asked.

    Args:
        bare: Rows of :data:`recon.verdicts.judge.BARE`.
    """
    if not bare.num_rows:
        return ()
    held, asked = read_holdings(chains, bare, payments=writer.file("payments"), progress=progress)
    writer.write("holdings", held)
    return asked


def read_holdings(
    chains: Sequence[ChainSource], bare: pa.Table, *, payments: Path, progress: Progress
) -> tuple[pa.Table, tuple[Coverage, ...]]:
    """The table ``holdings``, and how far the addresses were asked.

    Args:
        bare: Rows of :data:`recon.verdicts.judge.BARE`.
        payments: The payments of the first reading: the dates of all of them tell of an import.
    """
    rows: list[Row] = bare.to_pylist()
    crowded = _crowded_seconds(payments) if rows else frozenset()
    of_chain: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        of_chain[row["chain_id"]].append(row)
    tables = [table_of("holdings", [])]
    coverage: list[Coverage] = []
    for chain in chains:
        if asked := of_chain.pop(chain.chain_id, None):
            places = _places(asked, crowded)
            reading = _asked(chain, list(places)[:ASKED_MAX], of=len(places), progress=progress)
            tables.append(reading.tables.get("holdings", tables[0]))
            coverage.extend(reading.coverage)
            tables.append(_untold(chain.chain_id, places, answered=tables[-1]))
    import pyarrow as pa

    return pa.concat_tables(tables), tuple(coverage)


def _crowded_seconds(payments: Path) -> frozenset[int]:
    """The seconds in which many rows were made."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    made = pc.drop_null(pq.read_table(payments, columns=["created_at"])["created_at"])
    counted = pc.value_counts(pc.divide(made, 1_000)).to_pylist()
    return frozenset(each["values"] for each in counted if each["counts"] >= CROWD_MIN)


def _places(rows: Iterable[Row], crowded: frozenset[int]) -> dict[Place, bool]:
    """Each address and token once, and whether its row looks imported: those first, then the newest."""
    doubtful = {row["payment_id"] for row in rows if row["created_at"] // 1000 in crowded}
    ordered = sorted(rows, key=lambda row: (row["payment_id"] not in doubtful, -row["created_at"], row["payment_id"]))
    places: dict[Place, bool] = {}
    for row in ordered:
        place = (row["recipient"], row["token"])
        places[place] = places.get(place, False) or row["payment_id"] in doubtful
    return places


def _asked(chain: ChainSource, places: Sequence[Place], *, of: int, progress: Progress) -> Reading:
    """What a chain says; one that breaks off, or is of a kind that cannot be asked, says so."""
    name = f"chain:{chain.chain_id}"
    if not isinstance(chain, HoldingSource):
        said = f"this chain cannot be asked what {of} one-time addresses hold; of them only what was scanned is known"
        return Reading(coverage=(Coverage(name, "holdings", complete=True, chain_id=chain.chain_id, problem=said),))
    try:
        reading = chain.read_holdings(places, progress=progress)
    except SourceError as error:
        row = Coverage(name, "holdings", complete=False, chain_id=chain.chain_id, problem=str(error))
        return Reading(coverage=(row,))
    if len(places) == of:
        return reading
    said = (
        f"of {of} one-time addresses at which nobody is seen to have paid, {len(places)} were asked what they hold; of "
        "the others only what was scanned is known"
    )
    more = Coverage(name, "holdings", complete=True, chain_id=chain.chain_id, items=len(places), problem=said)
    return Reading(tables=reading.tables, coverage=(*reading.coverage, more))


def _untold(chain_id: int, places: Mapping[Place, bool], *, answered: pa.Table) -> pa.Table:
    """The places of rows that look imported and of which nobody could tell what they hold."""
    told = set(zip(answered["address"].to_pylist(), answered["token"].to_pylist(), strict=True))
    said = "made together with many others, as by an import, and what its address holds could not be asked"
    left = sorted(place for place, is_doubtful in places.items() if is_doubtful and place not in told)
    return table_of(
        "holdings",
        [{"chain_id": chain_id, "address": address, "token": token, "problem": said} for address, token in left],
    )
