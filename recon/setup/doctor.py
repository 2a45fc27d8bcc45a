"""Checks whether a job can run: every source reached, the right network and account, credentials there, clocks right.

Each check stands alone: a failure is named with its remedy, and the other checks run all the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from recon.core.errors import ReconError, RefusedError, SourceError
from recon.core.installed import Installed
from recon.core.registry.off_chain import OFF_CHAIN
from recon.core.text import count_text
from recon.plans.history import load_history
from recon.setup.check_signing import State, signing_says
from recon.setup.failures import LOOKED_AT, count_failures
from recon.setup.field_check import SAMPLE, fields_found, times_said
from recon.setup.file import ReserveSection
from recon.setup.open_sources import Opening
from recon.setup.plugins import installed_providers, installed_stores
from recon.setup.reserves import reserve_says
from recon.setup.settings import Settings
from recon.setup.stores.installed import store_of
from recon.sources.payments.read import RowRules

Failure = Literal["", "usage", "refused", "unreachable"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked.

    Args:
        name: What it was.
        says: One sentence: that it can be used, or what is wrong and the way out.
        failure: What kind of failure, for the exit code; empty when there is none.
    """

    name: str
    state: State
    says: str
    failure: Failure = ""


def check_sources(settings: Settings) -> tuple[Check, ...]:
    """Check the configuration, the database, every provider and every chain in scope, in this order."""
    return tuple(_checks(settings))


def _checks(settings: Settings) -> Iterator[Check]:
    opening = Opening(settings)
    yield _configuration(settings)
    yield _output(settings)
    yield _installed()
    for state, says in signing_says(settings):
        yield Check("decisions", state, says, "usage" if state == "failed" else "")
    database = _attempt("database", lambda: _store_says(settings, opening))
    yield database
    if database.state != "failed":
        yield from _fields(settings, opening)
        yield from _privileges(settings)
        yield from _failures(settings, opening)
        yield from _repairs(settings)
    for name in settings.providers:
        yield _attempt(name, lambda name=name: _says(opening.claim(name)))  # type: ignore[misc]
    if not settings.providers:
        yield Check("providers", "warning", "No provider is enabled, so every payment counts as out of scope.")
    for chain_id in settings.chain_ids:
        if chain_id == OFF_CHAIN:
            continue  # what can be asked about it is asked of the providers
        label = f"chain {chain_id}"
        if opening.has_endpoints(chain_id):
            yield _attempt(label, lambda chain_id=chain_id: _says(opening.chain(chain_id)))  # type: ignore[misc]
        else:
            yield Check(label, "warning", _no_endpoint(settings, chain_id))
    for reserve in settings.values.reserves:
        yield _reserve(opening, reserve)
    yield from _latest_evidence(settings)
    if not settings.chain_ids:
        yield Check(
            "chains", "warning", "No chain is configured, so nothing can be proven. Add [[chains]] to the file."
        )


def _privileges(settings: Settings) -> Iterator[Check]:
    """What the logins of the store may do."""
    audit = store_of(settings).audit
    for state, says in () if audit is None else audit(settings):
        yield Check("privileges", state, says, "refused" if state == "failed" else "")


def _no_endpoint(settings: Settings, chain_id: int) -> str:
    by_word = [rail for rail in settings.rails_by_word() if rail.endswith(f":{chain_id}")]
    if not by_word:
        return "No endpoint is configured: its payments stay unproven. Add one to [[chains]]."
    named = " and ".join(rail.partition(":")[0] for rail in by_word)
    return (
        f"No endpoint is configured: the word of {named} counts for its own payments there, to be picked by hand; all "
        "others stay unproven. Add an endpoint to [[chains]]."
    )


def _latest_evidence(settings: Settings) -> Iterator[Check]:
    """What the latest plan found of its evidence: sources that answer may still know nothing of our payments."""
    history = load_history(settings.output_dir)
    entries = [entry for entry in history.entries if entry.get("kind") == "correction"]
    last = max((str(entry["at"]) for entry in entries), default="")
    if lost := sum(at >= last for at in history.lost_after):
        yield Check(
            "evidence",
            "warning",
            "Cannot tell what the latest plan found: "
            f"{count_text(lost, 'line of the history is', many='lines of the history are')} lost.",
        )
    if not entries or lost:
        return
    health, at = entries[-1].get("health") or {}, entries[-1].get("at") or "an unknown time"
    if health.get("ok") is True:
        yield Check("evidence", "ok", f"The latest plan ({at}) found its evidence complete.")
    else:
        reasons = "; ".join(map(str, health.get("reasons", ()))) or "it does not say why"
        yield Check("evidence", "warning", f"The latest plan ({at}) found its evidence incomplete: {reasons}.")


