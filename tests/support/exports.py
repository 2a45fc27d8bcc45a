"""Exported files with a mapping, as a shop without a database for us would hand them over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

PAYER: Final = "0x" + "b1" * 20
USDC_BASE: Final = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913"


def address(number: int) -> str:
    """The one-time address of order ``number``."""
    return "0x" + f"a{number}" * 20


def tx_hash(number: int) -> str:
    """The transaction of order ``number``."""
    return "0x" + f"{number}" * 64


PAYMENTS: Final = f"""\
Order,Rail,State,Total,Coin,Chain,Made,Deposit,Invoice,Tx
A-1,shkeeper,pending,25.00,USDC,base,2026-11-19T10:00:00Z,{address(1)},inv-1,
A-2,shkeeper,completed,10.50,USDC,base,2026-11-19T12:00:00+01:00,{address(2)},inv-2,{tx_hash(2)}
A-3,shkeeper,pending,7,USDC,base,2026-11-10T12:00:00Z,{address(3)},inv-3,
A-4,shkeeper,completed,9,USDC,base,2026-11-19T12:00:00Z,{address(4)},inv-4,{tx_hash(4)}
"""
INVOICES: Final = """\
id,state,got,coin,chain
inv-1,PAID,25.00,USDC,base
inv-2,PAID,10.50,USDC,base
inv-3,UNPAID,0,USDC,base
inv-4,PAID,9,USDC,base
"""
TRANSFERS: Final = f"""\
hash;when;contract;to;from;value
{tx_hash(1)};2026-11-19 10:05:00;{USDC_BASE};{address(1).upper().replace("0X", "0x")};{PAYER};25,00
{tx_hash(2)};2026-11-19 11:05:00;USDC;{address(2)};{PAYER};10,50
"""
MAPPING: Final = """\
name = "shop"
taken_at = 2026-11-20T12:00:00Z

[payments]
file = "payments.csv"
complete = true
[payments.columns]
id = "Order"
provider = "Rail"
status = "State"
escrow_state = "State"
amount = "Total"
currency = "Coin"
network = "Chain"
created_at = "Made"
recipient = "Deposit"
external_id = "Invoice"
tx_hash = "Tx"
[payments.words.escrow_state]
completed = "funded"
pending = ""

[[claims]]
provider = "shkeeper"
file = "invoices.csv"
complete = { from = 2026-11-01T00:00:00Z }
[claims.columns]
external_id = "id"
status = "state"
amount = "got"
currency = "coin"
network = "chain"

[[transfers]]
file = "transfers.csv"
complete = { from = 2026-11-01T00:00:00Z }
decimal = ","
zone = "UTC"
final_before = 2026-11-20T11:00:00Z
[transfers.columns]
tx_hash = "hash"
time = "when"
token = "contract"
recipient = "to"
sender = "from"
amount = "value"
[transfers.fixed]
network = "base"
"""
FILES: Final = {"payments.csv": PAYMENTS, "invoices.csv": INVOICES, "transfers.csv": TRANSFERS, "mapping.toml": MAPPING}


def write_exports(folder: Path, changed: Mapping[str, Any] | None = None) -> Path:
    """Write the files into a folder; ``changed`` has others in their place. Gives the mapping's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {**FILES, **(changed or {})}.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
    return folder / "mapping.toml"
