"""The page handed on: addresses that hold what is shown, explorer links, exact sums, and rows picked for a command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from pypdf import PdfReader

from recon.api.report import artefact_page
from recon.cli import cli
from recon.core.ids import payment_id_text
from recon.core.model import Change, FieldView, Finding, LeftAlone, Plan, Severity, Tier, Verdict
from recon.core.money import format_units
from recon.plans.file import save_plan
from recon.reports.pages.html import render_html
from recon.reports.text import display_text
from tests.support.browser import Browser, chromium
from tests.support.plans import USDC_BSC, USDC_ETH, a_change, a_finding, a_plan

pytestmark = pytest.mark.browser
TX = "0x" + "ab" * 32
ELSEWHERE = "0x" + "cd" * 32
WALLET = "0x" + "12" * 20
OTHER_USDC = "0x" + "34" * 20
IDS = [
    payment_id_text(value)
    for value in (
        "order #7", "it's; rm -rf ~", "--help", " lead", "665f1c2e9b1d8a0012345678", "a\u202eb", "tab\tand\nline",
        "$(id)`id`", "caf\u00e9 \U0001f600", {"a": "b#c"}, 12, "plain-1", "plain-2",
    )
]  # fmt: skip
"""Ids that a shell, a comment sign, a strip or a terminal would spoil."""


def findings() -> tuple[Finding, ...]:
    made = [
        a_finding(
            payment_id=name, severity=Severity.HIGH, tier=Tier.REVIEW if number % 2 else Tier.AUTO,
            verdict=Verdict.LATE_PAYMENT if number % 2 else Verdict.LOCAL_BEHIND, value_units=2**60 + 10**18 + number,
            token=USDC_BSC if number % 3 else OTHER_USDC,
        )
        for number, name in enumerate(IDS)
    ]  # fmt: skip
    held = a_finding(
        payment_id="held", verdict=Verdict.NETWORK_MISMATCH, tier=Tier.NEVER, severity=Severity.CRITICAL, chain_id=1,
        token=USDC_ETH, decimals=6, value_units=2**53 + 1,
        evidence=(f"other transfer 56:{ELSEWHERE}:3", f"transfer 31337:{TX}:0"),
        fields=(
            FieldView("tx_hash", TX, "javascript:alert(1)", ELSEWHERE), FieldView("network", "1", None, "56"),
            FieldView("recipient", WALLET, None, WALLET),
        ),
    )  # fmt: skip
    return (*made, held)


def changes(found: tuple[Finding, ...]) -> tuple[Change, ...]:
    same = ("payment_id", "verdict", "tier", "value_units", "token")
    return tuple(
        a_change(**{name: getattr(item, name) for name in same}) for item in found if item.tier is not Tier.NEVER
    )


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    found = findings()
    left = (LeftAlone("held", Verdict.NETWORK_MISMATCH, "another chain"),)
    made = a_plan(findings=found, changes=changes(found), left_alone=left)
    path = tmp_path_factory.mktemp("handed on") / "a plan.json"
    save_plan(made, path)
    return path, made


@pytest.fixture(scope="module")
def page(plan: tuple[Path, Plan]) -> Path:
    out = plan[0].with_name("page.html")
    out.write_text(render_html(artefact_page(plan[0], say=lambda _: None)), encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def shown(started: Browser, page: Path) -> Iterator[Browser]:
    started.complaints()
    started.requests()
    started.dark(on=False)
    started.size(1440, 1000)
    started.driver.get("about:blank")
    started.open(page)
    started.run("sessionStorage.clear()")
    started.driver.get("about:blank")
    started.open(page)  # anew, for the page read the picks of the test before when it opened
    yield started
    assert started.complaints() == []
    assert [each for each in started.requests() if not each.startswith(("file:", "data:", "blob:", "about:"))] == []


def go(shown: Browser, page: Path, fragment: str) -> None:
    """Open the page afresh at an address."""
    shown.driver.get("about:blank")
    shown.driver.get(page.as_uri() + fragment)
    shown.wait(lambda: shown.run("return document.documentElement.dataset.ready === 'yes'"))


def fragment_of(shown: Browser) -> str:
    return str(shown.run("return location.hash"))


def is_open(shown: Browser, name: str) -> bool:
    """Whether the details show that payment."""
    return bool(
        shown.run(
            "const d = document.querySelector('#details');"
            "return !d.hidden && d.querySelector('h3')?.textContent === arguments[0]",
            name,
        )
    )


def choose(shown: Browser, column: str, word: str) -> None:
    shown.run(
        "const s = document.querySelector(`[data-filter=${arguments[0]}]`);"
        "s.value = [...s.options].find((o) => o.text.startsWith(arguments[1])).value;"
        "s.dispatchEvent(new Event('change'))",
        column,
        word,
    )


# Addresses


def test_what_is_filtered_sorted_and_opened_stands_in_the_address_and_survives_a_reload(shown: Browser) -> None:
    choose(shown, "verdict", "late_payment")
    shown.click('[data-sort="value"]')
    shown.keys("#search", "plain")
    shown.wait(lambda: "search=plain" in fragment_of(shown))
    shown.click("#grid .space .row .id")
    shown.wait(lambda: is_open(shown, "plain-1"))
    assert fragment_of(shown) == "#verdict=late_payment&search=plain&sort=-value&payment=plain-1"
    shown.driver.refresh()
    shown.wait(lambda: is_open(shown, "plain-1"))
    assert (shown.count(), shown.cells("payment_id")) == (1, ["plain-1"])
    assert shown.run("return document.querySelector('#search').value") == "plain"
    assert shown.run("return document.querySelector('[data-sort=value]').parentElement.ariaSort") == "descending"


def test_the_back_button_goes_back_step_by_step_and_forward_again(shown: Browser) -> None:
    whole = shown.count()
    choose(shown, "verdict", "late_payment")
    late = shown.count()
    shown.click("#grid .space .row .id")
    shown.wait(lambda: shown.run("return !document.querySelector('#details').hidden"))
    shown.run("history.back()")
    shown.wait(lambda: shown.run("return document.querySelector('#details').hidden"))
    assert shown.count() == late
    shown.run("history.back()")
    shown.wait(lambda: shown.count() == whole)
    assert fragment_of(shown) == ""
    assert shown.run("return document.querySelector('[data-filter=verdict]').value") == ""
    shown.run("history.go(2)")
    shown.wait(lambda: shown.run("return !document.querySelector('#details').hidden"))
    assert shown.count() == late


def test_typing_a_search_is_one_step_back(shown: Browser) -> None:
    steps = shown.run("return history.length")
    for letters in ("pl", "ai", "n-2"):
        shown.keys("#search", letters)
        shown.wait(lambda: fragment_of(shown).endswith(shown.run("return document.querySelector('#search').value")))
    assert shown.run("return history.length") == steps + 1


@pytest.mark.parametrize("name", IDS)
def test_every_payment_has_a_link_of_its_own(shown: Browser, page: Path, name: str) -> None:
    seen = display_text(name)
    go(shown, page, "#payment=" + quote(seen, safe=""))
    shown.wait(lambda: is_open(shown, seen))
    link = shown.run("return document.querySelector('#details .actions a').getAttribute('href')")
    go(shown, page, link)
    shown.wait(lambda: is_open(shown, seen))
    assert shown.count() == len(IDS) + 1, "the link is to the payment, and hides no other"


def test_a_link_to_a_verdict_filters_and_one_that_knows_nothing_does_nothing(shown: Browser, page: Path) -> None:
    go(shown, page, "#verdict=network_mismatch")
    assert shown.cells("payment_id") == ["held"]
    go(shown, page, "#verdict=nonsense&status=&colour=blue&sort=-nothing&payment=nobody")
    assert shown.count() == len(IDS) + 1
    assert shown.text("#missed") == "The payment that the link names is not on this page."
    choose(shown, "verdict", "late_payment")
    assert shown.run("return document.querySelector('#missed').hidden")


@pytest.mark.parametrize(
    "fragment",
    [
        "#search=<img src=x onerror=window.hacked=1>", "#payment=<script>window.hacked=1</script>", "#__proto__=1&x=2",
        "#payment=%ff%00%", "#sort=__proto__&verdict=__proto__", "#verdict=a&verdict=b", "#=&&&==", "#" + "x=1&" * 3000,
        "#constructor=1&hasOwnProperty=2&sort=-constructor", "#javascript:alert(1)", "#payment=" + "%F0%9F%98%80" * 900,
        "#nonsense", "#search=" + "a" * 3000,
    ],
)  # fmt: skip
def test_a_hostile_address_does_nothing(shown: Browser, page: Path, fragment: str) -> None:
    go(shown, page, fragment)
    assert shown.run("return window.hacked === undefined && ({}).x === undefined && !document.querySelector('img')")
    assert shown.run("return document.querySelector('#search').value.length <= 200")
    assert shown.run("return document.querySelector('#details').hidden")
    shown.click("#clear" if shown.run("return !document.querySelector('#clear').hidden") else "#payments h2")
    assert shown.count() == len(IDS) + 1


def test_a_jump_to_a_part_of_the_page_keeps_what_is_filtered(shown: Browser) -> None:
    choose(shown, "verdict", "late_payment")
    shown.click('nav a[href="#pictures"]')
    shown.wait(lambda: fragment_of(shown) == "#verdict=late_payment")
    assert 0 < shown.count() < len(IDS)


# Explorer links


def test_transactions_and_addresses_lead_to_the_explorer_of_their_own_chain(shown: Browser, page: Path) -> None:
    go(shown, page, "#payment=held")
    shown.wait(lambda: is_open(shown, "held"))
    links = shown.run(
        "return [...document.querySelectorAll('#details a.outside')]"
        ".map((a) => [a.getAttribute('href'), a.rel, a.target])"
    )
    assert {link for link, _, _ in links} == {
        f"https://etherscan.io/tx/{TX}", f"https://bscscan.com/tx/{ELSEWHERE}", f"https://etherscan.io/address/{WALLET}",
        f"https://bscscan.com/address/{WALLET}", f"https://etherscan.io/address/{USDC_ETH}",
    }  # fmt: skip
    assert {(rel, target) for _, rel, target in links} == {("noopener noreferrer", "_blank")}
    assert "31337:" + TX in shown.text("#details"), "an unknown chain has no link, and its hash is still there"
    assert "javascript:alert(1)" in shown.text("#details")


# Sums


def exact_sums(chosen: list[Finding]) -> dict[tuple[str, str], str]:
    sums: dict[tuple[str, int, str], int] = {}
    for item in chosen:
        assert item.decimals is not None
        key = (str(item.token), item.decimals, "ethereum (1)" if item.chain_id == 1 else "bsc (56)")
        sums[key] = sums.get(key, 0) + item.value_units
    return {(token, chain): format_units(units, decimals=places) for (token, places, chain), units in sums.items()}


def told_sums(shown: Browser) -> dict[tuple[str, str], str]:
    shown.wait(lambda: shown.run("return document.querySelector('#sums table') !== null"))
    shown.run("return new Promise((done) => setTimeout(done, 30))")
    rows = shown.run(
        "return [...document.querySelectorAll('#sums tbody tr')].map((r) => [r.cells[0].title, r.cells[1].textContent, "
        "r.cells[3].textContent])"
    )
    return {(token, chain): text.replace(",", "") for token, chain, text in rows}


def test_sums_by_token_and_chain_are_exact_and_follow_the_filter(shown: Browser, plan: tuple[Path, Plan]) -> None:
    found = list(plan[1].findings)
    assert told_sums(shown) == exact_sums(found)
    assert len(told_sums(shown)) == 3, "two contracts that call themselves USDC on one chain are two"
    assert "9007199254.740993" in told_sums(shown).values()
    choose(shown, "tier", "review")
    assert told_sums(shown) == exact_sums([item for item in found if item.tier is Tier.REVIEW])
    assert all(Fraction(text).denominator > 1 for text in told_sums(shown).values())


def test_the_line_of_sums_names_the_largest_groups(shown: Browser) -> None:
    shown.wait(lambda: "USDC on bsc" in shown.text("#sums summary"))
    assert shown.text("#sums summary").startswith("Sum of what is shown, at risk: ")


# Picks


def pick_all(shown: Browser) -> None:
    shown.click("#pick-shown")
    shown.wait(lambda: f"{len(IDS)} picked" in shown.text("#picks p"))


def selected(plan_path: Path, out: Path, *given: str) -> bytes:
    result = CliRunner().invoke(cli, ["select", str(plan_path), *given, "--out", str(out)], prog_name="recon")
    assert result.exit_code == 0, result.output
    return out.read_bytes()


def test_the_list_of_the_page_gives_the_plan_that_picking_by_hand_gives(
    shown: Browser, plan: tuple[Path, Plan], tmp_path: Path
) -> None:
    shown.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    pick_all(shown)
    shown.click("#pick-file")
    name = tmp_path / f"picked-{plan[1].digest[:12]}.txt"
    shown.wait(name.exists)
    text = name.read_text(encoding="ascii")
    assert text.startswith(f"# Payments picked on the page of plan {plan[1].digest}\n")
    assert shlex.split(shown.run("return document.querySelector('#picks textarea').value")) == [
        "recon", "select", str(plan[0]), "--list-file", name.name
    ]  # fmt: skip
    by_hand = [part for name in IDS for part in ("--payment", f'"{name}"' if name[0] == " " else name)]
    assert len(text.splitlines()) == len(IDS) + 2
    kept = selected(plan[0], tmp_path / "listed.json", "--list-file", str(name))
    assert kept == selected(plan[0], tmp_path / "by-hand.json", *by_hand)


def test_the_line_of_the_page_is_a_command_that_keeps_exactly_what_was_picked(
    shown: Browser, plan: tuple[Path, Plan], tmp_path: Path
) -> None:
    pick_all(shown)
    shown.click("#pick-line")
    line = str(shown.run("return document.querySelector('#picks textarea').value"))
    assert line.isascii()
    assert line.isprintable(), "a line that is pasted begins nothing by itself"
    words = shlex.split(line)
    assert words[:3] == ["recon", "select", str(plan[0])]
    assert words[3::2] == ["--payment"] * len(IDS)
    result = CliRunner().invoke(cli, [*words[1:], "--out", str(tmp_path / "kept.json")], prog_name="recon")
    assert result.exit_code == 0, result.output
    from recon.plans.file import load_plan

    small = load_plan(tmp_path / "kept.json")
    assert {change.payment_id for change in small.changes} == set(IDS) == set(small.picked)


def test_boxes_keys_and_buttons_pick_and_a_reload_keeps_the_picks(shown: Browser) -> None:
    assert shown.run("return document.querySelectorAll('#grid .pick input').length") == len(IDS), "held has no change"
    shown.click("#grid .space .row:nth-child(3) .pick input")
    shown.run("document.querySelector('#grid').focus()")
    shown.keys("#grid", "\ue015\ue015x")
    shown.wait(lambda: shown.text("#picks p").startswith("2 picked: "))
    assert "USDC on bsc" in shown.text("#picks p")
    assert shown.run("return document.querySelector('#details').hidden"), "a box picks, and opens nothing"
    shown.driver.refresh()
    shown.wait(lambda: shown.run("return document.documentElement.dataset.ready === 'yes'"))
    assert shown.text("#picks p").startswith("2 picked: ")
    shown.click("#pick-none")
    assert shown.text("#picks p") == "Nothing picked"
    assert shown.run("return document.querySelector('#pick-file').disabled")


def test_picking_what_is_shown_takes_the_filtered_rows_alone(shown: Browser) -> None:
    choose(shown, "tier", "review")
    count = shown.count()
    shown.click("#pick-shown")
    assert shown.text("#picks p").startswith(f"{count} picked")
    shown.click("#clear")
    shown.click("#grid .space .row:nth-child(1) .id")
    shown.wait(lambda: is_open(shown, "held"))
    assert not shown.run("return document.querySelector('#details .actions input')"), "what has no change is not picked"


def test_the_printed_page_names_what_was_filtered_its_sums_and_its_picks(shown: Browser, tmp_path: Path) -> None:
    choose(shown, "tier", "review")
    shown.click("#pick-shown")
    shown.pdf(tmp_path / "page.pdf")
    pages = PdfReader(tmp_path / "page.pdf").pages
    text = " ".join(" ".join(each.extract_text() for each in pages).split())
    assert f"6 of {len(IDS) + 1} rows, tier: review" in text
    assert "picked" in text
    assert "Save as a list" not in text
    assert "plain-1" in text
    assert len(pages) <= 6


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_with_rows_picked_and_sums_open(shown: Browser, width: int, theme: str) -> None:
    axe = Path(__file__).resolve().parents[1] / "support" / "chain" / "node_modules" / "axe-core" / "axe.min.js"
    shown.size(width, 900)
    shown.run("document.documentElement.dataset.theme = arguments[0]", theme)
    shown.run("location.hash = '#payment=held&tier=never'")
    shown.wait(lambda: is_open(shown, "held"))
    shown.run("location.hash = '#payment=plain-1'")
    shown.wait(lambda: is_open(shown, "plain-1"))
    shown.click("#grid .pick input")
    shown.click("#pick-line")
    shown.run("document.querySelectorAll('details').forEach((n) => { n.open = true; })")
    shown.run(axe.read_text(encoding="utf-8"))
    found = shown.driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document).then((said) => done(said.violations.map("
        "(each) => [each.id, each.help, ...each.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))])));"
    )
    assert found == []
    assert shown.run("return document.documentElement.scrollWidth <= innerWidth")
