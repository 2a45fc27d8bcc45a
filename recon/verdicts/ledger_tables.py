"""What leaves the engine of a judgement of a ledger: its tables, by column and kind."""

from __future__ import annotations

from typing import Final

from recon.core.tables import Schema

LEDGER_BREAKS: Final[Schema] = {
    "what": "text", "payment_id": "text", "deal": "text", "chain_id": "int", "token": "text", "kind": "text",
    "account": "text", "booked": "units", "proven": "units", "entries": "int", "entry_id": "text", "other_id": "text",
    "amount_text": "text",
}  # fmt: skip
"""One thing that is the matter with the books; ``what`` names it as in :mod:`recon.plans.ledger`."""

ENTRY_SUMS: Final[Schema] = {
    "chain_id": "int", "token": "text", "decimals": "int", "kind": "text", "state": "text", "entries": "int",
    "units": "units", "effect_units": "units",
}  # fmt: skip
"""All entries that were read, by token, kind and state: ``deal``, ``beside``, ``unknown``, ``loose``."""

ACCOUNT_SUMS: Final[Schema] = {
    "account": "text", "chain_id": "int", "token": "text", "decimals": "int", "kind": "text", "entries": "int",
    "units": "units", "balance_units": "units",
}  # fmt: skip

LEFT_SUMS: Final[Schema] = {
    "chain_id": "int", "token": "text", "state": "text", "deals": "int", "units": "units",
}  # fmt: skip
"""What entries leave of deals, by token and state: ``held``, ``after the end``, ``overdrawn``, ``even``."""

INCOMING_SUMS: Final[Schema] = {"chain_id": "int", "token": "text", "booked": "units", "proven": "units"}
"""What came in by the evidence and what is booked of it, of payments whose money can be told."""

PROVEN_SUMS: Final[Schema] = {
    "chain_id": "int", "token": "text", "side": "text", "rows": "int", "units": "units",
}  # fmt: skip
"""What the evidence shows, by token and side (``came``, ``went``, ``back``); ``untold`` counts payments left open."""

UNREAD_SUMS: Final[Schema] = {"problem": "text", "kind_raw": "text", "entries": "int", "entry_id": "text"}
