"""One payment from question to cause: every cause in a scene of its own, and how things are found."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from bson import ObjectId

from recon.core.ids import keccak256, payment_reference
from recon.core.registry import load_registry
from recon.investigation.payment import Inspection
from recon.investigation.payment.causes import CAUSES, Strength
from recon.investigation.payment.gather import UnknownIdError, gather_afresh
from recon.investigation.payment.identify import Name, NoIdError, names_of
from recon.investigation.payment.references import checksummed
from recon.reports import render_report
from recon.reports.views.inspection import render_inspection
from recon.setup.open_sources import open_sources
from recon.simulation.bundles import bundle_world
from recon.simulation.order_world import ORDER_CASES, world_of_orders
from recon.simulation.weather import gone
from tests.support.inspecting import (
    Scene,
    asking_of,
    at_unnamed_forwarder,
    held_at_its_address,
    looked_at,
    rereferenced,
    scene,
    written,
)

Told = dict[str, tuple[str, str]]


def untouched(plant: str, **given: str) -> Callable[[], Scene]:
    return lambda: scene(plant, **given)


def answered(plant: str, *statuses: int | None, rail: str = "request_network") -> Callable[[], Scene]:
    def make() -> Scene:
        made = scene(plant, rail=rail)
        made.tell(*statuses)
        return made

    return make


def records_missing() -> Scene:
    made = scene("webhook_lost", rail="request_network")
    made.deliveries = None
    return made


def provider_silent() -> Scene:
    made = scene("completed", rail="request_network")
    made.world = gone(made.world, provider="request_network")
    return made


def half_landed() -> Scene:
    world = bundle_world(100, seed=1)
    planted = next(truth for truth in world.truths if truth.planted == "landed on one chain only")
    first = replace(world, truths=(planted, *(truth for truth in world.truths if truth is not planted)))
    logs = {chain_id: [dict(log) for log in chain.logs] for chain_id, chain in world.recorded.chains.items()}
    return Scene(first, [dict(each) for each in world.recorded.payments], [], [], logs)


def borrower() -> Scene:
    made = scene("one_transfer_two_rows")
    made.world = replace(made.world, truths=tuple(reversed(made.world.truths)))
    return made


def by_other_request() -> Scene:
    made = scene("wrong_reference")
    other = "01" + "77" * 32
    rereferenced(made, lambda _, salt, address: payment_reference(other, salt, address))
    made.document["requestIds"] = [made.request["request"]["requestId"], other]
    made.document["metadata"]["requestIds"] = [other]
    return made


def by_other_salt() -> Scene:
    made = scene("wrong_reference")
    rereferenced(made, lambda request, _, address: payment_reference(request, "00112233445566aa", address))
    made.document["metadata"]["salt"] = "00112233445566aa"
    return made


def by_other_address() -> Scene:
    made = scene("wrong_reference")
    other = "0x" + "5e" * 20
    rereferenced(made, lambda request, salt, _: payment_reference(request, salt, other))
    made.document["blockchain"] = {**made.document["blockchain"], "receiver": other}
    return made


def by_letter_case() -> Scene:
    made = scene("wrong_reference")

    def mixed(request: str, salt: str, address: str) -> str:
        return keccak256((request + salt + checksummed(address)).encode()).hex()[-16:]

    rereferenced(made, mixed)
    return made


def simultaneous() -> Scene:
    made = scene("paid_in_parts", rail="shkeeper")
    made.invoice["balance_fiat"] = made.invoice["txs"][0]["amount"]
    made.invoice["status"] = "PARTIAL"
    return made


def in_euro(*, credited: str) -> Scene:
    """Two transfers for an invoice in euro, at 0.9 to the token; ``all`` or only the ``first`` is credited."""
    made = scene("paid_in_parts", rail="shkeeper")
    invoice, rate = made.invoice, Decimal("0.9")
    came = [Decimal(tx["amount"]) for tx in invoice["txs"]]
    invoice["fiat"] = "EUR"
    invoice["amount_fiat"] = str(Decimal(invoice["amount_fiat"]) * rate)
    invoice["balance_fiat"] = str((came[0] if credited == "first" else sum(came)) * rate)
    invoice["status"] = "PARTIAL" if credited == "first" else invoice["status"]
    return made


def at_forwarder() -> Scene:
    made = scene("abandoned", rail="request_network")
    settings_token = next(iter(made.logs))
    document = made.document
    registry = load_registry()
    chain_id = registry.chain_id(document["blockchain"]["network"]) or settings_token
    token = registry.token(chain_id, document["amount"]["currency"])
    assert token is not None
    forwarder = "0x" + "f0" * 20
    document["metadata"] = {**document.get("metadata", {}), "forwarderAddress": forwarder}
    made.add_coin(chain_id, token=token.address, recipient=forwarder, units=10**token.decimals)
    return made


def with_unknown_hash(plant: str) -> Scene:
    """A payout whose recorded hash no chain knows, and of which the gateway names no transaction."""
    made = scene(plant, rail="shkeeper")
    blockchain = {**made.document.get("blockchain", {}), "transactionHash": "0x" + "9e" * 32}
    blockchain.pop("sender", None)
    made.document["blockchain"] = blockchain
    made.invoices = [each for each in made.invoices if "transaction" not in each]
    for each in made.invoices:
        if "payout" in each:
            each["payout"] |= {"status": "IN_PROGRESS", "txid": None}
    return made


def paid_out_elsewhere() -> Scene:
    """The pay-in of a deal whose seller another row paid."""
    made = [scene("pending_though_paid_out", seed=seed) for seed in range(1, 9)]
    return next(each for each in made if each.document.get("direction", "in") == "in")


def paid_out_under_another_name() -> Scene:
    """The same, but the payout's row does not say of which offer it is."""
    made = paid_out_elsewhere()
    for document in made.documents:
        if document.get("direction") == "out":
            document.pop("sellerOfferId")
    return made


