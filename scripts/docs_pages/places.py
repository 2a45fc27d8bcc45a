"""Pages and parts of pages about what recon reads from: chains, providers and stores."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from docs_pages.rails import rails_table
from docs_pages.words import MADE, code, made, table
from recon.core.registry import load_registry
from recon.setup.stores.installed import stores
from recon.sources.providers.chain_kind import chain_kinds
from recon.sources.providers.installed import providers
from recon.sources.providers.provider import Provider

BLOCK: Final = re.compile(r"(?s)<!-- made by scripts/docs: (\w+) (\w+) -->.*?<!-- end -->")
EXAMPLE: Final = Path(__file__).resolve().parents[2] / "tests/support/example_provider"
_EXAMPLES: Final = {
    "object": ("acmepay/provider.py", r"PROVIDER = Provider\(", "python"),
    "source": ("acmepay/source.py", "class AcmePay:", "python"),
    "signature": ("acmepay/provider.py", r"def verify\(", "python"),
    "entry": ("pyproject.toml", r"\[project.entry-points", "toml"),
}
"""Parts of the example that a page quotes: file, beginning, language."""

_TITLES: Final = {
    "bsc": "BNB Chain", "zksync": "zkSync Era", "ethereum": "Ethereum", "optimism": "Optimism", "gnosis": "Gnosis",
    "polygon": "Polygon", "mantle": "Mantle", "base": "Base", "arbitrum": "Arbitrum One", "celo": "Celo",
    "avalanche": "Avalanche", "linea": "Linea", "tron": "Tron",
}  # fmt: skip
_NOTES: Final = {
    "tron": "Tron is read through its Ethereum-style JSON-RPC (an address that ends in `/jsonrpc`). Addresses in "
    "base58 (`T…`) are read wherever an address may stand.",
    "bsc": "USDC and USDT have 18 decimals here and 6 elsewhere; they are taken by contract, never by symbol.",
    "polygon": "`USDC` may mean the native coin or the bridged one (`USDC.e`); they are two tokens with two contracts. "
    "Reorganisations went deep here, so a depth counts and not only the node's `finalized`.",
    "arbitrum": "`USDC` may mean the native coin or the bridged one (`USDC.e`): two tokens with two contracts.",
}  # fmt: skip


def chain_names() -> list[str]:
    """The EVM chains that are known, by name, in order of their numbers; others have their provider's page."""
    return [facts.name for number, facts in sorted(load_registry().chains.items()) if number not in chain_kinds()]


def chain_title(name: str) -> str:
    """A chain as people call it."""
    return _TITLES.get(name, name.capitalize())


def chain_page(name: str) -> str:
    """What is known of one chain."""
    registry = load_registry()
    facts = next(each for each in registry.chains.values() if each.name == name)
    tokens = [each for (chain, _), each in sorted(registry.tokens.items()) if chain == facts.chain_id]
    emitters = [each for (chain, _), each in sorted(registry.emitters.items()) if chain == facts.chain_id]
    depth = f"{facts.final_depth} blocks deep"
    finality = (
        f"as far as the node calls it `finalized`; {depth} where it says nothing of that"
        if facts.trusts_finalized_tag
        else f"{depth}, and what the node calls `finalized` where that lies deeper"
    )
    parts = [
        _NOTES.get(name, ""),
        table(("fact", "value"), [
            ("chain id", code(facts.chain_id)),
            ("words for it", ", ".join(code(each) for each in (facts.name, *facts.aliases))),
            ("a transfer is final", f"{finality}; at least as deep as the backend's own `confirmations_min`"),
            ("block time", f"about {facts.block_ms / 1000:g} s"),
            ("first scan range", f"{facts.range_blocks} blocks; halved while a node refuses"),
            ("explorer", code(facts.explorer.tx) if facts.explorer else "none known"),
        ]),
        f"## In `recon.toml`\n\n```toml\n[[chains]]\nchain_id = {facts.chain_id}\n"
        f"endpoints = [\"https://{name}.example/${{NODE_KEY}}\"]\nconfirmations_min = 12\n```",
        "An endpoint must answer `eth_getLogs` over the window. For the proof of balances it must keep old state (an "
        "archive node); without it the opening balance is \"cannot tell\". `recon doctor` tries each endpoint.",
        "## Tokens", table(("symbol", "decimals", "contract", "other words", "may keep a fee"), [
            (each.symbol, each.decimals, code(each.address), ", ".join(each.aliases), ("no", "yes")[each.may_take_fee])
            for each in tokens
        ]) if tokens else "None is known; add yours with `[[tokens]]`.",
        "## Contracts that carry payment references", table(("kind", "version", "contract", "since block"), [
            (each.kind, each.version, code(each.address), f"{each.created_block}") for each in emitters
        ]) if emitters else "None is known; add yours with `[[emitters]]`.",
    ]  # fmt: skip
    return made(chain_title(name), *parts)


