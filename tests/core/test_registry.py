"""The registry says what Request Network's own package says, and decimals belong to a contract, never to a symbol."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon.core.ids import normalise_address
from recon.core.registry import Emitter, Token, extend_registry, load_registry
from tests.support.servers import CHAIN_FOLDER

MAIN_CHAINS = (1, 56, 137, 8453, 42161)
NETWORKS = {"mainnet": 1, "bsc": 56, "matic": 137, "base": 8453, "arbitrum-one": 42161}
KINDS = {
    "ERC20FeeProxy": "fee_proxy",
    "Erc20ConversionProxy": "conversion_proxy",
    "ERC20EscrowToPay": "escrow",
    "ERC20TransferableReceivable": "receivable",
}
DEPLOYMENT = re.compile(
    r"'?(?P<network>[\w-]+)'?: \{\s*address: '(?P<address>0x[0-9a-fA-F]{40})',\s*creationBlockNumber: (?P<block>\d+)"
)

registry = load_registry()


def published(contract: str) -> set[tuple[int, str, int]]:
    """Deployments on the main chains as the npm package lists them."""
    folder = CHAIN_FOLDER / "node_modules/@requestnetwork/smart-contracts/dist/src/lib/artifacts" / contract
    # What stands in comments there is watched by nobody, so it is no deployment.
    text = re.sub(r"/\*.*?\*/", "", (folder / "index.js").read_text(), flags=re.DOTALL)
    return {
        (NETWORKS[found["network"]], found["address"].lower(), int(found["block"]))
        for found in DEPLOYMENT.finditer(text)
        if found["network"] in NETWORKS and int(found["address"], 16)
    }


@pytest.mark.parametrize("contract", sorted(KINDS))
def test_emitters_are_those_of_the_published_package(contract: str) -> None:
    ours = {
        (each.chain_id, each.address, each.created_block)
        for each in registry.emitters.values()
        if each.kind == KINDS[contract] and each.chain_id in MAIN_CHAINS
    }
    assert ours == published(contract)


def test_polygon_has_two_fee_proxies_and_every_other_main_chain_one() -> None:
    assert {chain: len(registry.emitters_of(chain, kind="fee_proxy")) for chain in MAIN_CHAINS} == {
        1: 1, 56: 1, 137: 2, 8453: 1, 42161: 1,
    }  # fmt: skip


def test_emitters_come_oldest_first() -> None:
    blocks = [each.created_block for each in registry.emitters_of(137)]
    assert blocks == sorted(blocks)
    assert {each.kind for each in registry.emitters_of(137)} == set(KINDS.values())


@pytest.mark.parametrize("chain_id", MAIN_CHAINS)
def test_the_main_chains_are_complete(chain_id: int) -> None:
    assert chain_id in registry.chains
    for symbol in ("USDC", "USDT"):
        token = registry.token(chain_id, symbol)
        assert token is not None
        assert token.decimals == (18 if chain_id == 56 else 6)


def test_every_address_is_normalised_and_stands_under_its_own_key() -> None:
    everything: list[Token | Emitter] = [*registry.tokens.values(), *registry.emitters.values()]
    assert [*registry.tokens, *registry.emitters] == [(each.chain_id, each.address) for each in everything]
    assert [normalise_address(each.address) for each in everything] == [each.address for each in everything]


@pytest.mark.parametrize(
    ("word", "chain_id"),
    [
        ("bsc", 56), ("BSC", 56), (" bnb ", 56), ("BEP20", 56), (56, 56), ("56", 56), ("0x38", 56), ("0X38", 56),
        ("mainnet", 1), ("ethereum", 1), ("ERC20", 1), ("matic", 137), ("polygon", 137), ("base", 8453),
        ("arbitrum-one", 42161), ("0xa4b1", 42161),
    ],
)  # fmt: skip
def test_every_spelling_of_a_network_is_one_chain(word: str | int, chain_id: int) -> None:
    assert registry.chain_id(word) == chain_id


@pytest.mark.parametrize("word", [None, "", "nowhere", "57", -56, "0x", "5_6", "1_37", "56.0", 0, "9" * 5000, "true"])
def test_an_unknown_network_is_never_folded_into_a_known_one(word: str | int | None) -> None:
    assert registry.chain_id(word) is None


@given(st.text(max_size=40))
def test_any_text_is_a_known_chain_or_none(word: str) -> None:
    assert registry.chain_id(word) in (None, *registry.chains)


def test_aliases_of_two_chains_never_clash() -> None:
    words = [word.lower() for chain in registry.chains.values() for word in (chain.name, *chain.aliases)]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("word", ["request.network", "request-network", "request_network", " Request.Network "])
def test_the_spellings_of_a_provider_are_one(word: str) -> None:
    assert registry.provider(word) == "request_network"


def test_an_unknown_provider_keeps_its_own_word() -> None:
    assert registry.provider("Decentralized") == "decentralized"
    assert registry.provider(None) == ""


def test_a_symbol_that_means_two_tokens_means_none() -> None:
    twin = Token(chain_id=8453, address="0x" + "ab" * 20, symbol="usdc", decimals=18)
    assert extend_registry(registry, tokens=(twin,)).token(8453, "USDC") is None
    assert registry.token(8453, "usdc") is not None
    assert registry.token(8453, "PAX") is None


def test_what_a_configuration_adds_replaces_what_has_the_same_key() -> None:
    faster = replace(registry.chains[56], final_depth=200, aliases=("smartchain",))
    proxy = Emitter(chain_id=56, address="0x" + "AB" * 20, kind="fee_proxy", version="own", created_block=1)
    extended = extend_registry(registry, chains=(faster,), emitters=(proxy,))
    assert extended.chains[56].final_depth == 200
    assert extended.chain_id("smartchain") == 56
    assert extended.emitters_of(56, kind="fee_proxy")[0].version == "own"
    assert registry.chains[56].final_depth != 200


def test_polygon_is_not_believed_about_finality() -> None:
    assert [chain_id for chain_id in MAIN_CHAINS if not registry.chains[chain_id].trusts_finalized_tag] == [137]


@pytest.mark.parametrize(
    ("word", "chain_id"),
    [
        ("eip155:56", 56), ("EIP155:8453", 8453), ("eip155:999999", None), ("polygon-mainnet", 137),
        ("Polygon Mainnet", 137), ("ARBITRUM_ONE", 42161), ("arbitrum-mainnet", 42161), ("ethereum_mainnet", 1),
        ("bnb-mainnet", 56), ("base-sepolia", None), ("-mainnet", None), ("solana:mainnet", None),
    ],
)  # fmt: skip
def test_networks_have_many_names(word: str, chain_id: int | None) -> None:
    assert registry.chain_id(word) == chain_id


def test_a_token_is_known_by_its_aliases() -> None:
    native = registry.token(137, "USDCn")
    assert native is not None and native.symbol == "USDC"
    named = replace(native, aliases=("USDC-pos",))
    assert extend_registry(registry, tokens=(named,)).token(137, "usdc-POS") == named
