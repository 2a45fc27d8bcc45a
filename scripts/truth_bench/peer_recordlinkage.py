"""recordlinkage as a fuzzy matcher: blocked by address, compared in amount, token, chain and time. Reads CSV only."""

import sys
from pathlib import Path

import pandas as pd
import recordlinkage

home, out = Path(sys.argv[1]), Path(sys.argv[2])
payments = pd.read_csv(home / "payments.csv", dtype=str, keep_default_na=False)
transfers = pd.read_csv(home / "transfers.csv", dtype=str, keep_default_na=False)
known = payments[payments.amount_units != ""].copy()
for frame, units, at in ((known, "amount_units", "created_at"), (transfers, "units", "at")):
    frame["size"] = frame[units].astype(float)
    frame["when"] = pd.to_datetime(frame[at], utc=True).astype("int64") / 1e9
index = recordlinkage.Index()
index.block("recipient")
pairs = index.index(known, transfers)
compare = recordlinkage.Compare()
compare.exact("chain_id", "chain_id", label="chain")
compare.exact("token", "token", label="token")
compare.string("reference", "reference", method="jarowinkler", label="reference")
compare.numeric("size", "size", method="linear", scale=1.0, label="size")
features = compare.compute(pairs, known, transfers)
ratio = (
    known.loc[features.index.get_level_values(0), "size"].to_numpy()
    / transfers.loc[features.index.get_level_values(1), "size"].clip(lower=1).to_numpy()
)
features["size"] = (abs(ratio - 1) < 0.05).astype(float)
score = features.sum(axis=1)
best = score[score >= 3.0].sort_values(ascending=False)
taken, matched = set(), {}
for row, transfer in best.index:
    if row not in matched and transfer not in taken:
        matched[row] = transfers.loc[transfer, "transfer"]
        taken.add(transfer)
answers = payments[["payment_id", "status"]].copy()
answers["verdict"] = ""
answers["matched_transfer"] = [matched.get(row, "") for row in payments.index]
answers["would_write"] = [
    "status=completed" if match and status in ("pending", "processing") else ""
    for match, status in zip(answers.matched_transfer, answers.status, strict=True)
]
answers[["payment_id", "verdict", "matched_transfer", "would_write"]].to_csv(out, index=False)