def sent_to_the_wrong_side(plant: str) -> Scene:
    """A payout or refund whose own row is looked at."""
    made = scene(plant)
    made.documents.sort(key=lambda document: document.get("direction", "in") == "in")
    own = str(made.documents[0]["_id"])
    truths = sorted(made.world.truths, key=lambda truth: truth.payment_id.strip('"') != own)
    made.world = replace(made.world, truths=tuple(truths))
    return made


def at_an_earlier_address() -> Scene:
    """The buyer's money went to the one-time address of a payment of his that was settled the week before."""
    made = scene("abandoned", rail="shkeeper")
    row, earlier = made.document, "0x" + "ea" * 20
    made.documents.append(
        {
            **row,
            "_id": ObjectId.from_datetime(row["createdAt"] - timedelta(days=5)),
            "status": "completed",
            "escrowState": "released",
            "createdAt": row["createdAt"] - timedelta(days=5),
            "blockchain": {**row["blockchain"], "transactionHash": "0x" + "5e" * 32},
            "metadata": {"walletAddress": earlier, "externalId": "settled-long-ago"},
            "purchaseRequestId": ObjectId(),
            "sellerOfferId": ObjectId(),
        }
    )
    registry = load_registry()
    chain_id = registry.chain_id(row["blockchain"]["network"])
    assert chain_id is not None
    token = registry.token(chain_id, row["amount"]["currency"])
    assert token is not None
    units = int(Decimal(str(row["amount"]["amount"])) * 10**token.decimals)
    made.add_coin(chain_id, token=token.address, recipient=earlier, units=units)
    return made


def ordered(name: str) -> Callable[[], Scene]:
    """An order at a provider that has to do the next step with it."""

    def made() -> Scene:
        (case,) = (each for each in ORDER_CASES if each.name == name)
        world = world_of_orders([case], seed=1)
        return Scene(world, [dict(each) for each in world.recorded.payments], [], [], {})

    return made


