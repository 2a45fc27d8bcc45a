"""A chain as a source: what a reading gives, exact times, finality, and what doctor asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from recon.core.errors import ConfigError, SourceError, WrongSourceError
from recon.core.ids import reference_topic
from recon.core.registry import TRANSFER_WITH_REFERENCE_AND_FEE, ChainFacts
from recon.sources.chain.blocks import NEAR_ENOUGH
from recon.sources.chain.endpoints import finality_of
from recon.sources.chain.evm import ChainSettings, ClockSkewError, Endpoint, EvmChain, TokenFactsError
from recon.sources.chain.logs import decode_transfer
from recon.sources.http import Clock
from recon.sources.interface import ChainQuestion
from tests.support import vendor_faults as vendor
from tests.support.chain_reading import (
    DAY_MS,
    HEAD,
    NOW_MS,
    PROXY,
    REGISTRY,
    SECRET,
    US,
    USDC,
    USDT,
    amounts,
    ask,
    assert_whole,
    chain_of,
    node_with,
    outcomes,
    row_of,
)
from tests.support.monero_world import a_subaddress
from tests.support.onchain import Chain
from tests.support.vendor_faults import NOW_S, FakeNode, address, digest, handler_of

# What a reading gives


def test_a_window_is_scanned_whole_and_says_so() -> None:
    node = node_with()
    reading = ask(chain_of(handler_of(node.answer)))
    assert_whole(reading, 30)
    row = row_of(reading, "proxy")
    assert (row.source, row.chain_id, row.unit, row.items) == ("chain:56", 56, "block", 30)
    assert (row.done_from, row.done_to) == (row.asked_from, row.asked_to)
    assert (row.head, row.final_head, row.finality_rule) == (HEAD, HEAD - 3, "finalized")
    assert row.calls > 0 and row.wire_bytes > 0 and row.pages > 0


def test_receipts_alone_are_asked_for_in_one_call_and_nothing_is_scanned() -> None:
    node, asked = node_with(50), []
    hashes = tuple(digest(number, kind=0x7A) for number in range(50))

    def count(body: Any) -> Any:
        asked.append(body)
        return node.answer(body)

    reading = ask(chain_of(handler_of(count)), tx_hashes=hashes, receipts_only=True)
    assert [row.scope for row in reading.coverage] == ["receipts"]
    assert reading.coverage[0].calls == 1
    rows = reading.tables["transactions"].to_pylist()
    assert len(rows) == 50
    assert {row["outcome"] for row in rows} == {"success"}
    assert reading.tables["transfers"].num_rows >= 50
    assert "eth_getLogs" not in str(asked)


def test_the_tables_have_exactly_their_schemas_and_are_sorted() -> None:
    from recon.core.tables import arrow_schema

    node = node_with()
    reading = ask(chain_of(handler_of(node.answer)), tx_hashes=(digest(3, kind=0x7A), digest(1, kind=0x7A)))
    for name, table in reading.tables.items():
        assert table.schema.equals(arrow_schema(name))
        table.validate(full=True)
    blocks = reading.tables["transfers"]["block"].to_pylist()
    assert blocks == sorted(blocks)
    assert reading.tables["transactions"]["tx_hash"].to_pylist() == [digest(1, kind=0x7A), digest(3, kind=0x7A)]


def test_the_same_world_read_twice_gives_the_same_tables() -> None:
    first, second = (ask(chain_of(handler_of(node_with().answer))) for _ in range(2))
    assert first.tables["transfers"].equals(second.tables["transfers"]) and first.coverage == second.coverage


def test_the_scan_starts_just_before_the_window_in_few_calls() -> None:
    node = node_with(0)
    reading = ask(chain_of(handler_of(node.answer)), days=7)
    start = row_of(reading, "proxy").asked_from
    assert start is not None
    from_s = NOW_S - 7 * 86_400
    assert node.time_s(start) < from_s <= node.time_s(start + NEAR_ENOUGH)
    assert node.count("eth_getBlockByNumber") < 25


def test_uneven_block_times_are_searched_too() -> None:
    node = node_with(0)
    slow, fast = 12.0, 0.75
    turn = HEAD - 1_000_000

    def time_s(number: int) -> int:
        return int(NOW_S - (HEAD - number) * fast if number >= turn else NOW_S - 1e6 * fast - (turn - number) * slow)

    node.time_s = time_s  # type: ignore[method-assign]
    reading = ask(chain_of(handler_of(node.answer)), days=100)
    start = row_of(reading, "proxy").asked_from
    assert start is not None
    assert time_s(start) < NOW_S - 100 * 86_400 <= time_s(start + NEAR_ENOUGH)


def test_the_scan_never_starts_before_the_contracts_were_created() -> None:
    reading = ask(chain_of(handler_of(node_with(0, head=11_600_000).answer)), days=365)
    assert row_of(reading, "proxy").asked_from == 11_540_173


def test_a_chain_whose_first_blocks_are_missing_is_read_from_the_first_one_there() -> None:
    node = node_with(3, first_block=HEAD - 2_000)
    reading = ask(chain_of(handler_of(node.answer)), recipients=(US,))
    assert row_of(reading, "erc20").asked_from == HEAD - 2_000


def test_every_kind_of_emitter_is_asked_for_at_once_by_topic() -> None:
    node = FakeNode(chain_id=137, head=70_000_000, block_s=2.0, finalized=70_000_000)
    for n, emitter in enumerate(REGISTRY.emitters_of(137)):
        node.pay(emitter=emitter.address, block=69_999_000 + n, tx=n)
    found = ask(chain_of(handler_of(node.answer), chain_id=137)).tables["transfers"]
    by_address = {emitter.address: emitter.kind for emitter in REGISTRY.emitters_of(137)}
    assert len(by_address) > 5
    assert dict(zip(found["emitter"].to_pylist(), found["kind"].to_pylist(), strict=True)) == by_address
    question = next(params[0] for method, params in node.calls if method == "eth_getLogs")
    assert sorted(question["address"]) == sorted(by_address)
    assert question["topics"] == [TRANSFER_WITH_REFERENCE_AND_FEE]


def test_transfers_to_the_asked_recipients_are_read_and_others_are_not() -> None:
    node = node_with(0)
    node.transfer(token=USDT, to=US, amount=7, block=HEAD - 50, tx=1)
    node.transfer(token=address(0xBAD), to=US, amount=8, block=HEAD - 50, tx=2, index=1)
    node.transfer(token=USDT, to=address(0x98), amount=9, block=HEAD - 50, tx=3, index=2)
    both = ask(chain_of(handler_of(node.answer)), recipients=(US.upper().replace("0X", "0x"),), proxies=False)
    assert amounts(both) == [7, 8]
    assert both.tables["transfers"]["token_known"].to_pylist() == [True, False]
    only = ask(chain_of(handler_of(node.answer)), recipients=(US,), tokens=(USDT,), proxies=False)
    assert amounts(only) == [7]
    assert [row.scope for row in only.coverage] == ["erc20"]


def test_the_merchants_own_addresses_are_always_read() -> None:
    node = node_with(0)
    node.transfer(token=USDT, to=US, amount=7, block=HEAD - 50, tx=1)
    assert amounts(ask(chain_of(handler_of(node.answer), merchant_recipients=(US,)))) == [7]


def test_an_address_of_another_kind_of_chain_is_no_recipient_here() -> None:
    """Beside rails of other kinds, their open rows wait at addresses that no node of this kind understands."""
    node = node_with()
    ask(chain_of(handler_of(node.answer)), recipients=(a_subaddress("an order"), US))
    topics = [params[0]["topics"] for method, params in node.calls if method == "eth_getLogs"]
    assert ["0x" + "0" * 24 + US[2:]] in [asked[2] for asked in topics if len(asked) > 2]


def test_many_recipients_are_asked_in_parts_and_the_list_is_halved_where_it_is_too_long() -> None:
    node = node_with(0)
    recipients = tuple(address(0x1000 + n) for n in range(1_500))
    for n, recipient in enumerate(recipients[::100]):
        node.transfer(token=USDT, to=recipient, amount=n + 1, block=HEAD - 50 - n, tx=n)
    answer = vendor.limit_addresses(node.answer, 100)
    reading = ask(chain_of(handler_of(answer)), days=0.01, recipients=recipients, proxies=False)
    assert_whole(reading, 15)


def test_progress_counts_to_its_total() -> None:
    seen: list[tuple[str, int, int | None]] = []
    chain = chain_of(handler_of(node_with().answer))
    question = ChainQuestion(from_ms=NOW_MS - DAY_MS, recipients=(US,), tx_hashes=(digest(5),))
    chain.read(question, progress=lambda *told: seen.append(told))
    assert seen[-1][1] == seen[-1][2] and [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


# Block times


def test_times_are_taken_from_logs_and_checked_by_sample() -> None:
    node = node_with()
    reading = ask(chain_of(handler_of(node.answer)))
    table = reading.tables["transfers"]
    stated = dict(zip(table["block"].to_pylist(), table["block_time"].to_pylist(), strict=True))
    assert stated == {block: node.time_s(block) * 1_000 for block in stated}
    assert node.count("eth_getBlockByNumber") < 20


def test_times_that_logs_state_wrongly_are_read_from_the_blocks() -> None:
    node = node_with()
    lie = vendor.change_logs(node.answer, lambda logs: [{**log, "blockTimestamp": "0x1"} for log in logs])
    table = ask(chain_of(handler_of(lie))).tables["transfers"]
    for block, time in zip(table["block"].to_pylist(), table["block_time"].to_pylist(), strict=True):
        assert time == node.time_s(block) * 1_000


def test_without_times_in_logs_each_block_is_read_once_in_batches() -> None:
    node = node_with(states_times=False)
    for n in range(30):
        node.pay(emitter=PROXY, block=HEAD - 100 - n * 500, tx=100 + n, index=1, amount=100)
    requests = [0]

    def counted(body: bytes) -> vendor.Reply:
        requests[0] += b"eth_getBlockByNumber" in body
        return handler_of(node.answer)(body)

    table = ask(chain_of(counted)).tables["transfers"]
    assert table["block_time"].null_count == 0
    assert requests[0] < 20


def test_a_transfer_whose_time_nobody_gives_leaves_its_block_open() -> None:
    node, hidden = node_with(payments=0, states_times=False), HEAD - 600
    for n, block in enumerate((HEAD - 100, hidden)):
        node.transfer(token=USDT, to=US, amount=n + 1, block=block, tx=n)

    def without_it(call: dict[str, Any]) -> Any:
        is_hidden = call["method"] == "eth_getBlockByNumber" and call["params"][0] == hex(hidden)
        return None if is_hidden else node.answer(call)

    reading = ask(chain_of(handler_of(without_it)), recipients=(US,))
    assert [(gap.scope, gap.from_block, gap.to_block) for gap in reading.gaps] == [("erc20", hidden, hidden)]
    assert "time of block" in reading.gaps[0].reason
    assert row_of(reading, "proxy").complete


# Finality (facts C4)

BSC, POLYGON = REGISTRY.chains[56], REGISTRY.chains[137]


@pytest.mark.parametrize(
    ("facts", "finalized", "fell", "block", "rule"),
    [
        (BSC, 998, False, 998, "finalized"),
        (BSC, None, False, 910, "depth:90"),
        (BSC, 1_001, False, 910, "depth:90"),
        (BSC, -1, False, 910, "depth:90"),
        (BSC, 998, True, 910, "min(finalized,depth:90)"),
        (POLYGON, 998, False, 500, "min(finalized,depth:500)"),
        (POLYGON, 300, False, 300, "min(finalized,depth:500)"),
        (POLYGON, None, False, 500, "depth:500"),
    ],
)
def test_which_block_is_final(facts: ChainFacts, finalized: int | None, fell: bool, block: int, rule: str) -> None:
    found = finality_of(facts, head=1_000, finalized=finalized, fell=fell)
    assert (found.block, found.rule) == (block, rule)


def test_a_finalized_block_that_is_hours_behind_is_not_used() -> None:
    assert finality_of(BSC, head=1_000_000, finalized=900_000).rule == "depth:90"


def test_a_short_chain_has_no_final_block() -> None:
    assert finality_of(BSC, head=50, finalized=None).block == -1


def test_final_needs_the_rule_and_the_backends_own_minimum() -> None:
    node = FakeNode(finalized=HEAD - 3)
    for n, block in enumerate((HEAD - 2, HEAD - 3, HEAD - 10, HEAD - 11)):
        node.pay(emitter=PROXY, block=block, tx=n, amount=HEAD - block)
    table = ask(chain_of(handler_of(node.answer))).tables["transfers"]
    found = {
        int(a): (c, f)
        for a, c, f in zip(*(table[c].to_pylist() for c in ("amount_units", "confirmations", "final")), strict=True)
    }
    assert found == {2: (3, False), 3: (4, False), 10: (11, False), 11: (12, True)}


def test_a_finalized_block_that_fell_is_not_trusted_alone() -> None:
    node = node_with(1)
    chain = chain_of(handler_of(node.answer))
    assert row_of(ask(chain), "proxy").finality_rule == "finalized"
    node.finalized = HEAD - 10
    assert row_of(ask(chain), "proxy").finality_rule == "min(finalized,depth:90)"


# Doctor


def healthy(**values: Any) -> FakeNode:
    node = node_with(0, **values)
    node.decimals = {address: token.decimals for (chain, address), token in REGISTRY.tokens.items() if chain == 56}
    return node


def test_check_says_what_is_there() -> None:
    said = chain_of(handler_of(healthy().answer), vendor.web_page()).check()
    assert "chain:56 (bsc): node0.example is at block 20000000, 0 s old, finalized 19999997" in said
    assert "not answering: node1.example" in said and SECRET not in said


def test_check_says_where_the_finalized_tag_is_missing() -> None:
    node = healthy()
    node.finalized = None
    assert "without the finalized tag" in chain_of(handler_of(node.answer)).check()


def test_check_refuses_a_wrong_chain_behind_any_endpoint() -> None:
    with pytest.raises(WrongSourceError):
        chain_of(handler_of(healthy().answer), handler_of(FakeNode(chain_id=97).answer)).check()


def test_check_fails_where_nobody_answers() -> None:
    with pytest.raises(SourceError, match="no RPC endpoint can be used"):
        chain_of(vendor.web_page()).check()


@pytest.mark.parametrize("off_s", [-3_600, 600])
def test_check_sees_clocks_that_disagree(off_s: int) -> None:
    with pytest.raises(ClockSkewError, match=r"newest block of node0\.example"):
        chain_of(handler_of(healthy(now_s=NOW_S + off_s).answer)).check()


def test_decimals_are_those_of_the_contract_and_usdc_has_18_on_bnb_chain() -> None:
    node = healthy()
    assert "at block" in chain_of(handler_of(node.answer)).check()
    node.decimals[USDC] = 6
    with pytest.raises(TokenFactsError, match=f"USDC {USDC}: the registry says 18 decimals, the contract says 6"):
        chain_of(handler_of(node.answer)).check()
    del node.decimals[USDC]
    with pytest.raises(TokenFactsError, match="no contract answers"):
        chain_of(handler_of(node.answer)).check()


def test_settings_that_cannot_be_meant_are_refused() -> None:
    endpoint = Endpoint("https://node.example/")
    with pytest.raises(ConfigError, match="no RPC endpoint"):
        ChainSettings(56, ())
    with pytest.raises(ConfigError, match="batch_max"):
        ChainSettings(56, (endpoint,), batch_max=0)
    with pytest.raises(ConfigError, match="Chain 999 is not known"):
        EvmChain(ChainSettings(999, (endpoint,)), registry=REGISTRY)


def test_no_url_is_in_any_text_of_a_reading() -> None:
    chain = chain_of(lambda body: vendor.Reply(f"bad key {SECRET}".encode(), 401))
    reading = ask(chain, tx_hashes=(digest(1),))
    told = json.dumps([row.problem for row in reading.coverage] + [gap.reason for gap in reading.gaps])
    assert "node0.example" in told and SECRET not in told + repr(chain.settings)


# A real node and the real contract


def on_chain(chain: Chain, *, handler: vendor.Handler | None = None, **settings: Any) -> EvmChain:
    """The source over a real chain, over HTTP, with a clock that stands at its head."""
    given = {"rate_per_s": None, "head_margin_blocks": 0, **settings}
    return EvmChain(
        ChainSettings(chain.chain_id, (Endpoint(chain.url),), **given),
        registry=REGISTRY,
        transport=None if handler is None else vendor.transport(handler),
        clock=Clock(now_ms=lambda: chain.block_time() * 1_000),
    )


def question_of(chain: Chain, **given: Any) -> ChainQuestion:
    return ChainQuestion(from_ms=(chain.block_time() - 86_400) * 1_000, **given)


def test_real_payments_through_the_real_proxy_are_read_exactly(start_chain: Callable[..., Chain]) -> None:
    chain = start_chain(56, number=30_000_000)
    shop, fees = address(0x5401), address(0xFEE5)
    plain = chain.pay(USDT, shop, 1_250_000, reference="86dfbccad783599a", fee_units=12_500, fee_to=fees)
    phantom = chain.pay(USDT, shop, 7, reference="00" * 8, fee_units=5)
    long = chain.pay(USDT, shop, 8, reference="ab" * 100)
    bare = chain.transfer(USDC, shop, 99)
    reverted = chain.pay(USDT, shop, 9, reference="01" * 8, payer=chain.accounts[1], approve=False, check=False)
    chain.mine(20)
    hashes = (plain, reverted, digest(5))
    reading = on_chain(chain).read(question_of(chain, recipients=(shop,), tx_hashes=hashes))
    rows = {(row["tx_hash"], row["kind"]): row for row in reading.tables["transfers"].to_pylist()}
    paid = rows[plain, "fee_proxy"]
    assert (paid["amount_units"], paid["fee_units"], paid["fee_recipient"]) == (1_250_000, 12_500, fees)
    assert (paid["emitter"], paid["token"], paid["recipient"]) == (PROXY, USDT, shop)
    # The first by its receipt, the others by the scan of the recipient's transfers.
    measured = [rows[tx, "fee_proxy"] for tx in (plain, phantom, long)]
    assert [(int(row["moved_units"]), row["stated_only"]) for row in measured] == [
        (1_250_000, False), (7, False), (8, False),
    ]  # fmt: skip
    assert paid["reference_topic"] == reference_topic("86dfbccad783599a")
    assert paid["block_time"] == chain.block_time(paid["block"]) * 1_000
    assert paid["confirmations"] == chain.head() - paid["block"] + 1 and paid["final"] is True
    assert (rows[phantom, "fee_proxy"]["fee_units"], rows[phantom, "fee_proxy"]["fee_recipient"]) == (None, None)
    assert rows[long, "fee_proxy"]["reference_topic"] == reference_topic("ab" * 100)
    assert rows[bare, "erc20"]["amount_units"] == 99 and rows[bare, "erc20"]["sender"] == chain.payer
    assert outcomes(reading) == {plain: "success", reverted: "reverted", digest(5): "not_found"}
    assert reading.gaps == () and all(row.complete for row in reading.coverage)
    assert row_of(reading, "proxy").finality_rule == "finalized"
    for log in chain.proxy_logs():
        exact = decode_transfer(log)
        assert rows[exact.tx_hash, "fee_proxy"]["amount_units"] == exact.amount_units


def test_a_token_that_lies_gives_amounts_that_enter_no_sum(start_chain: Callable[..., Chain]) -> None:
    chain = start_chain(56)
    fake = chain.deploy_fake_token(address(0xFA4E))
    huge = 2**256 - 1
    chain.pay(fake, address(0x5401), huge, reference="02" * 8, fee_units=huge, fee_to=address(1), approve=False)
    (row,) = on_chain(chain).read(question_of(chain)).tables["transfers"].to_pylist()
    assert (row["amount_units"], row["amount_text"], row["token_known"]) == (None, str(2**256 - 1), False)


def test_a_real_node_says_what_addresses_hold_and_which_ever_sent_anything(start_chain: Callable[..., Chain]) -> None:
    chain = start_chain(56)
    full, swept, never = address(0x5401), address(0x5402), address(0x5403)
    chain.transfer(USDT, full, 77)
    chain.transfer(USDT, swept, 5)
    chain.transfer(USDT, chain.payer, 5, payer=chain.impersonate(swept))
    chain.mine(4)
    reading = on_chain(chain).read_holdings([(place, USDT) for place in (full, swept, never)])
    rows = {row["address"]: (int(row["units"]), row["sent"]) for row in reading.tables["holdings"].to_pylist()}
    assert rows == {full: (77, None), swept: (0, 1), never: (0, 0)}
    (told,) = reading.coverage
    assert (told.scope, told.items, told.problem) == ("holdings", 3, None)


def test_a_token_that_moves_nothing_is_measured_as_nothing(start_chain: Callable[..., Chain]) -> None:
    chain, shop = start_chain(56), address(0x5401)
    fake = chain.deploy_fake_token(address(0xFA4E))
    tx_hash = chain.pay(fake, shop, 55, reference="02" * 8, approve=False)
    for given in ({"tx_hashes": (tx_hash,), "proxies": False}, {"recipients": (shop,)}):
        (row,) = on_chain(chain).read(question_of(chain, **given)).tables["transfers"].to_pylist()
        assert (int(row["amount_units"]), int(row["moved_units"]), row["stated_only"]) == (55, 0, False)
    (row,) = on_chain(chain).read(question_of(chain)).tables["transfers"].to_pylist()
    assert (row["moved_units"], row["stated_only"]) == (None, True)


def test_a_token_that_nobody_knows_is_asked_for_its_name_where_that_is_wanted(
    start_chain: Callable[..., Chain],
) -> None:
    chain, shop = start_chain(56), address(0x5401)
    odd = chain.deploy_token(address(0x0DD1), symbol="USDX", decimals=9)
    tx_hash = chain.transfer(odd, shop, 7)
    silent = address(0x0DD2)
    question = question_of(chain, tx_hashes=(tx_hash,), proxies=False, odd_tokens=(odd, silent))
    (row,) = on_chain(chain).read(question).tables["transfers"].to_pylist()
    assert (row["token"], row["token_symbol"], row["token_decimals"]) == (odd, "USDX", 9)


def test_a_real_reorganisation_takes_its_payment_back(start_chain: Callable[..., Chain]) -> None:
    chain = start_chain(56)
    tx_hash = chain.pay(USDT, address(0x5401), 5, reference="03" * 8)
    source = on_chain(chain)
    before = source.read(question_of(chain, tx_hashes=(tx_hash,)))
    assert outcomes(before) == {tx_hash: "success"} and before.tables["transfers"]["final"].to_pylist() == [False]
    chain.reorg(1)
    after = source.read(question_of(chain, tx_hashes=(tx_hash,)))
    assert after.tables["transfers"].num_rows == 0 and outcomes(after)[tx_hash] in ("not_found", "pending")


def test_a_waiting_transaction_on_a_real_chain_is_pending(start_chain: Callable[..., Chain]) -> None:
    chain = start_chain(56)
    tx_hash = chain.transfer(USDT, address(0x5401), 5, mine=False)
    assert outcomes(on_chain(chain).read(question_of(chain, tx_hashes=(tx_hash,)))) == {tx_hash: "pending"}


def test_a_real_chain_behind_limits_duplicates_and_cuts_is_read_whole(start_chain: Callable[..., Chain]) -> None:
    chain = start_chain(137, number=50_000_000)
    payments = [(f"{n:016x}", n + 1) for n in range(600)]
    token = next(a for (chain_id, a), t in REGISTRY.tokens.items() if chain_id == 137 and t.symbol == "USDC")
    for proxy in chain.proxies:
        chain.pay_many(token, address(0x5401), payments, proxy=proxy)
        chain.mine(30)
    answer = vendor.forward_to(chain.url)
    answer = vendor.limit_blocks(answer, 20, "exceed maximum block range: {n}")
    text = "query returned more than 200 results. Try with this block range [{lo}, {hi}]."
    answer = vendor.limit_results(answer, 200, text)
    answer = vendor.change_logs(answer, lambda logs: [*logs, logs[0], {**logs[-1], "removed": True}])
    reading = on_chain(chain, handler=handler_of(answer)).read(question_of(chain))
    table = reading.tables["transfers"]
    assert len(chain.proxies) == 2
    assert sorted(int(value) for value in table["amount_units"].to_pylist()) == sorted(2 * list(range(1, 601)))
    assert set(table["emitter"].to_pylist()) == set(chain.proxies)
    assert reading.gaps == () and row_of(reading, "proxy").finality_rule == "min(finalized,depth:500)"


def test_check_reads_the_decimals_of_real_contracts(start_chain: Callable[..., Chain]) -> None:
    chain = start_chain(56)
    assert "the decimals of 4 known tokens are right" in on_chain(chain).check()


def test_blocks_that_are_known_already_are_not_scanned_and_count_as_covered() -> None:
    node = node_with()
    known = (HEAD - 9_000, HEAD - 2_000)
    reading = ask(chain_of(handler_of(node.answer)), recipients=(US,), known_blocks=known)
    blocks = {HEAD - 100 - n * 500: n + 1 for n in range(30)}
    assert amounts(reading) == sorted(n for block, n in blocks.items() if not known[0] <= block <= known[1])
    ranges = [vendor.blocks_of({"params": params}) for method, params in node.calls if method == "eth_getLogs"]
    assert all(hi < known[0] or lo > known[1] for lo, hi in ranges)
    for scope in ("proxy", "erc20"):
        row = row_of(reading, scope)
        assert row.complete and (row.done_from, row.done_to) == (row.asked_from, row.asked_to)


def test_a_receipt_inside_known_blocks_is_read_and_contradicts_nothing() -> None:
    node = node_with()
    asked = vendor.digest(8, kind=0x7A)
    reading = ask(chain_of(handler_of(node.answer)), tx_hashes=(asked,), known_blocks=(HEAD - 9_000, HEAD - 2_000))
    assert outcomes(reading) == {asked: "success"}
    assert asked in reading.tables["transfers"]["tx_hash"].to_pylist()
    assert reading.gaps == () and all(row.complete for row in reading.coverage)


@pytest.mark.parametrize("known", [(HEAD - 10**6, HEAD + 10**6), (HEAD - 10**6, HEAD - 10**5), (5, 4)])
def test_known_blocks_beyond_what_is_asked_change_nothing_outside(known: tuple[int, int]) -> None:
    reading = ask(chain_of(handler_of(node_with().answer)), known_blocks=known)
    assert amounts(reading) == ([] if known[1] > HEAD else list(range(1, 31)))
    assert reading.gaps == () and all(row.complete for row in reading.coverage)
