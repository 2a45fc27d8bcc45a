"""Pages of explorers: of every known chain, by nothing but a hash or an address, and never for an unknown chain."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from recon.core.errors import ConfigError
from recon.core.model import FieldView
from recon.core.registry import extend_registry, load_registry
from recon.core.registry.explorers import ADDRESS, HASH, Explorer, is_page, is_web_page
from recon.reports import render_report
from recon.reports.explorer import ExplorerPage, Named, explorer_pages
from recon.reports.model import Column, Report, Table
from recon.reports.outputs.terminal import print_to_terminal
from recon.reports.pages.html import render_html
from recon.setup.settings import load_settings
from recon.sources.providers.chain_kind import chain_kinds
from tests.support.plans import a_finding

TX = "0x" + "ab" * 32
WALLET = "0x" + "cd" * 20


def test_every_known_chain_has_a_page_for_its_transactions_and_its_addresses() -> None:
    registry = load_registry()
    for chain in registry.chains.keys() - chain_kinds().keys():
        tx, wallet = registry.tx_page(chain, TX), registry.address_page(chain, WALLET)
        assert tx and wallet and is_web_page(tx) and is_web_page(wallet), chain
        assert tx.startswith("https://") and "ab" * 32 in tx


def test_tron_is_looked_at_by_its_own_spellings() -> None:
    registry = load_registry()
    assert registry.tx_page(728126428, TX) == "https://tronscan.org/#/transaction/" + "ab" * 32
    page = registry.address_page(728126428, "0xa614f803b6fd780986a42c78ec9c7f77e6ded13c")
    assert page == "https://tronscan.org/#/address/TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"


@pytest.mark.parametrize("chain", [None, 0, -1, 999, 31337, 10**17])
def test_an_unknown_chain_has_no_page(chain: int | None) -> None:
    assert load_registry().tx_page(chain, TX) is None
    assert load_registry().address_page(chain, WALLET) is None


def test_a_chain_without_an_explorer_has_no_page() -> None:
    known = load_registry()
    bare = extend_registry(known, chains=(replace(known.chains[1], chain_id=31337, name="own", explorer=None),))
    assert bare.tx_page(31337, TX) is None and bare.address_page(31337, WALLET) is None


@pytest.mark.parametrize(
    "text", ["", None, "0x", TX[:-1], TX + "/../x", f"{TX}?x=1", "SIM_" + TX, "javascript:1", WALLET]
)
def test_only_a_hash_is_ever_put_into_the_page_of_a_transaction(text: str | None) -> None:
    assert load_registry().tx_page(1, text) is None


@pytest.mark.parametrize("text", ["", None, WALLET[:-1], WALLET + "#x", TX, "vitalik.eth", "<b>"])
def test_only_an_address_is_ever_put_into_the_page_of_an_address(text: str | None) -> None:
    assert load_registry().address_page(1, text) is None


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert({hash})", "ftp://scan.example/{hash}", "https://{hash}", "https://{hash}.x/tx", "//x/{hash}",
        "https://x/{hash}/{hash}", "https://x/tx", "https://a@b/{hash}", 'https://x/"{hash}', "https://x/<{hash}",
        "https://x y/{hash}", "https://x/{hash}\n", "https://x/\u202e{hash}", "https:///{hash}", "https://x/{hash}'",
    ],
)  # fmt: skip
def test_what_is_no_page_with_one_place_for_its_id_is_refused(text: str) -> None:
    assert not is_page(text, HASH)
    with pytest.raises(AssertionError):
        Explorer(text)


def test_an_explorer_may_lie_on_a_port_and_below_a_path() -> None:
    own = Explorer.at("http://127.0.0.1:4000/scan/")
    assert own.tx_page(1, TX) == f"http://127.0.0.1:4000/scan/tx/{TX}"
    assert own.address_page(1, WALLET.upper().replace("0X", "0x")) == f"http://127.0.0.1:4000/scan/address/{WALLET}"
    assert Explorer("https://x.example/t?h={hash}").address_page(1, WALLET) is None
    assert ADDRESS not in own.tx


def test_what_was_seen_on_another_chain_is_looked_at_there() -> None:
    other = "0x" + "ef" * 32
    finding = a_finding(
        chain_id=56, token=None, evidence=(f"other transfer 137:{other}:4", f"transfer 31337:{TX}:0"),
        fields=(
            FieldView("tx_hash", TX, f"{TX} {'0x' + '12' * 32}", other), FieldView("network", "56", None, "137"),
            FieldView("recipient", WALLET, None, WALLET), FieldView("reference", TX, None, TX),
        ),
    )  # fmt: skip
    pages = explorer_pages(finding, None, registry=load_registry())
    assert [page.page for page in pages] == [
        f"https://polygonscan.com/tx/{other}", f"https://bscscan.com/tx/{TX}",
        f"https://bscscan.com/tx/{'0x' + '12' * 32}",
        f"https://bscscan.com/address/{WALLET}", f"https://polygonscan.com/address/{WALLET}",
    ]  # fmt: skip


def test_pages_stand_once_transactions_first_and_a_strange_network_names_none() -> None:
    finding = a_finding(chain_id=1, token=WALLET, evidence=(f"transfer 1:{TX}:0",), fields=(
        FieldView("tx_hash", None, None, TX), FieldView("network", "1", None, "9" * 40)))  # fmt: skip
    more = [Named("recipient", 1, WALLET), Named("transaction", 1, TX), Named("recipient", None, WALLET)]
    found = explorer_pages(finding, None, registry=load_registry(), more=more)
    assert found[0] == ExplorerPage("transaction", f"https://etherscan.io/tx/{TX}")
    assert [page.what for page in found] == ["transaction", "token"]
    assert all(re.fullmatch(r"https://etherscan\.io/(tx|address)/0x[0-9a-f]+", page.page) for page in found)


def test_a_configuration_names_an_explorer_by_its_address_or_by_its_pages(tmp_path: Path) -> None:
    text = (
        '[explorers]\n56 = "https://scan.example/"\n'
        'tron = { tx = "https://t.example/#/t/{hash}", address = "https://t.example/#/a/{address}" }\n'
        '"eip155:1" = { tx = "https://e.example/{hash}" }\n'
    )
    (tmp_path / "recon.toml").write_text(text)
    registry = load_settings(tmp_path / "recon.toml").registry()
    assert registry.tx_page(56, TX) == f"https://scan.example/tx/{TX}"
    assert registry.address_page(56, WALLET) == f"https://scan.example/address/{WALLET}"
    assert registry.tx_page(728126428, TX) == f"https://t.example/#/t/{TX[2:]}"
    assert registry.address_page(1, WALLET) is None
    assert registry.tx_page(137, TX) == f"https://polygonscan.com/tx/{TX}"


@pytest.mark.parametrize(
    "value",
    ['"ftp://x.example"', '"https://a@b.example"', '{ tx = "https://x.example/" }', "7", '"https://{hash}/"',
     '{ address = "https://x/{address}" }', '{ tx = "https://x/{hash}", address = "https://x/{hash}" }',
     '{ tx = "javascript:{hash}" }', '{ tx = "https://x/{hash}", page = "x" }'],
)  # fmt: skip
def test_an_explorer_that_leads_nowhere_is_refused(value: str, tmp_path: Path) -> None:
    (tmp_path / "recon.toml").write_text(f"[explorers]\n56 = {value}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path / "recon.toml").registry()
    assert "explorers" in str(caught.value)


def test_links_are_whole_on_a_terminal_and_links_in_markdown_and_html() -> None:
    page = f"https://etherscan.io/tx/{TX}"
    rows = (("transaction", page), ("recipient", "javascript:alert(1)"), ("token", "https://x/<b>"))
    table = Table("explorer", "At the explorer", (Column("what", "what"), Column("page", "page", "link")), rows)
    report = Report("inspection", "x", tables=(table,))
    stream = io.StringIO()
    print_to_terminal(report, stream, width=80)
    assert f"https://etherscan.io/tx/{TX}" in stream.getvalue()
    markdown = render_report(report, output="md")
    assert f"<https://etherscan.io/tx/{TX}>" in markdown
    assert "<https://x" not in markdown
    html = render_html(report)
    assert f'<a class="outside" href="https://etherscan.io/tx/{TX}" target="_blank" rel="noopener noreferrer">' in html
    assert 'href="javascript' not in html and "<b>" not in html