SCENES: dict[str, tuple[str, Callable[[], Scene]]] = {
    "never paid": ("never_paid", untouched("abandoned")),
    "not paid yet": ("never_paid", untouched("in_transit")),
    "at an earlier address": ("paid_to_earlier_address", at_an_earlier_address),
    "wrong chain": ("paid_wrong_chain", untouched("wrong_network")),
    "wrong token": ("paid_wrong_token", untouched("wrong_token")),
    "wrong coin at a deposit address": ("paid_wrong_token", untouched("wrong_coin_at_deposit")),
    "wrong contract version": ("paid_other_contract", untouched("old_polygon_proxy")),
    "wrong recipient": ("paid_wrong_recipient", untouched("wrong_recipient")),
    "wrong reference, unexplained": ("wrong_reference", untouched("wrong_reference")),
    "wrong reference: request id": ("wrong_reference", by_other_request),
    "wrong reference: salt": ("wrong_reference", by_other_salt),
    "wrong reference: address": ("wrong_reference", by_other_address),
    "wrong reference: letter case": ("wrong_reference", by_letter_case),
    "too few confirmations": ("too_few_confirmations", untouched("not_final_yet")),
    "reverted": ("reverted_or_replaced", untouched("reverted")),
    "replaced": ("reverted_or_replaced", untouched("hash_unknown")),
    "reorganised away": ("reverted_or_replaced", untouched("reorganised_away")),
    "paid late": ("paid_late", untouched("late")),
    "paid twice": ("paid_twice", untouched("paid_twice")),
    "paid in part": ("paid_in_part", untouched("underpaid_open")),
    "overpaid": ("overpaid", untouched("overpaid")),
    "webhook never delivered": ("webhook_never_delivered", untouched("webhook_lost", rail="request_network")),
    "webhook refused with 404": ("webhook_refused", answered("webhook_lost", 404)),
    "webhook failed with 500": ("webhook_failed", answered("webhook_lost", 500)),
    "webhook turned away": ("signature_refused", answered("webhook_lost", 401)),
    "webhook accepted, row unmoved": ("accepted_not_applied", answered("webhook_lost", 200)),
    "nobody kept deliveries": ("delivery_unknown", records_missing),
    "held by the safety check": ("held_by_safety", answered("safety_now_satisfied", 202)),
    "held without a hash": ("held_by_safety", untouched("safety_without_hash")),
    "callback waits for 202": ("callback_waits_for_202", answered("exactly_95_percent", 204, 204, rail="shkeeper")),
    "retries exhausted": ("retries_exhausted", answered("webhook_lost", 503, None, 503, 503)),
    "a credit lost to simultaneous notifications": ("lost_credit", simultaneous),
    "a credit in euro lost": ("lost_credit", lambda: in_euro(credited="first")),
    "second transfer of a transaction dropped": ("second_transfer_dropped", untouched("second_of_one_transaction")),
    "rate source down": ("rate_source_down", untouched("gateway_lost_the_credit")),
    "sanction or AML hold": ("aml_hold", untouched("screened_just_now")),
    "an order in review": ("waits_for_review", ordered("stuck in review")),
    "an order just made, in review": ("waits_for_review", ordered("in review for a moment")),
    "a delivery that failed": ("service_not_started", ordered("delivery failed")),
    "an order that cannot be billed": ("billing_unavailable", ordered("cannot be billed")),
    "AML hold for long": ("aml_hold", untouched("screened_long_ago")),
    "indexer behind": ("indexer_behind", untouched("provider_lags")),
    "dispute hold": ("dispute_hold", untouched("disputed_and_behind")),
    "twin requests, both paid": ("twin_requests", untouched("two_requests_paid")),
    "twin requests, the other one paid": ("twin_requests", untouched("twin_request_paid")),
    "forwarder holds the money": ("forwarder_holds_it", at_forwarder),
    "forwarder holds it, only its factory knows": ("forwarder_holds_it", at_unnamed_forwarder),
    "LiFi settlement": ("lifi_settlement", untouched("settled_by_bridge")),
    "release confirmed, not in the row": ("release_unrecorded", untouched("released_on_chain")),
    "release stuck": ("release_stuck", untouched("release_stuck")),
    "the hash of another payment": ("hash_of_another", borrower),
    "landed on one chain only": ("landed_in_part", half_landed),
    "two rows, one request": ("shared_proof", untouched("one_request_two_rows")),
    "simulated hash": ("simulated_hash", untouched("simulated")),
    "closed though paid in time": ("closed_though_paid", untouched("failed_though_paid")),
    "provider paid, chain silent": ("paid_at_provider_only", untouched("marked_paid_at_gateway")),
    "only the provider differs": ("only_the_provider_differs", untouched("provider_down_chain_proves")),
    "only the row says so": ("only_the_row_says_so", untouched("only_the_row_says_so")),
    "a refund nobody recorded": ("refund_disagrees", untouched("refund_on_chain")),
    "a source did not answer": ("could_not_ask", untouched("no_address_to_look_at")),
    "money older than its row": ("older_than_the_row", held_at_its_address),
    "nothing to look it up by": ("nothing_to_look_up_by", untouched("nothing_to_look_up_by")),
    "a detail behind": ("row_lags_in_detail", untouched("hash_missing")),
    "fee elsewhere": ("fee_elsewhere", untouched("fee_to_a_stranger")),
    "unreadable row": ("unreadable_row", untouched("malformed_amount_text")),
    "test payment": ("test_payment", untouched("test_provider")),
    "somebody else's rail": ("out_of_scope", untouched("other_provider")),
    "another transfer may be the payout": ("payout_sent_otherwise", lambda: with_unknown_hash("released_on_chain")),
    "a payout's hash is gone": ("payout_hash_gone", lambda: with_unknown_hash("release_stuck")),
    "the seller was paid by another row": ("seller_already_paid", paid_out_elsewhere),
    "a payout may be this deal's": ("money_going_out", paid_out_under_another_name),
    "refunded in part": ("partly_refunded", untouched("refunded_in_part")),
    "release just started": ("not_due_yet", untouched("release_just_started")),
    "a payout to the buyer": ("payout_to_the_wrong_side", lambda: sent_to_the_wrong_side("payout_to_the_buyer")),
    "a refund to a stranger": ("payout_to_the_wrong_side", lambda: sent_to_the_wrong_side("refund_to_a_stranger")),
    "all well": ("nothing_wrong", untouched("completed")),
    "all well, and the provider silent": ("row_and_chain_agree", provider_silent),
}


