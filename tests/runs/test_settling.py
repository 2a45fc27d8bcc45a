"""A person's word on an unsettled change is signed where signatures are asked for, over exactly that change."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from recon.api import journal as api
from recon.plans.approvals import DecisionTerms, signed_text
from recon.plans.settling import SettledChange, sign_settlement
from recon.plans.ssh_keys import APPROVES, MADE, NotSignedError, Signers, SigningKey, WorthlessSignatureError
from recon.runs.states import Decision, Result, blocked_payments, list_runs, read_run
from recon.runs.stores.journal import FileJournal, Note
from tests.plans.test_signed import NOW
from tests.support.keys import Keys

CHANGE = SettledChange("embedded/marketplace.payments", "run-1", "p1", "run", "the backend's log shows it")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
def journal(tmp_path: Path) -> FileJournal:
    """A recorded world with one run that left one change unsettled."""
    world = tmp_path / "world"
    world.mkdir()
    known = {"format": 1, "now": "2026-11-20T12:00:00Z", "database": "marketplace", "collection": "payments"}
    (world / "world.json").write_text(json.dumps(known))
    (world / "payments.ndjson").write_text("")
    (tmp_path / "recon.toml").write_text(f'[recorded]\npath = "{world}"\n')
    found = FileJournal(world)
    at = "2026-11-20T12:00:00.000Z"
    bodies = (
        ("run", {"plan": "x", "kind": "correction", "changes": 1, "operator": "Ada"}, None),
        ("intent", {"stamp": "run-1/c1"}, "c1"),
        ("outcome", {"result": "unsettled", "reason": "no stamp"}, "c1"),
        ("end", {"state": "done", "counts": {"unsettled": 1}, "unsettled": 1}, None),
    )
    found.append([Note("run-1", kind, at, body, 1, change, change and "p1") for kind, body, change in bodies])
    return found


def signs(tmp_path: Path, keys: Keys) -> None:
    with (tmp_path / "recon.toml").open("a") as file:
        file.write(f'[approvals]\nallowed_signers = "{keys.allowed}"\n')


def settle(tmp_path: Path, **given: Path) -> Decision:
    return api.settle(
        "run-1", payment="p1", written_by="run", reason="x", config=tmp_path / "recon.toml", operator="Ada", **given
    )


def test_an_unsigned_settlement_settles_nothing_where_signatures_are_asked_for(
    tmp_path: Path, keys: Keys, journal: FileJournal
) -> None:
    ada, eve = keys.person("ada"), keys.make("eve")
    signs(tmp_path, keys)
    for given in ({}, {"key": eve}):
        with pytest.raises(NotSignedError):
            settle(tmp_path, **given)
        assert blocked_payments(journal) == {"p1": "run-1"}
    assert "ada@example.org" in str(settle(tmp_path, key=ada).person)
    assert blocked_payments(journal) == {}
    state = read_run(journal, "run-1").changes["c1"]
    assert state.result is Result.APPLIED
    kept = dict(state.outcome["signed"])
    assert (kept["run"], kept["payment"], kept["written_by"], kept["who"]) == ("run-1", "p1", "run", "Ada")
    text, signature = signed_text(kept), kept["signature"]
    signers, times = Signers(keys.allowed), [NOW]
    assert signers.check(text, signature=signature, namespace=APPROVES, times=times).principals == ("ada@example.org",)
    for other, namespace in ((json.dumps({**kept, "payment": "p2"}), APPROVES), (text, MADE)):
        with pytest.raises(WorthlessSignatureError):
            signers.check(other, signature=signature, namespace=namespace, times=times)


def test_without_signers_a_name_is_a_claim_and_nothing_is_signed(tmp_path: Path, journal: FileJournal) -> None:
    found = settle(tmp_path)
    assert (str(found.person), found.signer) == ("Ada", None)
    assert "signed" not in read_run(journal, "run-1").changes["c1"].outcome
    assert list_runs(journal)[0].unsettled == 0


def test_a_signature_for_one_change_is_worth_nothing_for_another(keys: Keys) -> None:
    terms = DecisionTerms(signers=None, key=SigningKey(keys.person("ada")))
    signed, signer = sign_settlement("Ada", CHANGE, terms=terms, now=NOW)
    assert signer is None
    asked = replace(terms, signers=Signers(keys.allowed))
    assert asked.judged(signed, who="Ada", namespace=APPROVES, now=NOW)[1] == ""
    for name, other in (("payment", "p2"), ("run", "run-2"), ("written_by", "other"), ("journal", "x"), ("who", "Ben")):
        assert asked.judged({**signed, name: other}, who="Ada", namespace=APPROVES, now=NOW)[1]
