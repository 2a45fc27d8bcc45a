"""A person's word on an unsettled change, signed like every other decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from recon.core.people import Signer
from recon.core.times import millisecond_text
from recon.plans.approvals import DecisionTerms
from recon.plans.ssh_keys import APPROVES, NotSignedError


@dataclass(frozen=True, slots=True)
class SettledChange:
    """What is decided: the change of one payment in one run of one journal, and who wrote the values that are there."""

    journal: str
    run: str
    payment: str
    written_by: str
    reason: str


def sign_settlement(
    who: str, change: SettledChange, *, terms: DecisionTerms, now: datetime
) -> tuple[Mapping[str, Any], Signer | None]:
    """What is signed of the decision, and who signed; nothing where there is no key and names are believed.

    Raises:
        NotSignedError: Signatures are asked for, and none that counts could be made.
        SignersFileError, NoSshKeygenError: Signatures cannot be checked.
    """
    if terms.key is None and terms.signers is None:
        return {}, None
    content = {"kind": "settlement", "who": who, "at": millisecond_text(now), "login": terms.login, **asdict(change)}
    signed = terms.sealed(content, namespace=APPROVES)
    signer, void = terms.judged(signed, who=who, namespace=APPROVES, now=now)
    if void:
        raise NotSignedError(why=void)
    return signed, signer
