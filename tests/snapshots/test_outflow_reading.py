"""From whom it is read what left them: payout wallets, and with them the payees of complete payments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from recon.core.model import Policy
from recon.core.tables import table_of
from recon.snapshots import outflows
from recon.snapshots.outflows import OutflowReader, Outflows
from recon.snapshots.sealed import SnapshotWriter
from recon.sources.interface import ChainQuestion, Coverage, Reading, no_progress
from tests.support.builders import CHAIN, NOW_MS, PAYER, RECIPIENT, Row, one_payment, payment_row, plain_transfer_row
from tests.support.judging import leads_of, together

WALLET, OTHER = "0x" + "77" * 20, "0x" + "a2" * 20


class Chain:
    """A chain on which the payee gave something back."""

    chain_id = CHAIN

    def __init__(self) -> None:
        self.senders: tuple[str, ...] = ()

    def read(self, question: ChainQuestion, *, progress: Any) -> Reading:
        del progress
        self.senders = question.senders
        sent = [plain_transfer_row(8, sender=RECIPIENT, recipient=PAYER)]
        return Reading(
            tables={"transfers": table_of("transfers", sent)},
            coverage=(Coverage("chain:56", "erc20", complete=True, chain_id=CHAIN),),
        )


def read(chain: Any, folder: Path, rows: Mapping[str, Any], *, wallets: tuple[str, ...] = (WALLET,)) -> Outflows:
    writer = SnapshotWriter(folder / "snapshot", is_continued=True)
    (folder / "snapshot").mkdir(exist_ok=True)
    for name in ("payments", "transfers", "claims", "claim_txs", "movements", "balances"):
        writer.write(name, table_of(name, list(rows.get(name, ()))))
    reader = OutflowReader(
        [chain], policy=Policy(payout_wallets=wallets), span=(0, NOW_MS), now_ms=NOW_MS, progress=no_progress
    )
    return reader.read(writer, leads_of(dict(rows)))


def paid() -> dict[str, list[Row]]:
    """Two payments to one payee, and one to another."""
    other = {"payments": [payment_row(3, recipient=OTHER)]}
    return together(one_payment(1), one_payment(2), other)


def said(out: Outflows) -> str | None:
    return next((row.problem for row in out.coverage if row.scope == "returns"), None)


def test_what_left_payees_is_read_with_what_left_wallets_and_asks_for_no_explanation(tmp_path: Path) -> None:
    chain = Chain()
    out = read(chain, tmp_path, paid())
    assert set(chain.senders) == {WALLET, RECIPIENT, OTHER}
    assert out.moved is not None and out.moved.num_rows == 1
    assert out.open_rows == (), "a payee's own money needs no row"
    assert said(out) is None


def test_beyond_the_limit_those_of_the_most_payments_are_read_and_the_rest_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outflows, "PAYEES_MAX", 1)
    chain = Chain()
    out = read(chain, tmp_path, paid())
    assert set(chain.senders) == {WALLET, RECIPIENT}
    told = said(out)
    assert told is not None and told.startswith("of 2 payees of complete payments, what left 1 was not read")


def test_where_no_wallet_is_known_nothing_is_read_for_them_and_that_is_said(tmp_path: Path) -> None:
    chain = Chain()
    told = said(read(chain, tmp_path, paid(), wallets=()))
    assert chain.senders == ()
    assert told is not None and told.startswith("of 2 payees of complete payments, what left 2 was not read")
