"""Properties about hostile text: whatever comes from outside, no exception but ours.

:data:`PROPERTIES` holds each property as a strategy and a check. ``tests/end_to_end/test_fuzz.py`` runs all of them
with few examples, ``scripts/fuzz`` runs the very same for as long as told. What is fed in is mostly a sound thing
that was spoiled in a few places (:func:`mangled`, :func:`spoiled_text`), since pure noise is refused at the first
door.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bson
import httpx
from hypothesis import strategies as st

from recon.core.errors import ReconError
from recon.core.model import Policy
from recon.core.registry import load_registry
from tests.support.spoiling import (
    BSON_HOSTILE,
    DELIVERY,
    DOCUMENTS,
    DOTENV,
    JOURNAL,
    LOG,
    NGINX,
    NOW,
    TOML,
    YAML,
    _places,
    as_file,
    canonical,
    case_file,
    json_bytes,
    json_values,
    leaves,
    mangled,
    manifest_file,
    plan_content,
    plan_file,
    spoiled_text,
    texts,
    world,
    world_files,
)


@dataclass(frozen=True)
class Property:
    """What is drawn, and what must hold of it: ``check`` raises anything but a ReconError only for a defect."""

    drawn: st.SearchStrategy[Any]
    check: Callable[[Any], None]


PROPERTIES: dict[str, Property] = {}


def about(drawn: st.SearchStrategy[Any]) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a check under its name."""

    def register(check: Callable[[Any], None]) -> Callable[[Any], None]:
        PROPERTIES[check.__name__] = Property(drawn, check)
        return check

    return register


# ------------------------------------------------------------------------------------------------------------ documents


@about(st.lists(mangled(st.sampled_from(DOCUMENTS), BSON_HOSTILE), min_size=1, max_size=3))
def payment_documents_become_rows(documents: list[Any]) -> None:
    """One row each, the same by columns and one by one, whatever a document holds."""
    from recon.sources.payments.documents import codec
    from recon.sources.payments.read import FieldPaths, payment_rows

    given = [document for document in documents if isinstance(document, dict)]
    rules: dict[str, Any] = {"fields": FieldPaths(), "registry": load_registry(), "policy": Policy()}
    rows = payment_rows(given, **rules)
    assert rows.num_rows == len(given)
    try:
        encoded = [bson.encode(document) for document in given]
    except (bson.errors.BSONError, OverflowError, UnicodeError, TypeError, ValueError):
        return
    decoded = [bson.decode(data, codec_options=codec()) for data in encoded]
    many = payment_rows(decoded * 60, **rules)
    one_by_one = payment_rows(decoded, **rules)
    for index in range(len(decoded)):
        assert _told(many.slice(index, 1)) == _told(one_by_one.slice(index, 1))


def _told(row: Any) -> dict[str, Any]:
    return {name: repr(column[0].as_py()) for name, column in zip(row.schema.names, row.columns, strict=True)}


# -------------------------------------------------------------------------------------------------- providers and nodes


def _never_waiting() -> Any:
    from recon.sources.http import Clock

    seconds = [0.0]

    def sleep(pause_s: float) -> None:
        seconds[0] += pause_s

    return Clock(lambda: int(NOW.timestamp() * 1000), monotonic=lambda: seconds[0], sleep=sleep)


def _spoiling(sound: Callable[[httpx.Request], httpx.Response], spoil: Mapping[str, Any]) -> httpx.MockTransport:
    """A transport whose answers have one place replaced, or whose bytes are something else altogether."""

    def answer(request: httpx.Request) -> httpx.Response:
        given = sound(request)
        if spoil["bytes"] is not None:
            return httpx.Response(spoil["status"], content=spoil["bytes"], headers=spoil["headers"])
        content = json.loads(given.content)
        places = [place for place in _places(content) if place]
        for number, value in spoil["changes"]:
            if not places:
                break
            *parents, last = places[number % len(places)]
            node = content
            with suppress(KeyError, IndexError, TypeError):
                for parent in parents:
                    node = node[parent]
                node[last] = value
        return httpx.Response(spoil["status"], content=json_bytes(content), headers=spoil["headers"])

    return httpx.MockTransport(answer)


