"""Properties about hostile text: whatever comes from outside, no exception but ours.

:data:`PROPERTIES` holds each property as a strategy and a check. ``tests/test_fuzz.py`` runs all of them with few
examples, ``scripts/fuzz`` runs the very same for as long as told. What is fed in is mostly a sound thing that was
spoiled in a few places (:func:`mangled`, :func:`spoiled_text`), since pure noise is refused at the first door.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bson
import httpx
from hypothesis import strategies as st

from recon.errors import ReconError
from recon.model import Plan, Policy
from recon.registry import load_registry
from recon.simulate import World, generate_world, write_world
from tests import payment_documents
from tests.worlds import plan_of_directory

NOW = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)


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


# ------------------------------------------------------------------------------------------------------- what is drawn

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, 2**256 - 1, 10**400, -(10**40), 0.1, -0.0, 1e308, 1e-320,
    float("inf"), float("nan"), "", " ", "0", "0x", "0x0", "-0", "1e5", "1E400", "NaN", "Infinity", "١٢٣", "1_000",
    "12.5000000000000000000001", "0x" + "f" * 64, "0X" + "AB" * 32, "0x" + "g" * 64, "0x" + "0" * 39, "a" * 5_000,
    "\x00", "\ud800", "\u202e", "null", "undefined", "[object Object]", "SIM_1", "pending ", "COMPLETED", "bsc",
    "request.network", "2026-11-20T12:00:00Z", "9999-12-31T23:59:59.999999Z", "0000-00-00", "2026-02-30", [], {},
    [[]], [None], {"": None}, {"$numberLong": "1"}, {"$date": "x"}, {"$oid": "z"}, {"a.b": 1, "$set": {}}, [1] * 300,
)  # fmt: skip
"""Values that somebody once meant as a number, a date, an id or nothing."""

BSON_HOSTILE: tuple[Any, ...] = (
    bson.Decimal128("NaN"), bson.Decimal128("-Infinity"), bson.Decimal128("1E+6000"), bson.Decimal128("12.50"),
    bson.Int64(2**62), bson.ObjectId("65a000000000000000000001"), bson.Regex("a", "i"), bson.Timestamp(1, 1),
    bson.MinKey(), bson.MaxKey(), bson.Code("return 1"), b"\x00\xff", bson.Binary(b"x" * 16, 4), NOW,
    dt.datetime(1, 1, 1, tzinfo=dt.UTC), dt.datetime(9999, 12, 31, tzinfo=dt.UTC), bson.datetime_ms.DatetimeMS(2**62),
    bson.DBRef("a", 1), bson.SON([("$eq", 1)]),
)  # fmt: skip
"""The same, as a document database can hold it."""

texts = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=string.hexdigits + "xX \t", max_size=70),
    st.text(alphabet=string.digits + ".eE+-_, ", max_size=30),
    st.sampled_from([value for value in HOSTILE if isinstance(value, str)]),
)
leaves = st.one_of(st.sampled_from(HOSTILE), texts, st.integers(), st.floats(), st.none())
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    if isinstance(value, dict):
        for key in value:
            found += _places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(min(len(value), 12)):
            found += _places(value[index], (*path, index))
    return found


@st.composite
def mangled(draw: st.DrawFn, sound: Any, extra: tuple[Any, ...] = ()) -> Any:
    """A sound JSON-like value with one to four places replaced, taken away, doubled, or swapped."""
    value = copy.deepcopy(draw(sound) if isinstance(sound, st.SearchStrategy) else sound)
    hostile = st.one_of(leaves, st.sampled_from(extra)) if extra else leaves
    for _ in range(draw(st.integers(1, 4))):
        places = [place for place in _places(value) if place]
        if not places:
            return copy.deepcopy(draw(hostile))
        *parents, last = draw(st.sampled_from(places))
        node = value
        for parent in parents:
            node = node[parent]
        change = draw(st.sampled_from(("replace", "replace", "remove", "double", "swap")))
        if change == "remove":
            del node[last]
        elif change == "double" and isinstance(node, list):
            node.append(copy.deepcopy(node[last]))
        elif change == "double" and isinstance(node, dict):
            node[draw(texts)] = copy.deepcopy(node[last])
        elif change == "swap":
            other = draw(st.sampled_from(list(node) if isinstance(node, dict) else list(range(len(node)))))
            node[last], node[other] = node[other], node[last]
        else:
            node[last] = copy.deepcopy(draw(hostile))
    return value


@st.composite
def spoiled_text(draw: st.DrawFn, sound: bytes) -> bytes:
    """Sound bytes with pieces cut out, doubled or replaced."""
    value = bytearray(sound)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(value)))
        length = draw(st.integers(0, 40))
        piece = draw(st.one_of(st.binary(max_size=20), texts.map(lambda text: text.encode("utf-8", "replace"))))
        change = draw(st.sampled_from(("cut", "insert", "replace", "double", "end")))
        if change == "cut":
            del value[at : at + length]
        elif change == "insert":
            value[at:at] = piece
        elif change == "replace":
            value[at : at + length] = piece
        elif change == "double":
            value[at:at] = value[at : at + length]
        else:
            del value[at:]
    return bytes(value)


def _json(value: Any) -> bytes:
    """JSON as a careless writer makes it: infinities and lone surrogates and all."""
    return json.dumps(value, default=str).encode("utf-8", "surrogatepass")


@contextmanager
def _file(data: bytes, name: str = "given") -> Any:
    with TemporaryDirectory(prefix="recon-fuzz-") as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


# ------------------------------------------------------------------------------------------------------- sound examples


@cache
def world() -> World:
    """A small world, whose answers are what the spoiled ones come from."""
    return generate_world(payments=25, seed=77)


@cache
def plan() -> Plan:
    """A plan of that world."""
    with TemporaryDirectory(prefix="recon-fuzz-") as folder:
        write_world(world(), Path(folder) / "world")
        return plan_of_directory(Path(folder) / "world", Path(folder) / "out", engine="polars")


DOCUMENTS = [payment_documents.payment(), payment_documents.payment(provider="shkeeper", metadata__externalId="65a")]
NGINX = (
    b'203.0.113.9 - - [20/Nov/2026:11:59:58 +0000] "POST /api/webhooks/request-network HTTP/1.1" 200 17 "-" "axios"\n'
    b'203.0.113.9 - - [20/Nov/2026:12:00:01 +0000] "POST /api/payment/shkeeper/webhook HTTP/1.1" 502 17 "-" "python"\n'
    b'{"time":"2026-11-20T12:00:00Z","method":"POST","path":"/api/webhooks/request-network","status":200}\n'
)
DOTENV = b"# rails\nPAYMENT_REQUEST_NETWORK_ENABLED=true\nexport SHKEEPER='on'\nURL=\"https://x/$A\"\nEMPTY=\n"
TOML = b"""[target]
name = "demo"
[mongo]
database = "marketplace"
[window]
hours = 24
[request_network]
base_url = "https://api.request.network"
calls_per_s = 5
[[chains]]
chain_id = 56
endpoints = ["https://bsc.example"]
confirmations_min = 15
[policy]
plan_age_max_h = 4
[merchant]
recipients = ["0x1111111111111111111111111111111111111111"]
"""
YAML = (
    b"services:\n  backend:\n    environment:\n      - A=true\n      - B=${C:-x}\n    env_file: .env\n"
    b"  x: &a {q: 1}\n  y: *a\n"
)
DELIVERY = {
    "deliveryId": "d-1", "provider": "request-network", "receivedAt": "2026-11-20T12:00:00Z", "attempt": 1,
    "status": 200, "headers": {"x-request-network-signature": "ab" * 32, "content-type": "application/json"},
    "body": '{"event":"payment.confirmed","requestId":"01ab","amount":"12.5"}', "signatureValid": True,
}  # fmt: skip
JOURNAL = json.dumps(
    {"v": 1, "seq": 1, "prev": "0" * 64, "run": "r", "kind": "intents", "at": "2026-11-20T12:00:00Z", "body": {},
     "token": 1, "change": None, "payment": None}
)  # fmt: skip
LOG = {
    "address": "0x0dfbee143b42b41efc5a6f87bfd1ffc78c2f0ac9",
    "topics": ["0x9f16cbcc523c67a60c450e5ffe4f3b7b6dbe772e7abcadb2686ce029a9a0a2b6", "0x" + "ab" * 32],
    "data": "0x" + "".join(f"{value:064x}" for value in (5, 6, 7, 8, 9)), "blockNumber": "0x10",
    "transactionHash": "0x" + "cd" * 32, "logIndex": "0x1", "removed": False, "blockHash": "0x" + "ef" * 32,
}  # fmt: skip


@cache
def _plan_bytes() -> bytes:
    from recon.planfile import plan_bytes

    return plan_bytes(plan())


@cache
def _plan_json() -> Any:
    return json.loads(_plan_bytes())


def _canonical(value: Any) -> bytes:
    from recon.planfile import canonical_json

    try:
        return canonical_json(value).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError):
        return _json(value)


@cache
def _manifest() -> bytes:
    tables = {"payments": {"rows": 1, "sha256": "0" * 64}}
    content = {"format": 1, "taken_at_ms": 1, "selection": {}, "target": {}, "tolerance_ppm": {}, "tables": tables}
    return _canonical(content)


@cache
def _case() -> bytes:
    from recon.config import load_settings
    from recon.inspection import inspect_payment
    from recon.inspection.casefile import save_case
    from recon.inspection.gather import Asking
    from recon.opening import open_sources

    with TemporaryDirectory(prefix="recon-fuzz-") as folder:
        write_world(world(), Path(folder) / "world")
        settings = load_settings(Path(folder) / "world" / "recon.toml")
        asking = Asking(policy=settings.policy(), registry=settings.registry(), now=settings.now())
        name = next(item.payment_id for item in plan().findings if ":" not in item.payment_id)
        with open_sources(settings) as sources:
            found = inspect_payment(name, asking=asking, sources=sources)
        save_case(found, Path(folder) / "case.json", made_at=NOW)
        return (Path(folder) / "case.json").read_bytes()


def sound_case() -> Any:
    """A sound case file, to be spoiled."""
    return json.loads(_case())


@cache
def _world_files() -> dict[str, bytes]:
    with TemporaryDirectory(prefix="recon-fuzz-") as folder:
        small = generate_world(payments=3, seed=5)
        write_world(small, Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


# ------------------------------------------------------------------------------------------------------------ documents


@about(st.lists(mangled(st.sampled_from(DOCUMENTS), BSON_HOSTILE), min_size=1, max_size=3))
def payment_documents_become_rows(documents: list[Any]) -> None:
    """One row each, the same by columns and one by one, whatever a document holds."""
    from recon.sources.documents import codec
    from recon.sources.payments import FieldPaths, payment_rows

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
        return httpx.Response(spoil["status"], content=_json(content), headers=spoil["headers"])

    return httpx.MockTransport(answer)


answers = st.fixed_dictionaries(
    {
        "bytes": st.one_of(st.none(), st.none(), st.none(), st.binary(max_size=60), json_values.map(_json)),
        "status": st.sampled_from([200, 200, 200, 200, 200, 201, 204, 302, 400, 401, 404, 422, 429, 500, 599]),
        "headers": st.sampled_from(
            [{}, {"retry-after": "-1"}, {"retry-after": "9" * 30}, {"content-type": "text/html"}, {"location": "\x00"}]
        ),
        "changes": st.lists(st.tuples(st.integers(0, 10_000), leaves), min_size=1, max_size=6),
    }
)


def _asked(source: Any, keys: Sequence[Any]) -> None:
    from recon.sources.interface import no_progress
    from recon.tables import arrow_schema

    with suppress(ReconError):
        window = source.read_window(0, int(NOW.timestamp() * 1000), progress=no_progress)
        for name, table in window.tables.items():
            assert table.schema.equals(arrow_schema(name))
    with suppress(ReconError):
        found = source.look_up(keys, progress=no_progress)
        assert found.tables["claims"].num_rows >= len(keys)


def _keys() -> list[Any]:
    from recon.sources.interface import ClaimKey

    requests = [line["request"] for line in world().recorded.request_network if "request" in line][:2]
    invoices = [line["invoice"] for line in world().recorded.shkeeper if "invoice" in line][:2]
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
    from recon.sources.recorded import request_network_handler
    from recon.sources.request_network import RequestNetwork, RequestNetworkSettings

    transport = _spoiling(request_network_handler(world().recorded), spoil)
    settings = RequestNetworkSettings(api_key=Secret("k"), rate_per_s=1e6, pages_max=20, sweeps_max=2, deadline_s=60)
    source = RequestNetwork(settings, registry=load_registry(), transport=transport, clock=_never_waiting())
    _asked(source, [key for key in _keys() if key.request_id])


@about(answers)
def shkeeper_answers_are_read_or_refused(spoil: Mapping[str, Any]) -> None:
    """The same for SHKeeper."""
    from recon.sources.http import Secret
    from recon.sources.recorded import shkeeper_handler
    from recon.sources.shkeeper import Shkeeper, ShkeeperSettings

    transport = _spoiling(shkeeper_handler(world().recorded), spoil)
    settings = ShkeeperSettings(base_url="http://shkeeper.invalid", api_key=Secret("k"), rate_per_s=1e6)
    source = Shkeeper(settings, registry=load_registry(), transport=transport, clock=_never_waiting())
    _asked(source, [key for key in _keys() if key.external_id])


@about(answers)
def nodes_answers_are_read_or_refused(spoil: Mapping[str, Any]) -> None:
    """Every hash asked for gets a row; a wrong chain id is refused."""
    from recon.sources import rpc
    from recon.sources.evm import ChainSettings, Endpoint, EvmChain
    from recon.sources.interface import ChainQuestion, no_progress
    from recon.sources.recorded import rpc_handler
    from recon.tables import arrow_schema

    recorded = world().recorded
    chain = recorded.chains[56]
    hashes = tuple(str(receipt["transactionHash"]) for receipt in chain.receipts[:4])
    clock = _never_waiting()
    source = EvmChain(
        ChainSettings(56, endpoints=(Endpoint("http://node.invalid"),), tries_max=2, deadline_s=60, rate_per_s=None),
        registry=load_registry(),
        transport=_spoiling(rpc_handler(recorded, 56), spoil),
        clock=rpc.Clock(monotonic=clock.monotonic, sleep=clock.sleep, now_ms=clock.now_ms),
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
    from recon.sources.logs import decode_transfer

    if isinstance(log, dict):
        with suppress(ReconError):
            assert decode_transfer(log).amount_units >= 0


@about(
    st.tuples(texts, st.one_of(st.none(), st.integers()), st.integers(0, 999), json_values, st.one_of(st.none(), texts))
)
def complaints_of_nodes_are_understood(given: tuple[Any, ...]) -> None:
    """Any error text has a meaning, and the text shown is short."""
    from recon.sources.rpc import classify

    text, code, status, data, retry_after = given
    complaint = classify(text, code=code, status=status, data=data, retry_after=retry_after)
    assert len(complaint.text) <= 201
    assert complaint.pause_s is None or 0 <= complaint.pause_s <= 300


@about(json_values)
def error_bodies_give_a_clean_sentence(body: Any) -> None:
    """Whatever shape an error has, what is shown is one printable line."""
    from recon.sources.http import error_text

    said = error_text(body, secrets=("hunter2",))
    assert said.isprintable()
    assert "hunter2" not in said


@about(st.tuples(st.sampled_from(["request_network", "shkeeper", "request.network", "paypal", ""]),
                 st.dictionaries(st.sampled_from(["X-Request-Network-Signature", "X-Shkeeper-Signature",
                                                  "X-Shkeeper-Timestamp", "x"]), texts, max_size=4),
                 st.binary(max_size=80), st.one_of(texts, st.binary(max_size=10))))  # fmt: skip
def webhooks_of_strangers_are_not_signed(given: tuple[Any, ...]) -> None:
    """Nobody guesses a signature; headers and keys of any form are no crash."""
    from recon.sources.webhooks import verify_webhook

    provider, headers, body, secret = given
    if isinstance(secret, str):
        secret = secret.encode("utf-8", "replace").decode()
    with suppress(ReconError):
        assert not verify_webhook(provider, headers, body, secret, now=NOW)


# --------------------------------------------------------------------------------------------------------------- files


@about(
    st.one_of(st.deferred(lambda: spoiled_text(_plan_bytes())), st.deferred(lambda: mangled(_plan_json()).map(_json)))
)
def plan_files_are_whole_or_refused(data: bytes) -> None:
    """A plan file that was touched anywhere is refused; nothing else comes of it."""
    from recon.planfile import parse_plan, plan_bytes

    with suppress(ReconError):
        assert plan_bytes(parse_plan(data)) == data


@about(st.deferred(lambda: st.one_of(spoiled_text(_manifest()), mangled(json.loads(_manifest())).map(_canonical))))
def snapshot_manifests_are_whole_or_refused(data: bytes) -> None:
    """A manifest that was touched opens nothing."""
    from recon.sealed import open_snapshot

    if data == _manifest():
        return
    with _file(data, "manifest.json") as path, suppress(ReconError):
        open_snapshot(path.parent)
        raise AssertionError("a snapshot without its files was opened")


@about(st.deferred(lambda: st.one_of(spoiled_text(_case()), mangled(json.loads(_case())).map(_json))))
def case_files_are_judged_or_refused(data: bytes) -> None:
    """A case file comes by mail: whatever is in it is judged again or refused."""
    from recon.inspection.casefile import load_case

    with _file(data, "case.json") as path, suppress(ReconError):
        load_case(path)


@about(spoiled_text(TOML))
def configuration_files_are_read_or_refused(data: bytes) -> None:
    """One sentence, whatever a configuration says."""
    from recon.config import load_settings

    with _file(data, "recon.toml") as path, suppress(ReconError):
        load_settings(path)


@about(mangled({"target": {"name": "x"}, "mongo": {"database": "m", "timeout_s": 5}, "window": {"hours": 1},
                "chains": [{"chain_id": 56, "endpoints": ["https://a"], "confirmations_min": 3}],
                "policy": {"tolerance_percent": {"shkeeper": ["1", "1"]}}, "merchant": {"recipients": []},
                "fields": {"status": "status"}, "request_network": {"base_url": "https://x", "calls_per_s": 1},
                "shkeeper": {"base_url": "https://y", "coins": {"A": {"chain_id": 1, "symbol": "USDC"}}}}))  # fmt: skip
def settings_are_checked_or_refused(content: Any) -> None:
    """The same below the text."""
    from recon.configfile import parse_settings

    if isinstance(content, dict):
        with suppress(ReconError):
            parse_settings(content)


@about(spoiled_text(DOTENV))
def dotenv_files_are_edited_or_refused(data: bytes) -> None:
    """An edit changes the one value and can be taken back byte for byte."""
    from recon.flags.dotenv import apply_edits, edits_for, read_dotenv

    with suppress(ReconError):
        before = read_dotenv(data)
        edits = edits_for(before, {"PAYMENT_REQUEST_NETWORK_ENABLED": "false", "NEW_FLAG": "1"})
        after = read_dotenv(apply_edits(before, edits))
        assert after.values["PAYMENT_REQUEST_NETWORK_ENABLED"] == "false"


@about(spoiled_text(YAML))
def compose_files_are_read_or_refused(data: bytes) -> None:
    """A compose file is text that somebody wrote by hand."""
    from recon.flags.yamltext import read_yaml_text

    with _file(data, "compose.yaml") as path, suppress(ReconError):
        read_yaml_text(path)


@about(spoiled_text(NGINX))
def access_logs_are_counted(data: bytes) -> None:
    """Every line is counted or called unreadable; a log is full of what strangers sent."""
    from recon.triage.accesslog import triage_access_log

    with _file(data, "access.log") as path, suppress(ReconError):
        triage_access_log([path])


@about(st.one_of(mangled(DELIVERY), mangled([DELIVERY, DELIVERY])))
def delivery_records_are_read(row: Any) -> None:
    """Dead letters in whatever form they were kept."""
    from recon.triage.deliveries import load_deliveries
    from recon.triage.replay import triage_deliveries

    with _file(_json(row), "dead.ndjson") as path, suppress(ReconError):
        triage_deliveries(load_deliveries(path).deliveries, secrets={})


@about(st.one_of(spoiled_text(JOURNAL.encode()), mangled(json.loads(JOURNAL)).map(_json)))
def journal_lines_are_read_or_refused(data: bytes) -> None:
    """A line of the journal, by itself and in its file."""
    from recon.journal import FileJournal, parse_entry, verify_journal

    with suppress(ReconError):
        parse_entry(data.decode("utf-8", "replace"), seq=1)
    with _file(data + b"\n", "journal.ndjson") as path, suppress(ReconError):
        journal = FileJournal(path.parent)
        journal.refresh()
        list(journal.entries())
        verify_journal(journal)


@about(st.one_of(spoiled_text(b'{"format":1,"at":"2026-11-20T12:00:00Z","plan":"x"}\n'), json_values.map(_json)))
def history_lines_are_counted(data: bytes) -> None:
    """The run history survives a line that is none."""
    from recon.history import FILE_NAME, latest_entry, load_history
    from recon.report.history import render_history

    with _file(data, FILE_NAME) as path, suppress(ReconError):
        history = load_history(path.parent)
        latest_entry(history, target="demo")
        render_history(history, limit=5)


@about(
    st.deferred(
        lambda: st.tuples(st.sampled_from(sorted(_world_files())), st.integers(0, 10**6), leaves, st.binary(max_size=9))
    )
)
def recorded_worlds_are_loaded_or_refused(given: tuple[Any, ...]) -> None:
    """A recorded directory with one spoiled file."""
    from recon.simulate import load_truth
    from recon.sources.recorded import load_world, request_network_handler, rpc_handler, shkeeper_handler

    name, at, value, raw = given
    with TemporaryDirectory(prefix="recon-fuzz-") as folder:
        for file, data in _world_files().items():
            (Path(folder) / file).write_bytes(data)
        sound = _world_files()[name]
        place = at % (len(sound) + 1)
        (Path(folder) / name).write_bytes(sound[:place] + (raw or _json(value)) + sound[place + len(raw) :])
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
    from recon import ids
    from recon.inspection.identify import names_of

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
    from recon import ids

    with suppress(ReconError):
        text = ids.payment_id_text(value)
        assert ids.payment_id_text(ids.parse_payment_id(text)) == text


@about(st.tuples(texts, st.integers(0, 36)))
def amounts_are_exact_or_refused(given: tuple[str, int]) -> None:
    """No digit is lost and none is made up."""
    from recon.money import format_units, parse_units

    text, decimals = given
    with suppress(ReconError):
        units = parse_units(text, decimals=decimals)
        with localcontext(prec=1_000):
            assert Decimal(text.strip()) == Decimal(units).scaleb(-decimals)
        assert parse_units(format_units(units, decimals=decimals), decimals=decimals) == units


def names() -> Iterable[str]:
    """Every property."""
    return sorted(PROPERTIES)