def chains_page() -> str:
    """The table of chains."""
    registry = load_registry()
    rows = []
    for chain_id, facts in sorted(registry.chains.items()):
        if chain_id in chain_kinds():
            continue
        symbols = sorted({each.symbol for (chain, _), each in registry.tokens.items() if chain == chain_id})
        rows.append((f"[{chain_title(facts.name)}]({facts.name}.md)", chain_id, ", ".join(symbols)))
    return made(
        "Chains",
        "A known chain needs its number and an endpoint, nothing else. A chain without endpoints is in scope, and its "
        "payments stay `unproven`.",
        table(("chain", "id", "tokens known"), rows),
        "Another EVM chain is a `[[chains]]` part with a `name`, its tokens are `[[tokens]]`, its contracts "
        "`[[emitters]]`; see [Settings](../settings.md). For every release, a row in the registry: "
        "see [the house](../../architecture.md).",
    )


def with_blocks(text: str) -> str:
    """A page of hand-written text with the parts between its marks made anew.

    Raises:
        KeyError: A mark names what there is not.
    """
    makers: dict[str, Callable[[str], str]] = {
        "provider": _provider,
        "store": _store,
        "example": _example,
        "table": rails_table,
    }

    def renewed(found: re.Match[str]) -> str:
        body = makers[found[1]](found[2])
        return f"<!-- made by scripts/docs: {found[1]} {found[2]} -->\n\n{body}\n\n<!-- end -->"

    return BLOCK.sub(renewed, text)


def _addresses(each: Provider) -> str:
    """How the money of its payments is told apart."""
    if each.sends_transactions:
        return "shared; told apart by the transactions that it sends"
    return "one for each payment" if each.has_one_time_addresses else "shared; told apart by reference"


def _provider(name: str) -> str:
    each = providers()[name]
    hooks = each.webhooks
    below, above = each.tolerance_ppm
    rows: list[tuple[str, Any]] = [
        ("name in settings and tables", code(each.name)),
        ("other words for it", ", ".join(code(word) for word in each.aliases)),
        ("meets our rows by", code(each.key)),
        ("can be asked by", ", ".join(code(word) for word in sorted(each.asked_by))),
        ("addresses", _addresses(each)),
        ("an amount is right", f"from {100 - below / 1e4:g} % to {100 + above / 1e4:g} %" if above else "exactly"),
        ("payouts", "objects of their own" if each.pays_out else "none"),
        ("webhook routes", ", ".join(code(route) for route in hooks.routes)),
        ("an accepted webhook is answered", ", ".join(str(status) for status in hooks.accepted) or "any 2xx"),
        ("it tries again", f"{hooks.gives_up_after} times" if hooks.gives_up_after else "until it is accepted"),
        ("flag that switches it", code(each.flags.switch or "")),
        ("secrets of recon", ", ".join(code(variable) for variable in each.secrets)),
        ("secrets of the backend", ", ".join(code(variable) for variable in each.flags.secrets)),
    ]  # fmt: skip
    states = table(("its word", "means"), [(code(word), state) for word, state in sorted(each.state_words.items())])
    fields = table(("field", "looked for in the payment, in this order"), [
        (code(field), ", ".join(code(path) for path in paths)) for field, paths in each.fields.items()
    ])  # fmt: skip
    return "\n\n".join([
        table(("fact", "value"), rows), f"### Its section\n\n```toml\n[{name}]\n{each.example}```",
        f"### Its words\n\n{states}", f"### Where its ids stand\n\n{fields}",
    ])  # fmt: skip


def _store(name: str) -> str:
    each = stores()[name]
    return table(("fact", "value"), [
        ("name", code(each.name)), ("as people call it", each.title),
        ("logins are audited by `recon doctor`", "yes" if each.audit else "no, it has none"),
        ("`recon init --yes` can look for payments", "yes" if each.look else "no"),
    ])  # fmt: skip


def _example(name: str) -> str:
    """A part of the example distribution, word for word."""
    file, begin, language = _EXAMPLES[name]
    text = (EXAMPLE / file).read_text(encoding="utf-8")
    found = re.search(rf"(?ms)^{begin}.*?(?=\n\n\n|\n    def look_up|\n\n\[|\Z)", text)
    if found is None:
        raise KeyError(f"{file} has no {begin}")
    return f"```{language}\n{found[0].rstrip()}\n```"


__all__ = ["MADE", "chain_names", "chain_page", "chain_title", "chains_page", "with_blocks"]
