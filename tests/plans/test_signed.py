"""Decisions signed with real SSH keys: who counts, and that a signature for one thing is worth nothing for another."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recon.core.model import Plan
from recon.core.people import Person
from recon.plans import ssh_keys
from recon.plans.approvals import (
    ApprovalPolicy,
    DecisionRecords,
    DecisionTerms,
    NotApprovedError,
    RecordExistsError,
    check_approvals,
    signed_text,
)
from recon.plans.breaks import fingerprint
from recon.plans.file import seal_plan
from recon.plans.news import sort_breaks
from recon.plans.ssh_keys import (
    ACCEPTS,
    APPROVES,
    LOOKED,
    MADE,
    NoSshKeygenError,
    NotSignedError,
    Signers,
    SignersFileError,
    SigningKey,
    WorthlessSignatureError,
)
from recon.rails.gates.sample import (
    Sample,
    SampleCandidate,
    SignedTwiceError,
    check_sign_offs,
    load_sign_offs,
    make_sample,
    save_sign_off,
    seal_sign_off,
    sign_sample,
)
from tests.support.keys import Keys, agent_with
from tests.support.plans import a_change, a_finding, a_plan

NOW = datetime.now(UTC).replace(microsecond=0)
PLAN = a_plan()
ONE = ApprovalPolicy(approvals_min=1, is_signed=True)
TWO = ApprovalPolicy(approvals_min=2, is_signed=True, author_may_approve=False)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    folder = tmp_path / "keys"
    folder.mkdir()
    return Keys(folder)


def records(keys: Keys, key: Path | None, **given: Any) -> DecisionRecords:
    signers = Signers(keys.allowed, given.pop("revoked", None))
    terms = DecisionTerms(signers=signers, key=None if key is None else SigningKey(key), **given)
    return DecisionRecords(keys.folder.parent / "decisions", terms)


def counted(keys: Keys, plan: Plan = PLAN, *, policy: ApprovalPolicy = ONE, now: datetime = NOW, **given: Any) -> Any:
    held = records(keys, None, **given)
    author = held.author(plan, now=now)
    return check_approvals(plan, held.approvals(plan, now=now), policy=policy, author=author, now=now)


def only_record(keys: Keys) -> Path:
    (path,) = (keys.folder.parent / "decisions").iterdir()
    return path


def rewrite(path: Path, **change: Any) -> None:
    """Edit a record and give it a digest that fits, as who may write the file can."""
    import hashlib

    content = {**json.loads(path.read_text().split("\n")[1]), **change}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    path.chmod(0o600)
    path.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}\n")


def test_an_approval_is_the_principals_whatever_name_stands_in_it(keys: Keys) -> None:
    ada = keys.person("ada")
    given = records(keys, ada).approve(PLAN, who="Grace Hopper", at=NOW, reason="looked")
    assert str(given.person).startswith("ada@example.org (key SHA256:")
    (found,) = counted(keys)
    assert found.signer == given.signer
    assert found.signer is not None
    assert found.signer.principals == ("ada@example.org",)


def test_one_person_is_one_whatever_names_they_write(keys: Keys) -> None:
    ada = keys.person("ada")
    second = keys.make("second")
    keys.allow("ada@example.org", second)
    records(keys, ada).approve(PLAN, who="Ada", at=NOW, reason="looked")
    for who, key in (("Grace", ada), ("Grace", second)):
        with pytest.raises(RecordExistsError, match="ada@"):
            records(keys, key).approve(PLAN, who=who, at=NOW, reason="looked")
    # Two records that were written by hand, beside each other, are still one person's.
    grace = keys.person("grace")
    keys.allowed.write_text(keys.allowed.read_text().replace("grace@example.org", "ada@example.org"))
    other = DecisionRecords(keys.folder.parent / "elsewhere", DecisionTerms(key=SigningKey(grace)))
    other.approve(PLAN, who="Grace", at=NOW, reason="looked")
    (copied,) = (keys.folder.parent / "elsewhere").iterdir()
    copied.rename(keys.folder.parent / "decisions" / copied.name)
    with pytest.raises(NotApprovedError, match="needs 2"):
        counted(keys, policy=replace(TWO, author_may_approve=True))


def test_author_and_approver_are_told_apart_by_key_and_principal(keys: Keys) -> None:
    ada, ben, cora = (keys.person(name) for name in ("ada", "ben", "cora"))
    records(keys, ada).note_author(PLAN, who="Nobody", at=NOW)
    records(keys, ada).approve(PLAN, who="Somebody Else", at=NOW, reason="looked")
    records(keys, ben).approve(PLAN, who="Ben", at=NOW, reason="looked")
    with pytest.raises(NotApprovedError, match=r"ada@example\.org .* is its author"):
        counted(keys, policy=TWO)
    records(keys, cora).approve(PLAN, who="Cora", at=NOW, reason="looked")
    assert len(counted(keys, policy=TWO)) == 2


def test_an_unsigned_author_is_nobody_known_and_a_signed_one_is_noted_beside(keys: Keys) -> None:
    ada, ben = keys.person("ada"), keys.person("ben")
    DecisionRecords(keys.folder.parent / "decisions").note_author(PLAN, who="Cora", at=NOW)
    records(keys, ada).approve(PLAN, who="Ada", at=NOW, reason="looked")
    with pytest.raises(NotApprovedError, match="its author is not known by a signature"):
        counted(keys, policy=replace(ONE, author_may_approve=False))
    records(keys, ben).note_author(PLAN, who="Ben", at=NOW)
    assert len(counted(keys, policy=replace(ONE, author_may_approve=False))) == 1


def test_without_a_key_nothing_is_recorded(keys: Keys) -> None:
    keys.person("ada")
    with pytest.raises(NotSignedError, match="no key is named"):
        records(keys, None).approve(PLAN, who="Ada", at=NOW, reason="looked")
    with pytest.raises(NotSignedError, match="there is no key"):
        records(keys, keys.folder / "none").approve(PLAN, who="Ada", at=NOW, reason="looked")
    assert not (keys.folder.parent / "decisions").exists()


def test_unsigned_and_unknown_decisions_count_for_nothing_and_are_named(keys: Keys) -> None:
    keys.person("ada")
    plain = DecisionRecords(keys.folder.parent / "decisions")
    plain.approve(PLAN, who="Ben", at=NOW, reason="looked")
    with pytest.raises(NotApprovedError, match="it is not signed"):
        counted(keys)
    stranger = keys.make("stranger")
    with pytest.raises(NotSignedError, match="gives to nobody"):
        records(keys, stranger).approve(PLAN, who="Eve", at=NOW, reason="looked")
    DecisionRecords(keys.folder.parent / "decisions", DecisionTerms(key=SigningKey(stranger))).approve(
        PLAN, who="Eve", at=NOW, reason="looked"
    )
    with pytest.raises(NotApprovedError, match="gives to nobody"):
        counted(keys)


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "other"}, {"who": "Ben"}, {"expires_at": "2099-01-01T00:00:00.000Z"}, {"ticket": "X"},
        {"login": "root"}, {"at": "2020-01-01T00:00:00.000Z"}, {"target": "0" * 64}, {"digest": "0" * 64},
    ],
)  # fmt: skip
def test_every_word_of_a_record_is_signed(keys: Keys, change: dict[str, str]) -> None:
    records(keys, keys.person("ada")).approve(PLAN, who="Ada", at=NOW, reason="looked")
    rewrite(only_record(keys), **change)
    with pytest.raises(NotApprovedError, match=r"is not what ada@example\.org signed|another target"):
        counted(keys)


def test_an_approval_of_one_plan_or_target_is_worth_nothing_for_another(keys: Keys) -> None:
    records(keys, keys.person("ada")).approve(PLAN, who="Ada", at=NOW, reason="looked")
    other = seal_plan(replace(PLAN, changes=(a_change(payment_id="x", document_id="x"),)))
    elsewhere = seal_plan(replace(PLAN, target=replace(PLAN.target, name="live")))
    path = only_record(keys)
    for plan in (other, elsewhere):
        # The file under the other plan's name, as it is and with the other plan's digests written into it.
        copy = path.with_name(f"approval-{plan.effects_digest[:32]}-{'0' * 16}.json")
        copy.write_bytes(path.read_bytes())
        with pytest.raises(NotApprovedError, match="nobody approved it"):
            counted(keys, plan)
        rewrite(copy, effects_digest=plan.effects_digest, digest=plan.digest)
        with pytest.raises(NotApprovedError, match="is not what"):
            counted(keys, plan)


def test_a_signature_of_one_kind_of_decision_is_none_of_another(keys: Keys) -> None:
    ada = keys.person("ada")
    signers, text = Signers(keys.allowed), signed_text({"who": "Ada"})
    for made in (APPROVES, MADE, LOOKED, ACCEPTS):
        signature = SigningKey(ada).sign(text, namespace=made)
        for asked in (APPROVES, MADE, LOOKED, ACCEPTS):
            if made == asked:
                assert signers.check(text, signature=signature, namespace=asked, times=(NOW,)).principals
            else:
                with pytest.raises(WorthlessSignatureError):
                    signers.check(text, signature=signature, namespace=asked, times=(NOW,))
    # A signature that git made with the same key is none either.
    signature = SigningKey(ada).sign(text, namespace="git")
    with pytest.raises(WorthlessSignatureError):
        signers.check(text, signature=signature, namespace=APPROVES, times=(NOW,))


def test_the_file_may_keep_a_key_from_a_kind_of_decision(keys: Keys) -> None:
    ada = keys.make("ada")
    keys.allow("ada@example.org", ada, options='namespaces="sample-signoff@recon,git"')
    with pytest.raises(NotSignedError, match="signed as plan-approval@recon"):
        records(keys, ada).approve(PLAN, who="Ada", at=NOW, reason="looked")


def test_a_key_counts_only_within_its_time_when_it_signed_and_when_it_is_asked(keys: Keys) -> None:
    ada = keys.make("ada")
    begin, end = NOW.astimezone() - timedelta(days=2), NOW.astimezone() + timedelta(days=2)
    keys.allow("ada@example.org", ada, options=f'valid-after="{begin:%Y%m%d%H%M}",valid-before="{end:%Y%m%d%H%M}"')
    long = {"valid_for": timedelta(days=90)}
    records(keys, ada, **long).approve(PLAN, who="Ada", at=NOW, reason="looked")
    assert counted(keys)
    with pytest.raises(NotApprovedError, match="not at this time"):
        counted(keys, now=NOW + timedelta(days=3))
    # Dated into the time when the key was not yet valid: no use either.
    with pytest.raises(NotSignedError):
        records(keys, ada, **long).approve(PLAN, who="Ada", at=NOW - timedelta(days=3), reason="looked")


def test_a_revoked_key_counts_no_more(keys: Keys) -> None:
    ada = keys.person("ada")
    records(keys, ada).approve(PLAN, who="Ada", at=NOW, reason="looked")
    with pytest.raises(NotApprovedError, match="a key that revoked takes back"):
        counted(keys, revoked=keys.revoke(ada))
    with pytest.raises(SignersFileError, match=r"revoked_signers.*cannot be read"):
        counted(keys, revoked=keys.folder / "none")


def test_a_certificate_counts_for_its_principals_alone(keys: Keys) -> None:
    authority, ada, eve = keys.make("authority"), keys.make("ada"), keys.make("eve")
    keys.allow("*@example.org", authority, options="cert-authority")
    certificate = keys.certify(ada, by=authority, principals="ada@example.org,ada")
    given = records(keys, certificate).approve(PLAN, who="Ada", at=NOW, reason="looked")
    assert given.signer is not None
    assert given.signer.principals == ("ada@example.org",)
    for key in (keys.certify(eve, by=authority, principals="eve@elsewhere.org"), authority):
        with pytest.raises(NotSignedError):
            records(keys, key).approve(PLAN, who="Eve", at=NOW, reason="looked")
    with pytest.raises(NotApprovedError):
        counted(keys, now=NOW + timedelta(hours=5))


def test_a_pattern_makes_no_two_people(keys: Keys) -> None:
    for name in ("ada", "ben"):
        keys.allow("*@example.org", keys.make(name))
    records(keys, keys.folder / "ada").approve(PLAN, who="Ada", at=NOW, reason="looked")
    with pytest.raises(RecordExistsError):
        records(keys, keys.folder / "ben").approve(PLAN, who="Ben", at=NOW, reason="looked")


@pytest.mark.parametrize("principal", ["\u0430da@example.org", "ada\u200b@example.org"])
def test_a_principal_that_looks_like_another_counts_for_nothing(keys: Keys, principal: str) -> None:
    keys.person("ada")
    eve = keys.make("eve")
    keys.allow(principal, eve)
    with pytest.raises(NotSignedError, match="principal whose name"):
        records(keys, eve).approve(PLAN, who="Ada", at=NOW, reason="looked")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_in_an_agent_signs_by_its_public_half(keys: Keys, kind: str) -> None:
    key = keys.make("ada", kind=kind)
    keys.allow("ada@example.org", key)
    with agent_with(key):
        key.unlink()
        given = records(keys, keys.folder / "ada.pub").approve(PLAN, who="Ada", at=NOW, reason="looked")
        assert str(given.person).startswith("ada@example.org")
    with pytest.raises(NotSignedError):
        records(keys, keys.folder / "ada.pub").note_author(PLAN, who="Ada", at=NOW)


def test_a_key_with_a_passphrase_fails_where_nobody_can_be_asked(keys: Keys) -> None:
    from tests.support.keys import ssh

    ada = keys.person("ada")
    ssh("ssh-keygen", "-q", "-p", "-N", "secret words", "-P", "", "-f", ada)
    with pytest.raises(NotSignedError, match="nothing was recorded"):
        records(keys, ada).approve(PLAN, who="Ada", at=NOW, reason="looked")


def test_an_acknowledgement_is_of_one_break_on_one_target(keys: Keys) -> None:
    ada, finding = keys.person("ada"), a_finding()
    records(keys, ada).acknowledge(
        finding, who="Ada", at=NOW, reason="known", until=NOW + timedelta(days=1), target=PLAN.target
    )
    held = records(keys, None)

    def accepted(target: Any = PLAN.target, item: Any = finding) -> bool:
        acks = held.acks(target, now=NOW, only=[item])
        return bool(sort_breaks([item], acks=acks, known=(), now=NOW).acknowledged)

    assert accepted()
    assert not accepted(replace(PLAN.target, name="live"))
    assert not accepted(item=replace(finding, difference_units=5))
    other = replace(finding, difference_units=5)
    path = only_record(keys)
    copy = path.with_name(f"ack-{fingerprint(other)[:32]}-{'0' * 16}.json")
    copy.write_bytes(path.read_bytes())
    rewrite(copy, fingerprint=fingerprint(other))
    assert not accepted(item=other)
    rewrite(path, until="2099-01-01T00:00:00.000Z")
    assert not accepted()


def drawn(seed: int = 1, **target: Any) -> Sample:
    rows = [SampleCandidate(f"p{n}", "in_sync", value_units=n, decimals=0) for n in range(50)]
    plan = seal_plan(replace(PLAN, target=replace(PLAN.target, **target)))
    return make_sample(rows, provider="shkeeper", size=3, seed=seed, plan=plan, now=NOW)


def sign_off(keys: Keys, key: Path, sample: Sample, who: str) -> None:
    path, terms = keys.folder / "sample.json", DecisionTerms(signers=Signers(keys.allowed), key=SigningKey(key))
    earlier = check_sign_offs(sample, load_sign_offs(path), terms=terms, now=NOW)
    findings = {row.payment_id: "right" for row in sample.rows}
    made = sign_sample(sample, earlier, operator=who, findings=findings, notes={}, now=NOW)
    save_sign_off(seal_sign_off(made, earlier, terms=terms, now=NOW).sign, path)


def test_a_sample_is_signed_by_people_and_for_itself_alone(keys: Keys) -> None:
    ada, ben, sample = keys.person("ada"), keys.person("ben"), drawn()
    sign_off(keys, ada, sample, "Ada")
    with pytest.raises(SignedTwiceError):
        sign_off(keys, ada, sample, "Grace")
    sign_off(keys, ben, sample, "Ben")
    terms, path = DecisionTerms(signers=Signers(keys.allowed)), keys.folder / "sample.json"
    signs = load_sign_offs(path)
    found = check_sign_offs(sample, signs, terms=terms, now=NOW)
    assert [each.void for each in found] == ["", ""]
    for other in (drawn(seed=2), drawn(name="live")):
        assert all(each.void for each in check_sign_offs(other, signs, terms=terms, now=NOW))
        moved = [replace(sign, sample=other.digest, target=other.target) for sign in signs]
        assert all("is not what" in each.void for each in check_sign_offs(other, moved, terms=terms, now=NOW))
    wrong = [replace(sign, findings={**sign.findings, sample.rows[0].payment_id: "wrong"}) for sign in signs]
    assert all("is not what" in each.void for each in check_sign_offs(sample, wrong, terms=terms, now=NOW))


def test_a_name_that_looks_like_another_counts_for_nothing_in_a_record_that_is_there(tmp_path: Path) -> None:
    plain = DecisionRecords(tmp_path / "decisions")
    plain.approve(PLAN, who="Ada", at=NOW, reason="looked")
    (path,) = (tmp_path / "decisions").iterdir()
    for name in ("\u0410\u0434a", "A\u200bda", "Ada\u3164"):
        rewrite(path, who=name)
        (found,) = plain.approvals(PLAN, now=NOW)
        assert found.void.startswith(f"{path.name}: its name")
        with pytest.raises(NotApprovedError, match="its name"):
            check_approvals(PLAN, [found], policy=ApprovalPolicy(approvals_min=1), author=(), now=NOW)


def test_an_approval_ends(tmp_path: Path) -> None:
    plain = DecisionRecords(tmp_path, DecisionTerms(valid_for=timedelta(hours=2)))
    plain.approve(PLAN, who="Ada", at=NOW, reason="looked")
    one = ApprovalPolicy(approvals_min=1)

    def check(now: datetime) -> int:
        return len(check_approvals(PLAN, plain.approvals(PLAN, now=now), policy=one, author=(), now=now))

    assert check(NOW + timedelta(hours=1, minutes=59)) == 1
    with pytest.raises(NotApprovedError, match="Ada's approval ended at"):
        check(NOW + timedelta(hours=2))
    with pytest.raises(NotApprovedError, match="still to come"):
        check(NOW - timedelta(minutes=6))
    plain.approve(PLAN, who="Ada", at=NOW + timedelta(hours=3), reason="looked again")
    assert check(NOW + timedelta(hours=3)) == 1


def test_a_machine_without_openssh_is_told(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = keys.person("ada")
    monkeypatch.setenv("PATH", str(keys.folder))
    with pytest.raises(NoSshKeygenError, match="Install OpenSSH"):
        records(keys, ada).approve(PLAN, who="Ada", at=NOW, reason="looked")


def test_a_file_of_signers_that_names_nobody_is_no_such_file(keys: Keys) -> None:
    for text in ("", "# nobody\n\n", "ada@example.org\n"):
        keys.allowed.write_text(text)
        with pytest.raises(SignersFileError, match="names no signer"):
            Signers(keys.allowed).check_files()


@pytest.mark.parametrize(
    "signature", ["x", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----", "y" * 9**6]
)
def test_what_is_no_signature_proves_nothing(keys: Keys, signature: str) -> None:
    keys.person("ada")
    with pytest.raises(WorthlessSignatureError):
        Signers(keys.allowed).check("text", signature=signature, namespace=APPROVES, times=(NOW,))


def test_people_who_are_not_signed_are_told_apart_by_name() -> None:
    assert Person("Ada").marks != Person("Ben").marks
    assert ssh_keys.NAMESPACES == (APPROVES, MADE, LOOKED, ACCEPTS)
