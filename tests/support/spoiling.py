"""What properties about hostile text are fed with: sound things of every kind, and how they are spoiled."""

import copy
import datetime as dt
import json
import string
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bson
from hypothesis import strategies as st

from recon.core.model import Plan
from recon.simulation import World, generate_world, write_world
from tests.support import payment_documents
from tests.support.worlds import plan_of_directory

NOW = dt.datetime(2026, 11, 20, 12, 0, tzinfo=dt.UTC)


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


def json_bytes(value: Any) -> bytes:
    """JSON as a careless writer makes it: infinities and lone surrogates and all."""
    return json.dumps(value, default=str).encode("utf-8", "surrogatepass")


@contextmanager
def as_file(data: bytes, name: str = "given") -> Any:
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
def plan_file() -> bytes:
    from recon.plans.file import plan_bytes

    return plan_bytes(plan())


@cache
def plan_content() -> Any:
    return json.loads(plan_file())


def canonical(value: Any) -> bytes:
    from recon.core.canonical import canonical_json

    try:
        return canonical_json(value).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError):
        return json_bytes(value)


@cache
def manifest_file() -> bytes:
    tables = {"payments": {"rows": 1, "sha256": "0" * 64}}
    content = {"format": 1, "taken_at_ms": 1, "selection": {}, "target": {}, "tolerance_ppm": {}, "tables": tables}
    return canonical(content)


@cache
def case_file() -> bytes:
    from recon.investigation.payment import inspect_payment
    from recon.investigation.payment.casefile import save_case
    from recon.investigation.payment.gather import Asking
    from recon.setup.open_sources import open_sources
    from recon.setup.settings import load_settings

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
    return json.loads(case_file())


@cache
def world_files() -> dict[str, bytes]:
    with TemporaryDirectory(prefix="recon-fuzz-") as folder:
        small = generate_world(payments=3, seed=5)
        write_world(small, Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
