"""Monero: wallets that answer without having been asked, change that looks like money, chains that turn.

The numbers are those of the traps of the facts: 1 to 8 of the first run, m2 to m4 of the second run's chapters.

========================================= ==========================================================================
1 a dead daemon is invisible              test_a_wallet_whose_daemon_is_gone_or_frozen_has_not_been_asked
2 a frozen one hangs every read           the same, and test_a_wallet_that_hangs_is_asked_nothing_more
3 wallets follow every 20 seconds         test_a_restricted_wallet_is_waited_for_and_one_that_stays_behind_was_not_asked
4 reorg to a shorter chain                test_a_wallet_before_its_daemon_or_torn_from_it_has_not_been_asked
5 three wallets of one escrow differ      test_the_change_of_a_release_is_no_deposit_whichever_wallets_are_asked
6 several transfers, dust                 test_deposits_are_summed_by_transaction_and_address_and_dust_is_nothing
7 a proof that does not hold              test_a_proof_is_asked_of_any_wallet
8 nobody can look a payment up            test_money_at_an_address_that_no_wallet_has_is_never_called_absent
m2 double_spend_seen is no loss           test_money_in_the_pool_is_seen_and_proves_nothing
m2 destinations are lost in a reorg       test_a_release_whose_destination_is_lost_is_a_question_that_failed
m2 an address before the keys are there   test_money_sent_before_the_keys_of_an_escrow_were_exchanged_is_named
m2 multisig_import_needed is no proof     test_the_change_of_a_release_is_no_deposit_whichever_wallets_are_asked
1.2 amounts past 2^53, and as texts       test_a_missing_list_is_empty_and_the_largest_amount_keeps_every_digit
1.2 an amount as text or fraction         test_an_amount_that_is_no_whole_number_makes_the_wallet_unread
1.1 regtest has the addresses of mainnet  test_a_daemon_of_another_network_stops_the_run
2 a login is a digest                     test_a_login_is_a_digest_and_a_refused_one_shows_no_secret
2 restricted servers refuse to refresh    test_a_restricted_wallet_is_waited_for_and_one_that_stays_behind_was_not_asked
3 an unknown transaction is missed_tx     test_a_transaction_that_a_synchronised_daemon_does_not_know_is_not_found
m5 what left a wallet is never whole      test_what_left_a_wallet_is_never_said_to_be_whole
m3 integrated addresses                   test_an_integrated_address_is_told_from_the_address_alone
m3 unlock_time, coinbase                  test_locked_money_is_seen_and_not_final
m3 code 0 is an error, hosts are hidden   test_an_error_is_an_error_whatever_its_code_and_shows_no_host
m4.1 restored too late                    test_a_wallet_proves_absence_only_since_it_is_known_to_see
m4.2 a view-only wallet                   test_the_change_of_a_release_is_no_deposit_whichever_wallets_are_asked
m4.3 one file opened twice                test_an_error_is_an_error_whatever_its_code_and_shows_no_host
========================================= ==========================================================================
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from recon.core.errors import SourceError, WrongSourceError
from recon.core.ids import normalise_address, written_tx_hash
from recon.core.model import Finding, Policy
from recon.core.registry import load_registry
from recon.plans.file import Plan
from recon.plans.make import make_plan
from recon.setup.open_sources import Sources
from recon.snapshots.take import take_snapshot
from recon.sources.http import Clock, Secret
from recon.sources.interface import ChainQuestion, ClaimKey, Reading, Selection, no_progress
from recon.sources.payments.fields import FieldPaths
from recon.sources.payments.read import ListStore
from recon.sources.providers.installed import providers
from recon.sources.providers.monero.claims import WalletClaims
from recon.sources.providers.monero.ledger import MoneroLedger
from recon.sources.providers.monero.moved import FinalFrom
from recon.sources.providers.monero.networks import COIN, with_payment_id
from recon.sources.providers.monero.rpc import ServerTerms, UnansweredError
from recon.sources.providers.monero.settings import MoneroSection
from recon.sources.providers.monero.wallets import Wallets
from recon.testing import check_provider
from recon.testing.providers import SECRET
from tests.support.monero_world import (
    FAKECHAIN,
    XMR,
    FakeTx,
    MoneroWorld,
    a_subaddress,
    a_tx_hash,
    an_address,
)

BUYER = an_address("seller's payout")
ESCROW = an_address("escrow")
FIRST = a_subaddress("order 1")


def clock_of(world: MoneroWorld) -> Clock:
    """Time stands at the world's newest block; only sleeping moves it."""
    slept = [0.0]

    def sleep(seconds: float) -> None:
        slept[0] += seconds

    return Clock(now_ms=lambda: world.now_ms + int(slept[0] * 1000), monotonic=lambda: slept[0], sleep=sleep)