answers = st.fixed_dictionaries(
    {
        "bytes": st.one_of(st.none(), st.none(), st.none(), st.binary(max_size=60), json_values.map(json_bytes)),
        "status": st.sampled_from([200, 200, 200, 200, 200, 201, 204, 302, 400, 401, 404, 422, 429, 500, 599]),
        "headers": st.sampled_from(
            [{}, {"retry-after": "-1"}, {"retry-after": "9" * 30}, {"content-type": "text/html"}, {"location": "\x00"}]
        ),
        "changes": st.lists(st.tuples(st.integers(0, 10_000), leaves), min_size=1, max_size=6),
    }
)


def _asked(source: Any, keys: Sequence[Any]) -> None:
    from recon.core.tables import arrow_schema
    from recon.sources.interface import no_progress

    with suppress(ReconError):
        window = source.read_window(0, int(NOW.timestamp() * 1000), progress=no_progress)
        for name, table in window.tables.items():
            assert table.schema.equals(arrow_schema(name))
    with suppress(ReconError):
        found = source.look_up(keys, progress=no_progress)
        assert found.tables["claims"].num_rows >= len(keys)


def _keys() -> list[Any]:
    from recon.sources.interface import ClaimKey

    requests = [line["request"] for line in world().recorded.said["request_network"] if "request" in line][:2]
    invoices = [line["invoice"] for line in world().recorded.said["shkeeper"] if "invoice" in line][:2]
    return [
        *(ClaimKey("p", request_id=row["requestId"], reference=row["paymentReference"]) for row in requests),
        *(ClaimKey("q", external_id=str(row["external_id"]), chain_id=56) for row in invoices),
        ClaimKey(
            "r", external_id="x", direction="out", chain_id=56, token="0x55d398326f99059ff775485246999027b3197955"
        ),
    ]


@about(answers)
def request_network_answers_are_read_or_refused(spoil: Mapping[str, Any]) -> None:
    """Every key asked for gets a row, every table its schema."""
    from recon.sources.http import Secret
    from recon.sources.providers.request_network.api import RequestNetwork, RequestNetworkSettings
    from recon.sources.providers.request_network.recorded import request_network_handler

    transport = _spoiling(request_network_handler(world().recorded), spoil)
    settings = RequestNetworkSettings(api_key=Secret("k"), rate_per_s=1e6, pages_max=20, sweeps_max=2, deadline_s=60)
    source = RequestNetwork(settings, registry=load_registry(), transport=transport, clock=_never_waiting())
    _asked(source, [key for key in _keys() if key.request_id])


@about(answers)
def shkeeper_answers_are_read_or_refused(spoil: Mapping[str, Any]) -> None:
    """The same for SHKeeper."""
    from recon.sources.http import Secret
    from recon.sources.providers.shkeeper.api import Shkeeper, ShkeeperSettings
    from recon.sources.providers.shkeeper.recorded import shkeeper_handler

    transport = _spoiling(shkeeper_handler(world().recorded), spoil)
    settings = ShkeeperSettings(base_url="http://shkeeper.invalid", api_key=Secret("k"), rate_per_s=1e6)
    source = Shkeeper(settings, registry=load_registry(), transport=transport, clock=_never_waiting())
    _asked(source, [key for key in _keys() if key.external_id])


