"""datacompy as a matcher: the recorded hash joined to the transfers, amount and address compared. Reads CSV only."""

import sys
from pathlib import Path

import datacompy
import pandas as pd

home, out = Path(sys.argv[1]), Path(sys.argv[2])
payments = pd.read_csv(home / "payments.csv", dtype=str, keep_default_na=False)
transfers = pd.read_csv(home / "transfers.csv", dtype=str, keep_default_na=False)
rows = payments.rename(columns={"amount_units": "units"})[["tx_hash", "chain_id", "token", "recipient", "units"]]
money = transfers[["tx_hash", "chain_id", "token", "recipient", "units"]]
compare_class = getattr(datacompy, "PandasCompare", None) or datacompy.Compare
compared = compare_class(
    rows[rows.tx_hash != ""].drop_duplicates("tx_hash"), money.drop_duplicates("tx_hash"), join_columns=["tx_hash"]
)
both = compared.intersect_rows
equal = both[both.filter(like="_match").all(axis=1)]
by_hash = transfers.drop_duplicates("tx_hash").set_index("tx_hash")["transfer"]
answers = payments[["payment_id", "tx_hash", "status"]].copy()
found = set(equal["tx_hash"])
answers["matched_transfer"] = [by_hash[one] if one in found else "" for one in answers.tx_hash]
answers["verdict"] = ""
answers["would_write"] = [
    "status=completed" if match and status in ("pending", "processing") else ""
    for match, status in zip(answers.matched_transfer, answers.status, strict=True)
]
answers[["payment_id", "verdict", "matched_transfer", "would_write"]].to_csv(out, index=False)