@pytest.fixture(scope="module")
def told() -> Told:
    """The first cause of every scene so far; printed as one table by the last test."""
    return {}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Inspection]:
    """The inspection of a scene by its name; each is looked at once."""
    return cache(lambda name: looked_at(SCENES[name][1](), tmp_path_factory.mktemp("scene")))


@pytest.mark.parametrize("name", SCENES)
def test_every_cause_comes_out_first_in_its_scene(name: str, told: Told, seen: Callable[[str], Inspection]) -> None:
    expected, _ = SCENES[name]
    found = seen(name)
    told[name] = (expected, found.causes[0].name if found.causes else "none")
    assert [cause.name for cause in found.causes][:1] == [expected]
    first = found.causes[0]
    assert first.strength in (Strength.PROVEN, Strength.LIKELY)
    assert first.evidence_for, "a cause without evidence"
    assert first.next_step
    assert first.source


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a payout to the buyer", "Compare the payout instruction with the seller's address on record"),
        ("a refund to a stranger", "Compare the refund instruction with 0x"),
    ],
)
def test_money_at_the_wrong_side_has_advice_of_its_own(name: str, said: str, seen: Callable[[str], Inspection]) -> None:
    found = seen(name)
    assert "paid_wrong_recipient" not in {cause.name for cause in found.causes}
    assert found.causes[0].next_step.startswith("Send nothing again, and release nothing more of this deal.")
    assert said in found.causes[0].next_step
    assert "went to 0x" in found.causes[0].evidence_for[0]


def test_nobody_is_asked_to_pay_again_over_money_at_his_address(seen: Callable[[str], Inspection]) -> None:
    found = seen("money older than its row")
    assert [cause.name for cause in found.causes] == ["older_than_the_row"]
    assert found.causes[0].next_step.startswith("Do not ask the buyer to pay again.")
    assert found.causes[0].evidence_for[0].startswith("Its one-time address holds ")
    assert "older_than_the_row" not in {cause.name for cause in seen("a source did not answer").causes}


def test_where_a_bridge_paid_nobody_says_that_the_chain_shows_no_money(seen: Callable[[str], Inspection]) -> None:
    found = seen("LiFi settlement")
    assert "paid_at_provider_only" not in {cause.name for cause in found.causes}
    assert found.causes[0].next_step.endswith("complete by hand if all of it came, and never on the provider's word.")
    assert "lifi_settlement" not in {cause.name for cause in seen("provider paid, chain silent").causes}


def test_all_scenes_in_one_table(told: Told) -> None:
    lines = [f"{'scene':46} {'expected':24} first cause", *(f"{n:46} {e:24} {f}" for n, (e, f) in told.items())]
    print("\n" + "\n".join(lines))  # noqa: T201 - the table is what this test is for
    assert all(expected == first for expected, first in told.values())