def _configuration(settings: Settings) -> Check:
    missing = []
    if not settings.target_name:
        missing.append("no [target] name, so that plans cannot tell this database from a copy")
    if not settings.recipients:
        missing.append("no [merchant] recipients, so that money nobody knows cannot be found")
    if missing:
        return Check("configuration", "warning", f"{settings.source} is sound, but has {'; '.join(missing)}.")
    return Check("configuration", "ok", f"{settings.source} is sound.")


def _installed() -> Check:
    listed = _listed(installed_providers())
    stores = _listed(installed_stores())
    return Check("installed", "ok", f"Providers: {listed}. Stores: {stores}.")


def _listed(found: Iterable[tuple[Installed, str]]) -> str:
    return ", ".join(f"{each.name} from {origin}" for each, origin in found)


def _failures(settings: Settings, opening: Opening) -> Iterator[Check]:
    """Whether payments fail more than they used to, where the configuration says how that is told."""
    section = settings.values.failures
    if not section.field:
        return
    store = opening.store()
    sample = getattr(store, "sample", None)
    try:
        documents = [] if sample is None else sample(LOOKED_AT)
    except ReconError as error:
        yield Check("failures", "warning", f"No payments could be read to count failures: {error}")
        return
    finally:
        _close(store)
    is_usual, said = count_failures(documents, fields=opening.fields, section=section, now=settings.now()).said()
    yield from (Check("failures", "ok" if is_usual else "warning", each) for each in said)


def _repairs(settings: Settings) -> Iterator[Check]:
    """Whether missing rows can be put in safely, where the configuration lets them be."""
    from recon.setup.plan_missing import repair_says

    try:
        if (said := repair_says(settings)) is not None:
            yield Check("repair", *said)
    except SourceError as error:
        yield Check("repair", "warning", f"Cannot tell whether missing rows can be put in: {error}")
    except ReconError as error:
        yield Check("repair", "failed", str(error), "usage")


def _reserve(opening: Opening, reserve: ReserveSection) -> Check:
    """Whether a wallet that pays for what is sent holds enough."""
    name = f"reserve {reserve.chain_id}"
    try:
        state, says = reserve_says(opening, reserve)
    except SourceError as error:
        return Check(name, "failed", str(error), "unreachable")
    except ReconError as error:
        return Check(name, "failed", str(error), "usage")
    return Check(name, state, says, "refused" if state == "failed" else "")


def _output(settings: Settings) -> Check:
    folder = settings.output_dir
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if existing.is_dir() and os.access(existing, os.W_OK):
        return Check("output", "ok", f"{folder} can be written to.")
    return Check("output", "failed", f"{folder} cannot be written to; set [output] dir to a folder of yours.", "usage")


def _attempt(name: str, ask: Callable[[], str]) -> Check:
    try:
        says = ask()
    except RefusedError as error:
        return Check(name, "failed", str(error), "refused")
    except SourceError as error:
        return Check(name, "failed", str(error), "unreachable")
    except ReconError as error:
        return Check(name, "failed", str(error), "usage")
    return Check(name, "warning" if name == "database" and "; " in says else "ok", says)


def _store_says(settings: Settings, opening: Opening) -> str:
    store = opening.store()
    check = getattr(store, "check", None)
    try:
        if check is not None:
            return str(check(now=datetime.now(UTC)))
        identity = store.identity()
        return f"The recorded world {settings.target_name or identity.database} can be read."
    finally:
        _close(store)


def _fields(settings: Settings, opening: Opening) -> Iterator[Check]:
    """Whether the fields that payments are looked up by are found in the newest documents."""
    store = opening.store()
    sample = getattr(store, "sample", None)
    try:
        documents = [] if sample is None else sample(SAMPLE)
    except ReconError as error:
        yield Check("fields", "warning", f"No documents could be read to look for fields in them: {error}")
        return
    finally:
        _close(store)
    rules: RowRules = {"fields": opening.fields, "registry": settings.registry(), "policy": settings.policy()}
    found = fields_found(documents, **rules)
    yield from (Check("times", "warning", said) for said in times_said(documents, **rules))
    missing = [each for each in found if each.is_missing]
    for each in missing:
        yield Check(f"field {each.name}", "warning", each.says)
    if documents and not missing:
        counts = ", ".join(f"{each.name} {each.found} of {each.of}" for each in found if each.of)
        yield Check(
            "fields", "ok", f"Found in the newest {count_text(len(documents), 'payment')}: {counts or 'none in scope'}."
        )


def _says(source: object) -> str:
    try:
        return str(source.check())  # type: ignore[attr-defined]
    finally:
        _close(source)


def _close(source: object) -> None:
    close = getattr(source, "close", None)
    if close is not None:
        close()