@about(answers)
def nodes_answers_are_read_or_refused(spoil: Mapping[str, Any]) -> None:
    """Every hash asked for gets a row; a wrong chain id is refused."""
    from recon.core.tables import arrow_schema
    from recon.sources.chain.evm import ChainSettings, Endpoint, EvmChain
    from recon.sources.interface import ChainQuestion, no_progress
    from recon.sources.recorded.world import rpc_handler

    recorded = world().recorded
    chain = recorded.chains[56]
    hashes = tuple(str(receipt["transactionHash"]) for receipt in chain.receipts[:4])
    clock = _never_waiting()
    source = EvmChain(
        ChainSettings(56, endpoints=(Endpoint("http://node.invalid"),), tries_max=2, deadline_s=60, rate_per_s=None),
        registry=load_registry(),
        transport=_spoiling(rpc_handler(recorded, 56), spoil),
        clock=clock,
    )
    since = chain.time_ms(chain.head - 2_000)
    with suppress(ReconError):
        found = source.read(
            ChainQuestion(from_ms=since, recipients=("0x" + "11" * 20,), tx_hashes=hashes), progress=no_progress
        )
        assert found.tables["transactions"].num_rows == len(hashes)
        for name, table in found.tables.items():
            assert table.schema.equals(arrow_schema(name))


@about(mangled(LOG))
def logs_are_decoded_or_refused(log: Any) -> None:
    """One error class for whatever is wrong with a log."""
    from recon.sources.chain.logs import decode_transfer

    if isinstance(log, dict):
        with suppress(ReconError):
            assert decode_transfer(log).amount_units >= 0


@about(
    st.tuples(texts, st.one_of(st.none(), st.integers()), st.integers(0, 999), json_values, st.one_of(st.none(), texts))
)
def complaints_of_nodes_are_understood(given: tuple[Any, ...]) -> None:
    """Any error text has a meaning, and the text shown is short."""
    from recon.sources.chain.rpc import classify_error

    text, code, status, data, retry_after = given
    complaint = classify_error(text, code=code, status=status, data=data, retry_after=retry_after)
    assert len(complaint.text) <= 201
    assert complaint.pause_s is None or 0 <= complaint.pause_s <= 300


@about(json_values)
def error_bodies_give_a_clean_sentence(body: Any) -> None:
    """Whatever shape an error has, what is shown is one printable line."""
    from recon.sources.providers.polite import error_text

    said = error_text(body, secrets=("hunter2",))
    assert said.isprintable()
    assert "hunter2" not in said


@about(st.tuples(st.sampled_from(["request_network", "shkeeper", "request.network", "paypal", ""]),
                 st.dictionaries(st.sampled_from(["X-Request-Network-Signature", "X-Shkeeper-Signature",
                                                  "X-Shkeeper-Timestamp", "x"]), texts, max_size=4),
                 st.binary(max_size=80), st.one_of(texts, st.binary(max_size=10))))  # fmt: skip
def webhooks_of_strangers_are_not_signed(given: tuple[Any, ...]) -> None:
    """Nobody guesses a signature; headers and keys of any form are no crash."""
    from recon.sources.providers.webhooks import verify_webhook

    provider, headers, body, secret = given
    if isinstance(secret, str):
        secret = secret.encode("utf-8", "replace").decode()
    with suppress(ReconError):
        assert not verify_webhook(provider, headers, body, secret, now=NOW)


# --------------------------------------------------------------------------------------------------------------- files


@about(
    st.one_of(
        st.deferred(lambda: spoiled_text(plan_file())), st.deferred(lambda: mangled(plan_content()).map(json_bytes))
    )
)
def plan_files_are_whole_or_refused(data: bytes) -> None:
    """A plan file that was touched anywhere is refused; nothing else comes of it."""
    from recon.plans.file import parse_plan, plan_bytes

    with suppress(ReconError):
        assert plan_bytes(parse_plan(data)) == data


@about(
    st.deferred(lambda: st.one_of(spoiled_text(manifest_file()), mangled(json.loads(manifest_file())).map(canonical)))
)
def snapshot_manifests_are_whole_or_refused(data: bytes) -> None:
    """A manifest that was touched opens nothing."""
    from recon.snapshots.sealed import open_snapshot

    if data == manifest_file():
        return
    with as_file(data, "manifest.json") as path, suppress(ReconError):
        open_snapshot(path.parent)
        raise AssertionError("a snapshot without its files was opened")


