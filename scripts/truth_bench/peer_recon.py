"""recon as a matcher: a snapshot and a plan of the same world, offline; it never sees the truth file.

What a plan counts as benign it does not list, so those payments are answered ``benign`` and without a transfer.
"""

import csv
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from recon.core.model import Finding, Plan
from recon.plans.make import make_plan
from recon.setup.open_sources import open_sources
from recon.setup.settings import load_settings
from recon.snapshots.take import take_snapshot


def planned(home: Path) -> Plan:
    """The plan of a world."""
    settings = load_settings(home / "world" / "recon.toml")
    policy, registry = settings.policy(), settings.registry()
    with TemporaryDirectory() as folder, open_sources(settings) as sources:
        snapshot = take_snapshot(
            sources,
            selection=settings.selection(),
            policy=policy,
            registry=registry,
            now=settings.now(),
            out=Path(folder) / "snapshot",
        )
        return make_plan(snapshot, policy=policy, registry=registry)


def plain(value: object) -> str:
    """A value of a plan without its type; a count that is stored as a double is a count."""
    text = str(next(iter(value.values()))) if isinstance(value, dict) else str(value)
    return text.removesuffix(".0") if isinstance(value, dict) else text


def transfer_of(finding: Finding) -> str:
    """The first transfer that a finding rests on; of a mismatch the money that went astray."""
    kinds = ("transfer ", "other transfer ") if finding.verdict.endswith("_mismatch") else ("transfer ",)
    for kind in kinds:
        for one in finding.evidence:
            if one.startswith(kind):
                return "chain:" + one.removeprefix(kind)
    return ""


def main(home: Path, out: Path) -> None:
    """Judge and write the answers."""
    plan = planned(home)
    found = {finding.payment_id: finding for finding in plan.findings}
    writes = {
        change.payment_id: ";".join(
            f"{item.path}={plain(item.after)}"
            for item in change.sets
            if item.before != item.after and not item.path.startswith(("updatedAt", "metadata.recon"))
        )
        for change in plan.changes
    }
    with (home / "payments.csv").open(encoding="utf-8") as file:
        ids = [row["payment_id"] for row in csv.DictReader(file)]
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["payment_id", "verdict", "matched_transfer", "would_write"])
        for payment_id in [*ids, *sorted(found.keys() - set(ids))]:
            finding = found.get(payment_id)
            matched = "" if finding is None else transfer_of(finding)
            verdict = "benign" if finding is None else str(finding.verdict)
            writer.writerow([payment_id, verdict, matched, writes.get(payment_id, "")])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
