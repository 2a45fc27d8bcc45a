"""``recon search``: rows, provider objects and transfers by key, amount or time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recon.cli.common import MomentOption, config_option, format_option, part_option, print_result
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE
from recon.cli.progress import ShownProgress

if TYPE_CHECKING:
    from recon.investigation.search.question import SearchResult


@click.command()
@click.argument("text", metavar="TEXT", required=False)
@config_option
@click.option("--reference", "references", multiple=True, metavar="HEX", help="Payment reference; repeatable.")
@click.option("--hash", "hashes", multiple=True, metavar="HASH", help="Transaction hash; repeatable.")
@click.option("--address", "addresses", multiple=True, metavar="0x..", help="Sender or recipient; repeatable.")
@click.option("--external-id", "external_ids", multiple=True, metavar="ID", help="The provider's id; repeatable.")
@click.option("--request-id", "request_ids", multiple=True, metavar="ID", help="Request id; repeatable.")
@click.option("--buyer", "buyers", multiple=True, metavar="ID", help="Buyer, as our rows name them; repeatable.")
@click.option("--amount", metavar="N|N..N", help="Whole tokens, exact, or a range with both ends.")
@click.option("--token", metavar="SYMBOL", help="Token of --amount: a symbol, or a contract; any unless named.")
@click.option("--from", "from_at", type=MomentOption(), help="Made or moved at this UTC time or later, or 24h ago.")
@click.option("--to", "to_at", type=MomentOption(), help="Made or moved before this UTC time, or 30min ago.")
@click.option(
    "--snapshot", "snapshot_path", metavar="DIR|ADDRESS", help="Search this snapshot, offline; the newest unless named."
)
@click.option("--live", is_flag=True, help="Search the database, the providers and the chains instead.")
@format_option
@part_option
def search(
    *,
    text: str | None,
    config_path: Path | None,
    snapshot_path: str | None,
    output: str,
    part: str | None,
    **given: Any,
) -> None:
    """Search payments, provider objects and transfers.

    TEXT is read as every key that it can be, as "recon inspect" does. All options must hold; a key that a source has
    not (a buyer, on a chain) is followed from the rows that have it. For each hit it says which rows of ours know it,
    and with --live and [ledger] whether the ledger has the pay-in. Searches the newest snapshot, or with --live the
    sources: by key where they can be asked by it, otherwise the window (--from, else [window]). Writes nothing. Leaves
    with 1 when something of ours is known to no row, with 4 when something could not be searched.

    \b
    Examples: recon search --amount 25 --token USDC --from 48h
              recon search 0x8e73ca47ea90a8f0d66b829e6a8ac4ba05805975ed2f89d94a2f20aaf3c64af7 --live
              recon search --buyer 665f1c2e9b1d8a0012345678 --format json
    """
    from recon.api.common import settings_if_there
    from recon.api.search import search as search_for
    from recon.reports.views.search import render_search

    with ShownProgress() as progress:
        found = search_for(text, config=config_path, snapshot=snapshot_path, progress=progress, **given)
    settings = settings_if_there(config_path)
    registry = None if settings is None else settings.registry()
    print_result(render_search(found, registry=registry), output, part=part or ("rows" if output == "csv" else None))
    sys.exit(search_exit_code(found))


def search_exit_code(found: SearchResult) -> int:
    """4 when something could not be searched, 1 when something of ours is known to no row, else 0."""
    if not found.is_whole:
        return INCOMPLETE
    return DIFFERENCES if found.strangers else DONE
