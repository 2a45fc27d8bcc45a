"""Reads AcmePay's export as claims."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from acmepay.provider import STATE_WORDS
from recon.core.errors import SourceError
from recon.core.money import parse_units
from recon.core.registry import Registry
from recon.sources.interface import ClaimKey, Coverage, Gap, Progress, Reading
from recon.sources.providers.claims import Said, digest_of, failed_row, not_found_row, reading_of
from recon.sources.providers.sections import ProviderSection

NAME = "acmepay"


class AcmeSection(ProviderSection):
    """``[acmepay]``."""

    export: str = Field(default="acmepay.json", min_length=1)
    webhook_secret_variable: str = "RECON_ACMEPAY_WEBHOOK_SECRET"


class AcmePay:
    """AcmePay, read only, from its export."""

    name = NAME

    def __init__(self, path: Path, *, registry: Registry) -> None:
        self._path = path
        self._registry = registry

    def check(self) -> str:
        problem, charges = self._charges()
        if problem is not None:
            raise SourceError(f"{NAME}: {problem}; export the charges again.")
        return f"{NAME}: the export has {len(charges)} charges."

    def read_window(self, from_ms: int, to_ms: int, *, progress: Progress) -> Reading:
        problem, charges = self._charges()
        progress(NAME, 1, 1)
        coverage = Coverage(
            NAME, "bulk", complete=problem is None, asked_from=from_ms, asked_to=to_ms,
            done_from=None if problem else from_ms, done_to=None if problem else to_ms, items=len(charges),
            problem=problem,
        )  # fmt: skip
        gaps = [Gap(NAME, "bulk", from_ms, to_ms, problem)] if problem else []
        return reading_of([self._said(each) for each in charges.values()], coverage=[coverage], gaps=gaps)

    def look_up(self, keys: Sequence[ClaimKey], *, progress: Progress) -> Reading:
        problem, charges = self._charges()
        said = [self._answer(key, problem, charges) for key in keys]
        progress(NAME, len(keys), len(keys))
        failed = [one for one in said if one.claim["outcome"] == "failed"]
        coverage = Coverage(
            NAME, "lookup", complete=not failed, items=len(said),
            problem=f"{len(failed)} of {len(said)} look-ups failed" if failed else None,
        )  # fmt: skip
        return reading_of(said, coverage=[coverage])

    def _charges(self) -> tuple[str | None, dict[str, Mapping[str, Any]]]:
        try:
            listed = json.loads(self._path.read_text(encoding="utf-8"), parse_float=str)
            return None, {str(charge["id"]): charge for charge in listed}
        except (OSError, ValueError, TypeError, KeyError) as error:
            return f"the export {self._path.name} cannot be read ({type(error).__name__})", {}

    def _answer(self, key: ClaimKey, problem: str | None, charges: Mapping[str, Mapping[str, Any]]) -> Said:
        named = {"claim_id": key.external_id or f"payment:{key.payment_id}", "at_ms": _now_ms(), "kind": "charge"}
        if problem is not None or not key.external_id:
            return Said(failed_row(NAME, key, reason=problem or "there is no charge to ask by", **named))
        if key.external_id not in charges:
            return Said(not_found_row(NAME, key, **named))
        return self._said(charges[key.external_id])

    def _said(self, charge: Mapping[str, Any]) -> Said:
        token = self._registry.token(int(charge["chain"]), str(charge["coin"]))
        word = str(charge["state"])
        row = {
            "provider": NAME,
            "claim_id": str(charge["id"]),
            "object": "charge",
            "outcome": "found",
            "external_id": str(charge["id"]),
            "state": STATE_WORDS.get(word, "unknown"),
            "state_raw": word,
            "paid_units": None if token is None else parse_units(str(charge["paid"]), decimals=token.decimals),
            "token": None if token is None else token.address,
            "chain_id": int(charge["chain"]),
            "looked_up_at": _now_ms(),
            "problem": None if word in STATE_WORDS else "unknown_word",
            "digest": digest_of(dict(charge)),
        }
        return Said(row)


def _now_ms() -> int:
    return round(time.time() * 1000)