def wallets_of(world: MoneroWorld, *, sections: Mapping[str, Any] | None = None, **given: Any) -> Wallets:
    listed = [
        {"name": name, "url": f"http://w-{name}.test", "start_height": 0, **(sections or {}).get(name, {})}
        for name in world.wallets
    ]
    section = MoneroSection.model_validate({"daemon_url": "http://daemon.test", "wallets": listed, **given})
    reached = ServerTerms(transport=httpx.MockTransport(world.handler), clock=clock_of(world), calls_per_s=1e6)
    return Wallets(section, secret=lambda variable: Secret("user:password"), reached=reached, nettype="fakechain")


def ledger(world: MoneroWorld, **given: Any) -> MoneroLedger:
    return MoneroLedger(wallets_of(world, **given), by=FinalFrom(FAKECHAIN, 10))


def scan(world: MoneroWorld, *hashes: str, **given: Any) -> Reading:
    question = ChainQuestion(from_ms=0, tx_hashes=hashes)
    return ledger(world, **given).read(question, progress=no_progress)


def rows(reading: Reading, name: str = "transfers") -> list[dict[str, Any]]:
    return reading.tables[name].to_pylist()


def shop(*, blocks: int = 20, **given: Any) -> MoneroWorld:
    """One wallet with a subaddress for an order, on a chain of so many blocks."""
    world = MoneroWorld()
    world.mine(blocks)
    world.wallet("shop", others=(FIRST, a_subaddress("order 2")), **given)
    return world


# Verdicts


def an_order(number: int, *, to: str = FIRST, amount: str = "1.5", **given: Any) -> dict[str, Any]:
    chain = {"network": "monero-fakechain", **({"transactionHash": given.pop("tx")} if "tx" in given else {})}
    made = dt.datetime.fromtimestamp(1_795_176_000 + 60, dt.UTC)
    address = "moneroAddress" if given.get("direction", "in") == "in" else "payout_address"
    return {
        "_id": f"order-{number}", "provider": "monero", "direction": "in", "status": "pending",
        "amount": {"amount": amount, "currency": "XMR"}, "blockchain": chain, address: to,
        "createdAt": made, "updatedAt": made, **given,
    }  # fmt: skip


def findings(
    world: MoneroWorld, documents: Sequence[Mapping[str, Any]], folder: Path, **given: Any
) -> dict[str, Finding]:
    """What a plan of these documents says, by id; what is in sync is left out."""
    return {each.payment_id: each for each in plan_of(world, documents, folder, **given).findings}


def plan_of(world: MoneroWorld, documents: Sequence[Mapping[str, Any]], folder: Path, **given: Any) -> Plan:
    registry, fields = load_registry(), FieldPaths()
    policy = Policy(
        providers=("monero",), chain_ids=(FAKECHAIN,), confirmations_min={FAKECHAIN: 10},
        dust_units={f"{FAKECHAIN}:{COIN}": 10**8},
    )  # fmt: skip
    sources = Sources(
        store=ListStore(documents, fields=fields, registry=registry),
        claims=(WalletClaims(wallets_of(world, **given)),),
        chains=(ledger(world, **given),),
        fields=fields,
        target_name="test",
        provider_accounts=("monero:",),
    )
    now = dt.datetime.fromtimestamp(world.now_ms / 1000, dt.UTC)
    terms = {"selection": Selection(), "policy": policy, "registry": registry}
    snapshot = take_snapshot(sources, **terms, now=now, out=folder)  # type: ignore[arg-type]
    return make_plan(snapshot, policy=policy, engine="polars")