@about(st.deferred(lambda: st.one_of(spoiled_text(case_file()), mangled(json.loads(case_file())).map(json_bytes))))
def case_files_are_judged_or_refused(data: bytes) -> None:
    """A case file comes by mail: whatever is in it is judged again or refused."""
    from recon.investigation.payment.casefile import load_case

    with as_file(data, "case.json") as path, suppress(ReconError):
        load_case(path)


@about(spoiled_text(TOML))
def configuration_files_are_read_or_refused(data: bytes) -> None:
    """One sentence, whatever a configuration says."""
    from recon.setup.settings import load_settings

    with as_file(data, "recon.toml") as path, suppress(ReconError):
        load_settings(path)


@about(mangled({"target": {"name": "x"}, "mongo": {"database": "m", "timeout_s": 5}, "window": {"hours": 1},
                "chains": [{"chain_id": 56, "endpoints": ["https://a"], "confirmations_min": 3}],
                "policy": {"tolerance_percent": {"shkeeper": ["1", "1"]}}, "merchant": {"recipients": []},
                "fields": {"status": "status"}, "request_network": {"base_url": "https://x", "calls_per_s": 1},
                "shkeeper": {"base_url": "https://y", "coins": {"A": {"chain_id": 1, "symbol": "USDC"}}}}))  # fmt: skip
def settings_are_checked_or_refused(content: Any) -> None:
    """The same below the text."""
    from recon.setup.file import parse_settings

    if isinstance(content, dict):
        with suppress(ReconError):
            parse_settings(content)


@about(spoiled_text(DOTENV))
def dotenv_files_are_edited_or_refused(data: bytes) -> None:
    """An edit changes the one value and can be taken back byte for byte."""
    from recon.rails.flags.dotenv import apply_edits, edits_for, read_dotenv

    with suppress(ReconError):
        before = read_dotenv(data)
        edits = edits_for(before, {"PAYMENT_REQUEST_NETWORK_ENABLED": "false", "NEW_FLAG": "1"})
        after = read_dotenv(apply_edits(before, edits))
        assert after.values["PAYMENT_REQUEST_NETWORK_ENABLED"] == "false"


@about(spoiled_text(YAML))
def compose_files_are_read_or_refused(data: bytes) -> None:
    """A compose file is text that somebody wrote by hand."""
    from recon.rails.flags.yamltext import read_yaml_text

    with as_file(data, "compose.yaml") as path, suppress(ReconError):
        read_yaml_text(path)


@about(spoiled_text(NGINX))
def access_logs_are_counted(data: bytes) -> None:
    """Every line is counted or called unreadable; a log is full of what strangers sent."""
    from recon.investigation.incident.access_log import triage_access_log

    with as_file(data, "access.log") as path, suppress(ReconError):
        triage_access_log([path])


@about(st.one_of(mangled(DELIVERY), mangled([DELIVERY, DELIVERY])))
def delivery_records_are_read(row: Any) -> None:
    """Dead letters in whatever form they were kept."""
    from recon.investigation.incident.replay import triage_deliveries
    from recon.sources.deliveries.records import load_deliveries

    with as_file(json_bytes(row), "dead.ndjson") as path, suppress(ReconError):
        triage_deliveries(load_deliveries(path).deliveries, secrets={})


@about(st.one_of(spoiled_text(JOURNAL.encode()), mangled(json.loads(JOURNAL)).map(json_bytes)))
def journal_lines_are_read_or_refused(data: bytes) -> None:
    """A line of the journal, by itself and in its file."""
    from recon.runs.stores.journal import FileJournal, parse_entry, verify_journal

    with suppress(ReconError):
        parse_entry(data.decode("utf-8", "replace"), seq=1)
    with as_file(data + b"\n", "journal.ndjson") as path, suppress(ReconError):
        journal = FileJournal(path.parent)
        journal.refresh()
        list(journal.entries())
        verify_journal(journal)


