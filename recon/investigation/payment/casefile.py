"""Case files: one payment's documents, answers, deliveries and verdict in one redacted file that replays offline.

A stand-in replaces each personal value, the same value everywhere by the same stand-in, so that equality and the
verdict survive. Personal is what identifies a person: buyer and seller, names, mail, phone, postal and network
addresses, free text. Chain addresses, hashes, amounts and provider ids are the evidence and stay. Secrets are dropped:
everything stored under a name that sounds like one, and everything in a URL but its host. The stand-in is a hash with
a salt that is not kept.

The file is sealed: ``seal`` is the hash of all its bytes with an empty seal, so that a changed byte shows. Replaying
judges anew, and says where the verdict is another than the one that the file was frozen with.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import UsageError
from recon.core.model import Policy
from recon.core.registry import load_registry
from recon.core.tables import TABLES
from recon.core.text import clean_text
from recon.core.times import second_text
from recon.files import save_new
from recon.investigation.payment.dossier import KEPT, Dossier
from recon.investigation.payment.inspect import Inspection, inspect_dossier

if TYPE_CHECKING:
    from recon.core.registry import Registry

FORMAT: Final = 2
UNSEALED_FORMAT: Final = 1
"""The format of files from before there was a seal; they still replay, and say so."""

KIND: Final = "recon-case"
FILE_MAX_BYTES: Final = 256 * 1024 * 1024
DROPPED: Final = "(secret, dropped)"

PERSONAL: Final = re.compile(
    r"buyer|seller|customer|client|user|owner|person|name|mail|phone|street|city|postal|zip|country|passport|birth|"
    r"ip$|ipaddr|agent|note|comment|message|memo|text|approv|released_?by|refunded_?by|admin|purchaserequest|selleroffer|"
    r"buyer_id|order_id|offer_id",
    re.IGNORECASE,
)
"""Names of fields whose text is about a person; ids are matched by whole columns below."""

SECRET: Final = re.compile(
    r"secret|password|passwd|passphrase|api[-_]?key|private|mnemonic|seed|authori[sz]ation|cookie|credential|"
    r"signature$|bearer|session|access[-_]?token|refresh[-_]?token|webhook[-_]?token",
    re.IGNORECASE,
)
_NO_SEAL: Final = b'\n "seal": ""'
_KEPT_NAMES: Final = frozenset({"token_name", "currency", "network", "tokenAddress", "signature_valid"})
_PERSONAL_COLUMNS: Final = frozenset({"buyer_id", "order_id", "offer_id"})
_URL: Final = re.compile(r"\b([a-z][a-z0-9+.-]{1,20}://)[^\s\"'<>]+", re.IGNORECASE)
_MAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_IPV4: Final = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
_RAIL: Final = re.compile(r"[\w.-]{1,60}:[0-9]{1,18}")
_LONG_KEY: Final = re.compile(r"\b(?:sk|pk|rk|key|tok)[-_][A-Za-z0-9_-]{12,}\b")


class CaseFileError(UsageError):
    """A file is not a case file, or this version cannot read it."""

    def __init__(self, *, path: Path, why: str) -> None:
        super().__init__(f'{path.name}: {why}; nothing was judged. "recon case ID --out FILE" writes a case file.')


def save_case(found: Inspection, path: Path, *, made_at: datetime) -> None:
    """Write a case file, whole or not at all.

    Raises:
        FileThereError: Something stands at that path already.
        NoRoomError: The disk is full.
        CaseFileError: The file cannot be written.
    """
    try:
        save_new(path, _sealed_bytes(case_json(found, made_at=made_at)))
    except OSError as error:
        raise CaseFileError(path=path, why=f"it cannot be written ({error.strerror or 'unknown reason'})") from error


def _sealed_bytes(case: Mapping[str, Any]) -> bytes:
    bare = f"{json.dumps({**case, 'seal': ''}, ensure_ascii=True, indent=1, sort_keys=True)}\n".encode()
    return bare.replace(_NO_SEAL, b'\n "seal": "%b"' % hashlib.sha256(bare).hexdigest().encode(), 1)


def _check_seal(data: bytes, case: Mapping[str, Any], path: Path) -> None:
    """Refuse a file of which a byte was changed, its seal included.

    Raises:
        CaseFileError: The seal does not fit, or there is none where there must be one.
    """
    seal = case.get("seal")
    if case.get("format") == UNSEALED_FORMAT and seal is None:
        return
    held = b'\n "seal": "%b"' % str(seal).encode("utf-8", "replace")
    bare = data.replace(held, _NO_SEAL, 1)
    if held not in data or hashlib.sha256(bare).hexdigest() != seal:
        raise CaseFileError(path=path, why="it was changed after it was made (its seal does not fit)")


def case_json(found: Inspection, *, made_at: datetime, salt: bytes | None = None) -> dict[str, Any]:
    """The case as JSON, redacted.

    Args:
        salt: For the stand-ins; random unless a test needs the same file again. It is not in the file.
    """
    redactor = Redactor(salt or secrets.token_bytes(16))
    dossier = found.dossier
    tables = {
        name: [redactor.row(row, columns=TABLES[name]) for row in dossier.rows(name)]
        for name in KEPT
        if dossier.rows(name)
    }
    return {
        "kind": KIND,
        "format": FORMAT,
        "made_at": second_text(made_at),
        "asked": redactor.text(dossier.asked),
        "payment_id": dossier.payment_id,
        "found_by": [redactor.text(text) for text in dossier.found_by],
        "now_ms": dossier.now_ms,
        "policy": _policy_json(dossier.policy),
        "tables": tables,
        "documents": {key: redactor.value(value) for key, value in sorted(dossier.documents.items())},
        "journal": [redactor.row(row, columns={}) for row in dossier.journal],
        "delivery_sources": list(dossier.delivery_sources),
        "is_afresh": dossier.is_afresh,
        "fields": dict(dossier.fields),
        "forwarders": [dict(row) for row in dossier.forwarders],
        "not_asked": [redactor.text(text) for text in dossier.not_asked],
        "verdict": None if found.judged is None else str(found.judged.finding.verdict),
        "causes": [{"name": cause.name, "strength": cause.strength.name.lower()} for cause in found.causes],
    }


def load_case(path: Path, *, registry: Registry | None = None) -> Inspection:
    """Replay a case file: judge its rows again, offline.

    Raises:
        CaseFileError: It is no case file, or of another format.
    """
    case = _read(path)
    found = inspect_dossier(_dossier_of(case, path), registry or load_registry())
    return replace(found, case_notes=tuple(_told(case, found)))


def _told(case: Mapping[str, Any], found: Inspection) -> Iterator[str]:
    """What a reader of a replayed case must know of the file."""
    if case["format"] == UNSEALED_FORMAT:
        yield "the file has no seal, so whether it was changed is not known"
    frozen, now = case.get("verdict"), None if found.judged is None else str(found.judged.finding.verdict)
    if frozen != now:
        yield f"the verdict was {clean_text(frozen, limit=60)} when the file was made and is {now} now"


def read_case(path: Path) -> Dossier:
    """The dossier of a case file.

    Raises:
        CaseFileError: It is no case file, of another format, or was changed.
    """
    return _dossier_of(_read(path), path)


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise CaseFileError(path=path, why="it is far too large for a case file")
        data = path.read_bytes()
        case = json.loads(data.decode())
    except OSError as error:
        raise CaseFileError(path=path, why=f"it cannot be read ({error.strerror or 'unknown reason'})") from error
    except (ValueError, RecursionError) as error:
        raise CaseFileError(path=path, why="it is no JSON") from error
    if not isinstance(case, dict) or case.get("kind") != KIND:
        raise CaseFileError(path=path, why="it is no case file")
    if case.get("format") not in (UNSEALED_FORMAT, FORMAT):
        raise CaseFileError(path=path, why=f"it is not of format {FORMAT}, the one this version reads")
    _check_seal(data, case, path)
    return case


def _dossier_of(case: Mapping[str, Any], path: Path) -> Dossier:
    try:
        return _dossier(case)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise CaseFileError(path=path, why=f"a part is missing or wrong ({clean_text(error, limit=80)})") from error


def _dossier(case: Mapping[str, Any]) -> Dossier:
    tables = {}
    for name in KEPT:
        columns = TABLES[name]
        rows = case["tables"].get(name, [])
        tables[name] = tuple({column: _cell(row.get(column), kind) for column, kind in columns.items()} for row in rows)
    return Dossier(
        asked=str(case["asked"]),
        payment_id=None if case["payment_id"] is None else str(case["payment_id"]),
        found_by=tuple(map(str, case["found_by"])),
        now_ms=_number(case["now_ms"]),
        policy=_policy(case["policy"]),
        tables=tables,
        documents=dict(case["documents"]),
        fields={str(name): [str(path) for path in paths] for name, paths in case.get("fields", {}).items()},
        journal=tuple(dict(row) for row in case["journal"]),
        delivery_sources=tuple(map(str, case["delivery_sources"])),
        is_afresh=case.get("is_afresh") is not False,
        forwarders=tuple(
            {"address": str(row["address"]), "tx_hash": str(row["tx_hash"])} for row in case.get("forwarders", [])
        ),
        not_asked=tuple(map(str, case["not_asked"])),
    )


def _cell(value: Any, kind: str) -> Any:
    """A cell of a stored table, checked against the kind of its column."""
    if value is None:
        return None
    if not _CELLS[kind](value):
        raise ValueError(f"a cell of kind {kind} holds {type(value).__name__}, or more than such a cell can hold")
    return int(value) if kind == "units" else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _is_units(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,38}", value) is not None


def _is_text(value: Any) -> bool:
    if isinstance(value, str):
        value.encode()  # half a character, which no table takes, is a ValueError here
    return isinstance(value, str)


_CELLS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "bool": lambda value: isinstance(value, bool),
    "int": _is_number,
    "units": _is_units,
    "text": _is_text,
}
"""What a cell may hold, by the kind of its column."""


def _policy_json(policy: Policy) -> dict[str, Any]:
    stored = asdict(policy)
    stored["confirmations_min"] = {str(key): value for key, value in policy.confirmations_min.items()}
    stored.pop("side_effects")
    return {key: list(value) if isinstance(value, tuple) else value for key, value in sorted(stored.items())}


def _policy(stored: Mapping[str, Any]) -> Policy:
    default = Policy()
    given: dict[str, Any] = {}
    for each in fields(Policy):
        known = getattr(default, each.name)
        if each.name in stored and not isinstance(known, Mapping):
            given[each.name] = _policy_value(each.name, stored[each.name], known)
    if not all(_RAIL.fullmatch(rail) for rail in given.get("provider_proves", ())):
        raise ValueError("policy.provider_proves names no rail")
    given["confirmations_min"] = {int(key): _number(value) for key, value in stored["confirmations_min"].items()}
    given["tolerance_ppm"] = {
        key: (_number(low), _number(high)) for key, (low, high) in stored["tolerance_ppm"].items()
    }
    for name in ("value_max_units", "value_max_units_per_payment", "dust_units"):
        given[name] = {str(key): int(value) for key, value in stored.get(name, {}).items()}
    return Policy(**given)


def _number(value: Any) -> int:
    return _cell(value, "int") or 0


def _policy_value(name: str, value: Any, known: Any) -> Any:
    """One stored value of a policy, of the same type as the default value of that name."""
    if isinstance(known, tuple):
        return _policy_list(name, value)
    wanted = type(known)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ValueError(f"policy.{name} is {type(value).__name__}")
    return _cell(value, "int" if wanted is int else "bool")


def _policy_list(name: str, value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError(f"policy.{name} is {type(value).__name__}")
    kind = int if name == "chain_ids" else str
    if not all(isinstance(item, kind) for item in value):
        raise ValueError(f"policy.{name} holds something else")
    return tuple(value)


class Redactor:
    """Replaces what is personal and drops what is secret, consistently within one case."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt

    def stand_in(self, value: object) -> str:
        """The stand-in of a personal value; the same for the same value."""
        digest = hashlib.blake2b(str(value).encode("utf-8", "surrogatepass"), key=self._salt, digest_size=6)
        return f"person-{digest.hexdigest()}"

    def text(self, text: str) -> str:
        """Free text with mail addresses, network addresses, keys and the insides of URLs replaced."""
        text = _URL.sub(lambda found: found[1] + _host(found[0]), text)
        text = _LONG_KEY.sub(DROPPED, text)
        text = _MAIL.sub(lambda found: self.stand_in(found[0].lower()), text)
        return _IPV4.sub(lambda found: self.stand_in(found[0]), text)

    def row(self, row: Mapping[str, Any], *, columns: Mapping[str, str]) -> dict[str, Any]:
        """One row of a table; sums and amounts become text."""
        made: dict[str, Any] = {}
        for name, value in row.items():
            if value is None:
                continue
            if name in _PERSONAL_COLUMNS:
                made[name] = self.stand_in(value)
            elif columns.get(name) == "units" or isinstance(value, Decimal):
                made[name] = str(int(value))
            else:
                made[name] = self.text(value) if isinstance(value, str) else value
        return made

    def value(self, value: Any, name: str = "", *, depth: int = 0) -> Any:
        """A stored value with everything below it."""
        if depth > 40 or _is_secret(name):
            return DROPPED
        if isinstance(value, Mapping):
            return self._mapping(value, name, depth=depth)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self.value(inner, name, depth=depth + 1) for inner in value]
        return self._leaf(value, name)

    def _mapping(self, value: Mapping[str, Any], name: str, *, depth: int) -> dict[str, Any]:
        """A document, or one stored value in its Extended JSON form."""
        if len(value) == 1 and next(iter(value)).startswith("$"):
            ((kind, inner),) = value.items()
            return {kind: self._leaf(inner, name)} if kind in ("$oid", "$symbol") else dict(value)
        return {str(key): self.value(inner, str(key), depth=depth + 1) for key, inner in value.items()}

    def _leaf(self, value: Any, name: str) -> Any:
        if not isinstance(value, str):
            return value
        if PERSONAL.search(name) and name not in _KEPT_NAMES and not _is_evidence(value):
            return self.stand_in(value)
        return self.text(value)


def _is_secret(name: str) -> bool:
    """Whether a name marks a secret."""
    return bool(name) and SECRET.search(name) is not None and name not in _KEPT_NAMES


def _is_evidence(value: str) -> bool:
    """Chain addresses and hashes are what a case is about, whatever their field is called."""
    return bool(re.fullmatch(r"0x[0-9a-fA-F]{40}|0x[0-9a-fA-F]{64}", value))


def _host(url: str) -> str:
    rest = url.partition("://")[2]
    return re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