def verdict(world: MoneroWorld, folder: Path, document: Mapping[str, Any], **given: Any) -> str:
    found = findings(world, [document], folder, **given).get(str(document["_id"]))
    return "quiet" if found is None else str(found.verdict)


def test_the_provider_keeps_its_promises_and_finds_what_is_known() -> None:
    world = shop()
    section = MoneroSection.model_validate(
        {"daemon_url": "http://daemon.test", "wallets": [{"name": "shop", "url": "http://w-shop.test"}]}
    )
    world.base_s = 1_795_176_000 - 120 * len(world.blocks)  # the contract's clock stands at its own moment
    known = [ClaimKey(payment_id="p1", external_id=FIRST)]
    check_provider(providers()["monero"], section=section, answers=world.handler, known=known)
    assert SECRET not in json.dumps(world.calls)


# Whether it was asked at all


def test_a_deposit_is_one_transfer_with_its_block_and_confirmations() -> None:
    world = shop()
    deposit = world.pay("deposit", FIRST, 3 * XMR // 2)
    world.mine(10)
    (row,) = rows(scan(world, deposit.tx_hash))
    assert (row["tx_hash"], row["recipient"], row["amount_units"]) == (f"0x{deposit.tx_hash}", FIRST, 3 * XMR // 2)
    assert (row["confirmations"], row["final"], row["block"]) == (10, True, 20)
    (asked,) = rows(scan(world, f"0x{deposit.tx_hash}"), "transactions")
    assert (asked["outcome"], asked["final"]) == ("success", True)
    assert all(each.complete for each in scan(world).coverage)
    world.pop(1)
    world.wallets["shop"].height = 0
    assert rows(scan(world))[0]["final"] is False


def test_a_wallet_whose_daemon_is_gone_or_frozen_has_not_been_asked(tmp_path: Path) -> None:
    for daemon in ("gone", "frozen"):
        world = shop()
        world.pay("deposit", FIRST, XMR)
        world.mine(10)
        world.refresh(world.wallets["shop"])
        world.daemon = daemon
        reading = scan(world, a_tx_hash("deposit"))
        assert not any(each.complete for each in reading.coverage)
        assert [gap.to_ms for gap in reading.gaps] == [world.now_ms]
        assert [row["outcome"] for row in rows(reading, "transactions")] == ["failed"]
        assert rows(reading) == []
        claims = WalletClaims(wallets_of(world)).look_up([ClaimKey("p", external_id=FIRST)], progress=no_progress)
        assert [row["outcome"] for row in rows(claims, "claims")] == ["failed"]
        assert verdict(world, tmp_path / daemon, an_order(1)) == "lookup_failed"


def test_a_wallet_that_hangs_is_asked_nothing_more() -> None:
    world = shop()
    other = world.wallet("other")
    world.wallets["shop"].hangs = True
    reading = scan(world)
    assert world.wallets["shop"].calls == ["refresh"]
    assert "get_transfers" in other.calls
    (gap,) = reading.gaps
    assert "did not answer refresh" in gap.reason


def test_a_restricted_wallet_is_waited_for_and_one_that_stays_behind_was_not_asked() -> None:
    world = shop(restricted=True)
    world.mine(3)
    reading = scan(world)
    assert world.wallets["shop"].calls.count("get_height") > 5
    assert "is at block 20, and the daemon is at 23" in reading.gaps[0].reason
    world.refresh(world.wallets["shop"])
    assert scan(world).gaps == ()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"synchronized": False}, "has not caught up"),
        ({"busy_syncing": True}, "has not caught up"),
        ({"target_height": 900}, "at block 20 of 900"),
        ({"untrusted": True}, "does not trust"),
    ],
)
def test_a_daemon_that_is_behind_or_asks_another_has_not_been_asked(told: dict[str, Any], why: str) -> None:
    world = shop()
    world.info = told
    reading = scan(world, a_tx_hash("x"))
    assert why in reading.gaps[0].reason
    assert rows(reading, "transactions")[0]["outcome"] == "failed"
    assert world.wallets["shop"].calls == []


