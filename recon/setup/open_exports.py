"""The sources that a mapping of exported files describes: a file for each, or a source that says that it has none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from recon.core.ids import payment_id_text
from recon.core.model import Policy
from recon.core.registry import Registry
from recon.core.registry.off_chain import OFF_CHAIN, currencies_in, with_books
from recon.core.text import clean_text
from recon.core.times import to_ms
from recon.setup.open_sources import Sources
from recon.sources.exports.claims import ClaimTerms, ExportedClaims, claims_said
from recon.sources.exports.mapping import ClaimsSection, FileMapping, MappingError
from recon.sources.exports.payments import ExportedPayments, payment_documents
from recon.sources.exports.rows import BadCells
from recon.sources.exports.statements import proven_window, statement_cells
from recon.sources.exports.transfers import ExportedChain, ExportTerms, transfers_in
from recon.sources.payments.fields import FieldPaths
from recon.sources.providers.installed import providers, rails_with_books, usual_providers
from recon.sources.providers.provider import Provider


@dataclass(frozen=True, slots=True)
class ImportRules:
    """Under which rules files are read and judged.

    Args:
        policy: That of a configuration; None is the usual one, for the chains and providers that the files name.
    """

    registry: Registry
    policy: Policy | None = None


@dataclass(frozen=True, slots=True)
class OpenedExports:
    """Sources that are files, the policy that they are judged by, and what is known of their chains and currencies."""

    sources: Sources
    policy: Policy
    registry: Registry


def open_exports(mapping: FileMapping, *, home: Path, rules: ImportRules) -> OpenedExports:
    """Read every file of a mapping whole; a provider or a chain without a file answers that it was not given.

    Args:
        home: Where the mapping lies; its files are named from there.

    Raises:
        MappingError: A file cannot be read or lacks a column, or a provider is not known.
        BadRowsError: Cells cannot be read exactly; each is named by file and line.
    """
    faults, taken_ms = BadCells(), to_ms(mapping.taken_at)
    documents = payment_documents(mapping.payments, home=home, faults=faults)
    named = _providers_named(mapping, documents, rules.registry)
    registry = with_books(rules.registry, _currencies(mapping, documents, home=home, named=named))
    usual = rules.policy or Policy()
    moved = transfers_in(mapping.transfers, terms=ExportTerms(registry, usual, home, faults, mapping.taken_at))
    policy = rules.policy or replace(
        usual,
        providers=named,
        chain_ids=_chains_named(documents, registry, moved.windows.keys() | moved.rows.keys(), named=named),
        provider_proves=tuple(f"{name}:{OFF_CHAIN}" for name in sorted(rails_with_books() & {*named})),
    )
    claims = _claims(mapping, documents, policy=policy, terms=ClaimTerms(registry, home, taken_ms, faults))
    faults.check()
    fields = FieldPaths()
    store = ExportedPayments(documents, section=mapping.payments, name=mapping.name, fields=fields, registry=registry)
    chains = [
        ExportedChain(
            each,
            moved.rows.get(each, ()),
            windows=moved.windows.get(each, ()),
            taken_ms=taken_ms,
            doubts=moved.doubts.get(each, ()),
        )
        for each in policy.chain_ids
        if each != OFF_CHAIN or each in moved.windows
    ]
    accounts = tuple(f"{each.name}:files" for each in claims)
    sources = Sources(store, tuple(claims), tuple(chains), fields, mapping.name, accounts)
    return OpenedExports(sources, policy, registry)


def _providers_named(
    mapping: FileMapping, documents: Sequence[Mapping[str, Any]], registry: Registry
) -> tuple[str, ...]:
    """The installed providers that payments or exports name; the usual ones where none is named."""
    named = {registry.provider(str(each.get("provider", ""))) for each in documents}
    named |= {registry.provider(each.provider) for each in mapping.claims}
    return tuple(name for name in providers() if name in named) or tuple(usual_providers())


def _currencies(
    mapping: FileMapping, documents: Sequence[Mapping[str, Any]], *, home: Path, named: Collection[str]
) -> tuple[str, ...]:
    """The currencies of money that is on no chain: where a provider keeps books, and in bank statements."""
    words = set()
    if rails_with_books() & {*named}:
        words = {str(each.get("amount", {}).get("currency", "")) for each in documents}
    for section in (*mapping.claims, *mapping.transfers):
        if section.format != "table":
            words |= {cells["currency"] for _, cells in statement_cells(section, home=home)}
    return currencies_in(words)


def _chains_named(
    documents: Sequence[Mapping[str, Any]], registry: Registry, moved: Collection[int], *, named: Collection[str]
) -> tuple[int, ...]:
    """The known chains that payments or transfers name; the usual ones where none is named."""
    words = {str(each.get("blockchain", {}).get("network", "")) for each in documents}
    chains = {registry.chain_id(word) for word in words} | set(moved)
    chains |= {OFF_CHAIN} if rails_with_books() & {*named} else set()
    return tuple(sorted(chain_id for chain_id in chains if chain_id is not None)) or Policy().chain_ids


def _claims(
    mapping: FileMapping, documents: Sequence[Mapping[str, Any]], *, policy: Policy, terms: ClaimTerms
) -> list[ExportedClaims]:
    """A source for each provider in scope, with or without a file."""
    made_at: dict[str, int] = {
        payment_id_text(each["_id"]): to_ms(each["createdAt"]) for each in documents if "createdAt" in each
    }
    in_scope = {name: each for name, each in providers().items() if name in policy.providers}
    sections: dict[str, list[ClaimsSection]] = {name: [] for name in in_scope}
    for section in mapping.claims:
        name = terms.registry.provider(section.provider)
        if name not in in_scope:
            known = ", ".join(sorted(in_scope)) or "the configuration names none"
            why = f"claims: {clean_text(section.provider, limit=40)!r} is no provider in scope ({known})"
            raise MappingError(path=section.file, why=why)
        sections[name].append(section)
    given = _Given(mapping.taken_at, made_at, terms)
    return [_claims_of(in_scope[name], own, given=given) for name, own in sections.items()]


@dataclass(frozen=True, slots=True)
class _Given:
    """What the files of every provider are read with."""

    taken_at: datetime
    made_at: Mapping[str, int]
    terms: ClaimTerms


def _claims_of(provider: Provider, sections: Sequence[ClaimsSection], *, given: _Given) -> ExportedClaims:
    terms = given.terms
    proven = [proven_window(each, each.complete, home=terms.home, taken_at=given.taken_at) for each in sections]
    return ExportedClaims(
        provider,
        claims_said(sections, provider, terms=terms),
        windows=[window for each in proven for window in each.windows],
        made_at=given.made_at,
        taken_ms=terms.taken_ms,
        doubts=[doubt for each in proven for doubt in each.doubts],
    )