@about(st.one_of(spoiled_text(b'{"format":1,"at":"2026-11-20T12:00:00Z","plan":"x"}\n'), json_values.map(json_bytes)))
def history_lines_are_counted(data: bytes) -> None:
    """The run history survives a line that is none."""
    from recon.plans.history import FILE_NAME, latest_entry, load_history
    from recon.reports.views.history import render_history

    with as_file(data, FILE_NAME) as path, suppress(ReconError):
        history = load_history(path.parent)
        latest_entry(history, target="demo")
        render_history(history, limit=5)


@about(
    st.deferred(
        lambda: st.tuples(st.sampled_from(sorted(world_files())), st.integers(0, 10**6), leaves, st.binary(max_size=9))
    )
)
def recorded_worlds_are_loaded_or_refused(given: tuple[Any, ...]) -> None:
    """A recorded directory with one spoiled file."""
    from recon.simulation import load_truth
    from recon.sources.providers.request_network.recorded import request_network_handler
    from recon.sources.providers.shkeeper.recorded import shkeeper_handler
    from recon.sources.recorded.world import load_world, rpc_handler

    name, at, value, raw = given
    with TemporaryDirectory(prefix="recon-fuzz-") as folder:
        for file, data in world_files().items():
            (Path(folder) / file).write_bytes(data)
        sound = world_files()[name]
        place = at % (len(sound) + 1)
        (Path(folder) / name).write_bytes(sound[:place] + (raw or json_bytes(value)) + sound[place + len(raw) :])
        with suppress(ReconError):
            load_truth(Path(folder) / "truth.ndjson")
        with suppress(ReconError):
            loaded = load_world(Path(folder))
            for handler in (request_network_handler, shkeeper_handler):
                handler(loaded)
            for chain_id in loaded.chains:
                rpc_handler(loaded, chain_id)


# ------------------------------------------------------------------------------------------------------ ids and amounts


@about(texts)
def ids_are_normalised_or_refused(text: str) -> None:
    """Normal forms are fixed points; what is none of them is None or one of our errors."""
    from recon.core import ids
    from recon.investigation.payment.identify import names_of

    for normalise in (ids.normalise_address, ids.normalise_tx_hash, ids.normalise_reference):
        found = normalise(text)
        assert found is None or normalise(found) == found
    assert ids.normalise_request_id(ids.normalise_request_id(text)) == ids.normalise_request_id(text)
    ids.is_simulated(text)
    for strict in (ids.reference_topic, names_of, ids.parse_payment_id):
        with suppress(ReconError):
            strict(text)
    with suppress(ReconError):
        ids.payment_reference(text, text, text)


@about(st.one_of(leaves, st.sampled_from(BSON_HOSTILE)))
def document_ids_have_one_text(value: Any) -> None:
    """An ``_id`` of any type has a text, and the text leads back to it."""
    from recon.core import ids

    with suppress(ReconError):
        text = ids.payment_id_text(value)
        assert ids.payment_id_text(ids.parse_payment_id(text)) == text


@about(st.tuples(texts, st.integers(0, 36)))
def amounts_are_exact_or_refused(given: tuple[str, int]) -> None:
    """No digit is lost and none is made up."""
    from recon.core.money import format_units, parse_units

    text, decimals = given
    with suppress(ReconError):
        units = parse_units(text, decimals=decimals)
        with localcontext(prec=1_000):
            assert Decimal(text.strip()) == Decimal(units).scaleb(-decimals)
        assert parse_units(format_units(units, decimals=decimals), decimals=decimals) == units


def names() -> Iterable[str]:
    """Every property."""
    return sorted(PROPERTIES)