def test_every_cause_of_the_table_has_a_scene() -> None:
    assert {cause.name for cause in CAUSES} == {expected for expected, _ in SCENES.values()}


@pytest.mark.parametrize("part", ["request id", "salt", "address", "letter case"])
def test_a_wrong_reference_is_explained_by_the_part_that_was_wrong(
    part: str, seen: Callable[[str], Inspection]
) -> None:
    first = seen(f"wrong reference: {part}").causes[0]
    assert any(f"(part: {part})" in text for text in first.evidence_for), first.evidence_for


def test_the_time_left_is_told_where_depth_is_missing(seen: Callable[[str], Inspection]) -> None:
    first = seen("too few confirmations").causes[0]
    assert any(re.search(r"about \d+ min \d+ s left", text) for text in first.evidence_for)


def test_the_safety_check_is_named(seen: Callable[[str], Inspection]) -> None:
    first = seen("held without a hash").causes[0]
    assert "the safety check waits on: missing_tx_hash" in first.evidence_for


def test_an_unknown_token_with_the_right_reference_is_told_and_pays_nothing(tmp_path: Path) -> None:
    found = looked_at(scene("spoofed_token"), tmp_path)
    assert (found.causes[0].name, found.causes[0].strength) == ("paid_wrong_token", Strength.PROVEN)


def test_an_event_of_which_the_token_knows_nothing_is_told_and_pays_nothing(tmp_path: Path) -> None:
    first = looked_at(scene("spoofed_uint256"), tmp_path).causes[0]
    assert first.name == "never_paid"
    assert any("is worth nothing" in text for text in first.evidence_for)


def test_a_check_that_the_row_does_not_name_is_told_by_the_evidence(tmp_path: Path) -> None:
    made = scene("safety_without_hash")
    del made.document["metadata"]["transactionSafety"]["lastCheck"]["reason"]
    first = looked_at(made, tmp_path).causes[0]
    assert first.name == "held_by_safety"
    assert first.evidence_for[1].endswith("not satisfied: hash (the row stores none), transfer (none is on the chain)")


def test_an_invoice_in_another_currency_than_the_dollar_has_lost_nothing_by_that(tmp_path: Path) -> None:
    found = looked_at(in_euro(credited="all"), tmp_path)
    assert "lost_credit" not in {cause.name for cause in found.causes}


def test_silence_of_delivery_records_is_told_and_concludes_nothing(seen: Callable[[str], Inspection]) -> None:
    found = seen("nobody kept deliveries")
    assert "webhook_never_delivered" not in {cause.name for cause in found.causes}
    assert any("no records were given" in text for text in found.not_asked)


def test_plain_money_to_the_right_address_on_another_chain_is_seen(tmp_path: Path) -> None:
    made = scene("abandoned", rail="request_network")
    registry = load_registry()
    own = registry.chain_id(made.document["blockchain"]["network"])
    other = next(chain for chain in (8453, 137) if chain != own)
    token = registry.token(other, "USDC")
    assert token is not None
    settings = written(made, tmp_path / "first")
    with open_sources(settings) as sources:
        from recon.sources.payments.read import payment_rows

        [document] = list(sources.store.fetch([made.payment_id]))
        row = payment_rows(
            [document], fields=sources.fields, registry=registry, policy=settings.policy()
        ).to_pylist()[0]  # fmt: skip
    if row["recipient"] in settings.recipients:
        pytest.fail("choose a seed whose recipient is not shared")
    made.add_coin(other, token=token.address, recipient=row["recipient"], units=10**6 * 10**token.decimals)
    found = looked_at(made, tmp_path / "second")
    assert found.causes[0].name == "paid_wrong_chain"
    assert any("money that does not fit: 1000000 USDC" in event.says for event in found.timeline)


DRESSES = (str.upper, "  {}\n".format, "\u202e{}\u200b".format, "`{}`".format, "0x{}".format)


def test_an_id_is_found_however_it_was_pasted(tmp_path: Path) -> None:
    made = scene("webhook_lost", rail="request_network")
    request_id = made.request["request"]["requestId"]
    for dress in DRESSES:
        assert Name("request_id", request_id) in names_of(dress(request_id)), dress(request_id)
    pasted = f"  `\u202e{request_id.upper()}\u200b`\n"
    assert looked_at(made, tmp_path, text=pasted).dossier.payment_id == made.payment_id


