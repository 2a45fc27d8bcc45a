"""reconcile-py as a greedy matcher: amount within 5 %, a week, and the address as the name. Reads CSV only.

It compares every pair, so payments and transfers are handed to it by chain, token and address.
"""

import csv
import sys
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

from reconcile import FieldRule, ReconcileConfig, Record, reconcile

home, out = Path(sys.argv[1]), Path(sys.argv[2])
payments = list(csv.DictReader((home / "payments.csv").open(encoding="utf-8")))
transfers = list(csv.DictReader((home / "transfers.csv").open(encoding="utf-8")))


def place(row: dict) -> tuple:
    return row["chain_id"], row["token"], row["recipient"]


def record(row: dict, units: str, at: str, name: str) -> Record:
    return Record(Decimal(row[units]), date.fromisoformat(row[at][:10]), reference=row["reference"], id=row[name])


left, right = defaultdict(list), defaultdict(list)
for row in payments:
    if row["amount_units"]:
        left[place(row)].append(record(row, "amount_units", "created_at", "payment_id"))
for row in transfers:
    right[place(row)].append(record(row, "units", "at", "transfer"))
config = ReconcileConfig(
    rules=(FieldRule("amount", "gate", pct_tol=Decimal(5)), FieldRule("date", "gate", day_tol=7)), threshold=0.0
)
matched: dict = {}
for key, records in left.items():
    if not right[key]:
        continue
    for match in reconcile(records, right[key], config).matches:
        for one in match.left_ids:
            matched[one] = match.right_ids[0]
with out.open("w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["payment_id", "verdict", "matched_transfer", "would_write"])
    for row in payments:
        one = matched.get(row["payment_id"], "")
        writes = "status=completed" if one and row["status"] in ("pending", "processing") else ""
        writer.writerow([row["payment_id"], "", one, writes])