def test_a_daemon_whose_newest_block_is_old_stands_still() -> None:
    world = shop()
    world.base_s -= 3600
    clock = Clock(now_ms=lambda: world.now_ms + 3_600_000, monotonic=lambda: 0.0, sleep=lambda s: None)
    reached = ServerTerms(transport=httpx.MockTransport(world.handler), clock=clock)
    section = MoneroSection.model_validate({"daemon_url": "http://daemon.test"})
    read = Wallets(section, secret=Secret, reached=reached).read(progress=lambda done, total: None)
    assert read.problem == "the daemon's newest block is 60 minutes old"


def test_a_wallet_before_its_daemon_or_torn_from_it_has_not_been_asked(tmp_path: Path) -> None:
    world = shop()
    release = world.pay("deposit", FIRST, 3 * XMR // 2)
    world.mine(12)
    row = an_order(1, status="completed", escrowState="funded", tx=release.tx_hash)
    assert verdict(world, tmp_path / "before", row) == "quiet"
    world.pop(12)
    reading = scan(world, release.tx_hash)
    assert "before the daemon at 20" in reading.gaps[0].reason
    assert [(each["outcome"], each["final"]) for each in rows(reading, "transactions")] == [("pending", False)]
    assert not any(each["final"] for each in rows(reading))
    # As many blocks again, and the money is in another one.
    world.pool, held = [], world.pool
    world.mine(1)
    world.pool = held
    world.mine(11)
    world.follows = False
    assert "do not agree on 1 transfer" in scan(world).gaps[0].reason
    assert rows(scan(world)) == []
    world.follows = True
    assert scan(world).gaps == ()


def test_a_transaction_that_a_synchronised_daemon_does_not_know_is_not_found(tmp_path: Path) -> None:
    world = shop()
    row = an_order(1, status="completed", escrowState="funded", tx=a_tx_hash("never"))
    assert rows(scan(world, a_tx_hash("never")), "transactions")[0]["outcome"] == "not_found"
    assert verdict(world, tmp_path / "a", row) == "tx_not_found"
    counted = {**row, "blockchain": {**row["blockchain"], "confirmations": 10}}
    assert verdict(world, tmp_path / "b", counted) == "reorged"


def test_a_daemon_of_another_network_stops_the_run() -> None:
    world = shop()
    world.info = {"nettype": "mainnet"}
    with pytest.raises(WrongSourceError, match="should be fakechain and is mainnet"):
        scan(world)
    with pytest.raises(WrongSourceError):
        ledger(world).check()


def test_an_error_is_an_error_whatever_its_code_and_shows_no_host() -> None:
    for method, said in (
        ("get_transfers", {"error": {"code": 0, "message": ""}}),
        ("get_accounts", {"error": {"code": -13, "message": "No wallet file"}}),
        ("refresh", {"error": {"code": -1, "message": "Failed to open wallet at wallets.internal:18083"}}),
        ("get_transfers", {"result": [1]}),
    ):
        world = shop(wrong={method: said})
        (gap,) = scan(world).gaps
        assert method in gap.reason
        assert "wallets.internal" not in gap.reason
        with pytest.raises(SourceError, match="Check"):
            ledger(world).check()


@pytest.mark.parametrize("amount", ["1", 1.5, -1, True, 2**64, None, "1e3"])
def test_an_amount_that_is_no_whole_number_makes_the_wallet_unread(amount: object) -> None:
    world = shop()
    world.pay("deposit", FIRST, XMR)
    world.mine(1)
    world.refresh(world.wallets["shop"])
    told = world.wallets["shop"].told["in"][0] | {"amount": amount}
    world.wallets["shop"].wrong = {"get_transfers": {"result": {"in": [told]}}}
    assert "an amount is no whole number" in scan(world).gaps[0].reason


def test_a_missing_list_is_empty_and_the_largest_amount_keeps_every_digit() -> None:
    world = shop()
    assert rows(scan(world)) == []
    world.pay("deposit", FIRST, 2**64 - 1)
    world.mine(1)
    assert int(rows(scan(world))[0]["amount_units"]) == 2**64 - 1


# What moved


def escrow(*, blocks: int = 30) -> tuple[MoneroWorld, FakeTx]:
    """An escrow of three wallets with the same keys: 1.5 came, 0.4 went to the seller, the rest came back as change."""
    world = MoneroWorld()
    world.mine(10)
    for name, sees in (("vendor", "sent"), ("buyer", "cosigner"), ("arbiter", "third"), ("watcher", "view")):
        world.wallet(name, ESCROW, sees=sees)
    world.pay("deposit", ESCROW, 3 * XMR // 2)
    world.mine(blocks)
    release = world.pay("release", BUYER, 2 * XMR // 5, sender=ESCROW, change=1_098_191_600_000)
    return world, release


def test_the_change_of_a_release_is_no_deposit_whichever_wallets_are_asked() -> None:
    world, release = escrow()
    world.mine(10)
    asked = dict.fromkeys(world.wallets, 0)
    for name in ("vendor", "buyer"):
        for third in ("arbiter", "watcher"):
            part = MoneroWorld(blocks=world.blocks, wallets={each: world.wallets[each] for each in (name, third)})
            moved = {(row["tx_hash"][2:], row["recipient"]): int(row["amount_units"]) for row in rows(scan(part))}
            assert moved.pop((a_tx_hash("deposit"), ESCROW)) == 3 * XMR // 2
            assert moved == ({(release.tx_hash, BUYER): 2 * XMR // 5} if name == "vendor" else {})
            asked[name] += 1
    assert asked["vendor"] == asked["buyer"] == 2


def test_the_verdicts_of_an_escrow_before_and_after_its_release(tmp_path: Path) -> None:
    world, release = escrow()
    deal = {"buyerId": "b", "purchaseRequestId": "r", "sellerOfferId": "o"}
    paid_in = an_order(1, to=ESCROW, status="completed", escrowState="funded", tx=a_tx_hash("deposit"), **deal)
    paid_out = an_order(2, to=BUYER, amount="0.4", direction="out", escrowState="releasing", tx=release.tx_hash, **deal)
    found = findings(world, [paid_in, paid_out], tmp_path / "pool")
    assert {key: str(each.verdict) for key, each in found.items()} == {"order-2": "insufficient_confirmations"}
    world.mine(10)
    found = findings(world, [paid_in, paid_out], tmp_path / "mined")
    assert {key: (str(each.verdict), str(each.tier)) for key, each in found.items()} == {
        "order-2": ("local_behind", "review")
    }


def test_a_release_whose_destination_is_lost_is_a_question_that_failed(tmp_path: Path) -> None:
    world, release = escrow()
    world.mine(10)
    for each in world.wallets.values():
        each.sees = "cosigner" if each.sees == "sent" else each.sees
        each.height = 0
    (asked,) = rows(scan(world, release.tx_hash), "transactions")
    assert asked["outcome"] == "failed"
    assert "none of them knows any more where it went" in asked["error"]
    paid_out = an_order(2, to=BUYER, amount="0.4", direction="out", escrowState="releasing", tx=release.tx_hash)
    assert verdict(world, tmp_path / "a", paid_out) == "lookup_failed"
    # Without any hash it is stuck, once it is old enough; that no wallet has the seller's address is nothing.
    paid_out["moneroAddress"] = BUYER
    del paid_out["blockchain"]["transactionHash"]
    world.mine(60)
    assert verdict(world, tmp_path / "b", paid_out) == "stuck_release"


def test_deposits_are_summed_by_transaction_and_address_and_dust_is_nothing(tmp_path: Path) -> None:
    world = shop()
    world.pool.append(FakeTx(a_tx_hash("two"), [(FIRST, XMR), (a_subaddress("order 2"), XMR // 2)]))
    world.pay("rest", FIRST, XMR // 2)
    world.mine(12)
    reading = scan(world)
    assert len(rows(reading)) == 3
    assert len({(row["tx_hash"], row["log_index"]) for row in rows(reading)}) == 3
    assert verdict(world, tmp_path / "whole", an_order(1)) == "local_behind"
    part = an_order(2, to=a_subaddress("order 2"))
    assert verdict(world, tmp_path / "part", part) == "underpaid"
    dusty = shop()
    dusty.pay("dust", FIRST, 1)
    dusty.mine(12)
    assert verdict(dusty, tmp_path / "dust", an_order(1)) == "quiet"


def test_two_wallets_of_the_same_keys_are_one_witness_and_may_not_contradict_each_other() -> None:
    world, _ = escrow()
    (row,) = (row for row in rows(scan(world)) if row["recipient"] == ESCROW)
    assert int(row["amount_units"]) == 3 * XMR // 2
    told = world.wallets["arbiter"].told
    wrong = {"in": [row | {"amount": 1} if row["amount"] == 3 * XMR // 2 else row for row in told["in"]]}
    world.wallets["arbiter"].wrong = {"get_transfers": {"result": wrong}}
    reading = scan(world)
    assert "two wallets tell different things of 1 transaction" in reading.gaps[0].reason
    assert not [row for row in rows(reading) if row["recipient"] == ESCROW]


def test_money_in_the_pool_is_seen_and_proves_nothing(tmp_path: Path) -> None:
    world = shop()
    world.pay("deposit", FIRST, 3 * XMR // 2, double_spend_seen=True)
    (row,) = rows(scan(world))
    assert (row["confirmations"], row["final"]) == (0, False)
    assert verdict(world, tmp_path / "pool", an_order(1)) == "insufficient_confirmations"
    world.mine(10)
    assert verdict(world, tmp_path / "mined", an_order(1)) == "local_behind"


def test_locked_money_is_seen_and_not_final(tmp_path: Path) -> None:
    for given in ({"unlock_time": 200}, {"is_coinbase": True}):
        world = shop()
        world.pay("deposit", FIRST, 3 * XMR // 2, **given)
        world.mine(12)
        assert rows(scan(world))[0]["final"] is False
        assert verdict(world, tmp_path / str(given), an_order(1)) == "insufficient_confirmations"
        world.mine(170)
        assert rows(scan(world))[0]["final"] is True


def test_an_integrated_address_is_told_from_the_address_alone(tmp_path: Path) -> None:
    world = shop()
    main = world.wallets["shop"].main
    ours = with_payment_id(main, "1122334455667788")
    assert ours is not None
    assert normalise_address(f" {ours} ") == ours
    assert normalise_address(ours[:-1] + "1") is None
    assert normalise_address(ours.lower()) is None
    world.pay("right", main, 3 * XMR // 2, payment_id="1122334455667788")
    world.pay("without", main, 3 * XMR // 2)
    world.mine(12)
    assert sorted(row["recipient"] for row in rows(scan(world))) == sorted([ours, main])
    assert verdict(world, tmp_path / "a", an_order(1, to=ours)) == "local_behind"
    other = with_payment_id(main, "00000000000000aa")
    assert verdict(world, tmp_path / "b", an_order(1, to=str(other))) in ("in_transit", "quiet")


def test_money_at_an_address_that_no_wallet_has_is_never_called_absent(tmp_path: Path) -> None:
    world = shop()
    foreign = an_order(1, to=a_subaddress("of nobody"), status="completed", escrowState="funded")
    assert verdict(world, tmp_path / "foreign", foreign) == "lookup_failed"
    ours = an_order(1, status="completed", escrowState="funded")
    assert verdict(world, tmp_path / "ours", ours) == "local_ahead"
    pending = an_order(2, to=an_address("of nobody"))
    assert verdict(world, tmp_path / "pending", pending) == "lookup_failed"


def test_money_sent_before_the_keys_of_an_escrow_were_exchanged_is_named(tmp_path: Path) -> None:
    """A multisig wallet gives one and the same address until its keys are exchanged: nobody can spend from it."""
    early = "41fJjQDhryD1111" + "1" * 80
    claims = WalletClaims(wallets_of(shop())).look_up([ClaimKey("p", external_id=early)], progress=no_progress)
    (row,) = rows(claims, "claims")
    assert (row["outcome"], "before its keys were exchanged" in str(row["error"])) == ("failed", True)
    funded = an_order(1, to=early, status="completed", escrowState="funded")
    assert verdict(shop(), tmp_path, funded) == "lookup_failed"


def test_a_wallet_proves_absence_only_since_it_is_known_to_see(tmp_path: Path) -> None:
    world = shop(restore_height=15)
    row = an_order(1, status="completed", escrowState="funded")
    silent = {"shop": {"start_height": None}}
    assert verdict(world, tmp_path / "nothing", row, sections=silent) == "unproven"
    world.pay("old", a_subaddress("order 2"), XMR)
    world.mine(1)
    (gap,) = scan(world, sections=silent).gaps
    assert gap.to_ms == world.time_of(20) * 1000
    assert verdict(world, tmp_path / "older", row, sections=silent) == "unproven"
    missing = {"shop": {"canary": a_tx_hash("very old")}}
    world.blocks[3].append(FakeTx(a_tx_hash("very old"), [(FIRST, XMR)]))
    assert "restored at too late a block" in scan(world, sections=missing).gaps[0].reason
    world.wallets["shop"].restore_height = 0
    assert scan(world, sections={"shop": {"canary": a_tx_hash("very old"), "start_height": 0}}).gaps == ()


def test_what_left_a_wallet_is_never_said_to_be_whole() -> None:
    world, release = escrow()
    world.mine(10)
    question = ChainQuestion(from_ms=0, senders=(ESCROW,), proxies=False)
    reading = ledger(world).read(question, progress=no_progress)
    assert [(row["tx_hash"][2:], row["sender"]) for row in rows(reading)] == [(release.tx_hash, ESCROW)]
    assert {row["sender"] for row in rows(scan(world))} == {None}
    assert "may be unknown to it" in reading.gaps[0].reason


def test_a_proof_is_asked_of_any_wallet() -> None:
    proof = {"good": False, "received": 0, "in_pool": False, "confirmations": 0}
    world = shop(wrong={"check_tx_proof": {"result": proof}})
    said = wallets_of(world).prove(a_tx_hash("x"), address=FIRST, message="order-1", signature="OutProofV2")
    assert (said["good"], said["received"]) == (False, 0)
    world.wallets["shop"].wrong = {"check_tx_proof": {"error": {"code": -1, "message": "no daemon"}}}
    with pytest.raises(UnansweredError, match="error -1"):
        wallets_of(world).prove(a_tx_hash("x"), address=FIRST, message="order-1", signature="OutProofV2")


def test_hashes_are_written_as_the_chain_writes_them(tmp_path: Path) -> None:
    world = shop()
    deposit = world.pay("deposit", FIRST, 3 * XMR // 2)
    world.mine(12)
    assert written_tx_hash("0xab", chain_id=FAKECHAIN) == "ab"
    assert written_tx_hash("0xab", chain_id=8453) == "0xab"
    assert written_tx_hash("0xab", chain_id=None) == "0xab"
    document = an_order(1)
    (change,) = plan_of(world, [document], tmp_path / "plan").changes
    assert {each.path: each.after for each in change.sets}["blockchain.transactionHash"] == deposit.tx_hash
    upper = {**document, "status": "completed", "escrowState": "funded"}
    upper["blockchain"] = {**upper["blockchain"], "transactionHash": deposit.tx_hash.upper(), "confirmations": 10}
    assert verdict(world, tmp_path / "upper", upper) == "quiet"


def test_a_login_is_a_digest_and_a_refused_one_shows_no_secret() -> None:
    seen: list[str] = []

    def asks_for_login(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization", ""))
        challenge = 'Digest qop="auth",algorithm=MD5,realm="monero-rpc",nonce="bLPLi15t80XGRfQs",stale=false'
        return httpx.Response(401, headers={"www-authenticate": challenge}, text="<html>401</html>")

    section = MoneroSection.model_validate(
        {"daemon_url": "http://daemon.test", "daemon_login_variable": "LOGIN", "wallets": []}
    )
    reached = ServerTerms(transport=httpx.MockTransport(asks_for_login))
    read = Wallets(section, secret=lambda v: Secret("reader:opensesame"), reached=reached).read(
        progress=lambda done, total: None
    )
    assert seen[0] == ""
    assert seen[1].startswith('Digest username="reader"')
    assert "opensesame" not in " ".join(seen) + str(read.problem)
    assert "refuses the login" in str(read.problem)


def test_a_login_does_not_stand_in_the_file() -> None:
    with pytest.raises(ValueError, match="name the variable"):
        MoneroSection.model_validate({"daemon_url": "http://u:p@daemon.test"})