def test_reference_hash_address_and_order_number_lead_to_the_payment(tmp_path: Path) -> None:
    made = scene("overpaid", rail="request_network")
    settings = written(made, tmp_path)
    from recon.sources.payments.read import payment_rows

    with open_sources(settings) as sources:
        [document] = list(sources.store.fetch([made.payment_id]))
        row = payment_rows(
            [document], fields=sources.fields, registry=settings.registry(), policy=settings.policy()
        ).to_pylist()[0]  # fmt: skip
        for name in ("reference", "tx_hash", "recipient", "request_id"):
            text = " 0x" + row[name].removeprefix("0x").upper()
            found = gather_afresh(text, sources, asking=asking_of(settings, []))
            assert found.payment_id == made.payment_id, name


def test_a_transaction_that_no_row_records_leads_to_the_payment_by_its_reference(tmp_path: Path) -> None:
    made = scene("webhook_lost", rail="request_network")
    tx_hash = next(log["transactionHash"] for logs in made.logs.values() for log in logs if len(log["topics"]) == 2)
    found = looked_at(made, tmp_path, text=tx_hash)
    assert found.dossier.payment_id == made.payment_id
    assert any("reference" in how for how in found.dossier.found_by)


@pytest.mark.parametrize("plant", ["orphan_transfer", "orphan_request", "orphan_invoice"])
def test_what_no_row_knows_is_told_with_who_knows_it(plant: str, tmp_path: Path) -> None:
    made = scene(plant)
    key = made.world.truths[0].payment_id
    text = key.split(":")[2] if key.startswith("chain:") else key.split(":")[-1]
    found = looked_at(made, tmp_path, text=text)
    assert found.judged is None
    assert found.dossier.found_by
    assert "no row of the whole collection knows it" in render_report(render_inspection(found), output="md")


def test_something_that_nobody_knows_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnknownIdError) as caught:
        looked_at(scene("completed"), tmp_path / "hash", text="0x" + "ab" * 32)
    assert str(caught.value).count("\n") == 0
    assert "chain:56" in str(caught.value)
    with pytest.raises(UnknownIdError) as caught:
        looked_at(scene("completed"), tmp_path / "word", text="hello world")
    assert "chain:" not in str(caught.value), "a chain knows hashes, and was not asked for words"


@pytest.mark.parametrize("text", ["", "   ", "\u202e\u200b", "x" * 5000, "\x1b\x00"])
def test_what_can_be_no_id_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(NoIdError):
        names_of(text)


def test_every_reading_of_a_text_is_kept() -> None:
    assert names_of("0X" + "AB" * 8)[0] == Name("reference", "ab" * 8)
    assert names_of("665F1C2E9B1D8A0012345678")[:2] == (
        Name("payment_id", "665f1c2e9b1d8a0012345678"), Name("payment_id", '"665f1c2e9b1d8a0012345678"'),
    )  # fmt: skip
    assert Name("external_id", "Order-1") in names_of(" Order-1 ")
    tx = "0x" + "ab" * 32
    for said in (f"hi, I paid in {tx.upper()} yesterday!", f"\x1b[31m{tx}\x1b[0m", f"tx={tx}&x=1"):
        assert names_of(said)[0] == Name("tx_hash", tx), said
    assert all(name.kind != "tx_hash" for name in names_of(f"{tx} or 0x{'cd' * 32}")), "two hashes are no id"
    link = "https://etherscan.example/tx/0x" + "AB" * 32
    assert names_of(link)[0] == Name("tx_hash", "0x" + "ab" * 32)


def test_hostile_text_of_a_document_is_cleaned_on_screen_and_kept_in_evidence(tmp_path: Path) -> None:
    made = scene("webhook_lost", rail="request_network")
    nasty = "pending\x1b[2J\u202e<script>alert(1)</script>"
    made.document["status"] = nasty
    found = looked_at(made, tmp_path)
    assert found.judged is not None
    shown = render_report(render_inspection(found), output="table") + render_report(
        render_inspection(found), output="md"
    )
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "<script>" not in render_report(render_inspection(found), output="md")
    assert found.dossier.documents[made.payment_id]["status"] == nasty
