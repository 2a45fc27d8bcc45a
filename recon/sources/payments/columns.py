"""A raw batch of Payment documents to rows of the payments table, column by column.

The meaning of every field is that of :class:`recon.sources.payments.documents.DocumentReader`; this is only faster.
What is rare (a status that is a number, a network stored as a double, a reference that must be derived) marks
its document as odd, and odd documents are read by that reader. A test holds both ways against each other on documents
of every shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from recon.core import ids
from recon.core.model import ESCROW_STATES, STATUSES
from recon.core.registry.off_chain import OFF_CHAIN_NAME
from recon.sources.payments import documents as clear
from recon.sources.payments.bson_walk import (
    ARRAY,
    BOOL,
    DATE,
    DECIMAL,
    DOUBLE,
    INT32,
    INT64,
    MISSING,
    NULL,
    OBJECT,
    OBJECT_ID,
    STRING,
    Columns,
    Node,
    RawBatch,
    fixed_texts,
)
from recon.sources.payments.creation import creations
from recon.sources.payments.fields import INDEXES_READ, KEYS, FieldPaths, FieldPlace
from recon.sources.payments.text_columns import (
    address_texts,
    hash_texts,
    payment_id_texts,
    plain_texts,
    present_texts,
    reference_texts,
    request_id_texts,
    same_texts,
    shaped_texts,
    stored_texts,
    texts_or,
)
from recon.sources.providers.installed import rails_with_books, rails_with_one_time_addresses

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Octets = npt.NDArray[np.uint8]


Convert = Callable[["pa.Array"], "pa.Array"]


def wanted(fields: FieldPaths) -> Node:
    """The tree of every path that any field may be stored at; one element more than is read shows a longer array."""
    places = (candidate for several in fields.candidates.values() for candidate in several)
    keys = (each for name in KEYS for place in fields.of(name) for each in place.at_each(INDEXES_READ))
    return Node.tree([*(place.path for place in (*places, *keys)), *fields.array_ends()])


class PaymentColumns:
    """The payments table of one raw batch.

    ``odd`` tells which documents were not understood here; their rows are not to be used.

    Raises:
        pa.ArrowInvalid: A text is no UTF-8; the whole batch has to be read the slow way.
    """

    def __init__(self, batch: RawBatch, *, fields: FieldPaths, reader: clear.DocumentReader) -> None:
        self._raw = Columns(batch, wanted(fields))
        self._fields = fields
        self._reader = reader
        self._problems: dict[str, Bools] = {}
        self._paths: dict[str, list[tuple[str, Bools]]] = {}
        self.size = len(batch)
        self.odd = self._raw.odd
        self.columns: dict[str, Any] = {}
        self._read_identity()
        self._read_words()
        self._read_keys()
        self._read_asset()
        self._read_recipient()
        self._derive_references()
        self._read_amount()
        self._read_marks()
        self._read_times()
        self.columns["problem"] = _coded(self.size, [(code, self._problems[code]) for code in sorted(self._problems)])
        self.columns["paths"] = self._path_texts()
        self.columns["digest"] = _digests(batch)

    def batch(self) -> pa.RecordBatch:
        """The rows in the order of the documents."""
        import pyarrow as pa

        from recon.core.tables import arrow_schema

        schema = arrow_schema("payments")
        arrays = [
            column if isinstance(column := self.columns[name], pa.Array) else pa.array(column) for name in schema.names
        ]
        return pa.RecordBatch.from_arrays(
            [
                array.cast(kind) if array.type != kind else array
                for array, kind in zip(arrays, schema.types, strict=True)
            ],
            schema=schema,
        )

    # --- fields by candidates ---

    def _present(self, name: str, rows: Bools | None = None) -> Iterable[tuple[FieldPlace, Octets]]:
        """The candidates that any document has, each with the BSON types where it may be looked at."""
        import numpy as np

        several = self._fields.of(name)
        if name in KEYS:
            several = tuple(each for place in several for each in place.at_each(INDEXES_READ))
        for candidate in several:
            if not self._raw.has(candidate.path):
                continue
            kinds = self._raw.kinds(candidate.path)
            if candidate.provider is not None:
                kinds = np.where(self._provider_is(candidate.provider), kinds, MISSING)
            yield candidate, kinds if rows is None else np.where(rows, kinds, MISSING)

    def _provider_is(self, name: str) -> Bools:
        import pyarrow.compute as pc

        return _flags(pc.equal(self.columns["provider"], name))

    def _provider_among(self, names: Iterable[str]) -> Bools:
        import numpy as np

        return np.logical_or.reduce([self._provider_is("\0"), *map(self._provider_is, names)])  # type: ignore[no-any-return]

    def _texts(self, path: str, kinds: Octets, *, ids_too: bool) -> Iterable[tuple[Ints, pa.Array, bool]]:
        """Rows with a text at a path, the texts, and whether they are plain; with ``ids_too`` also ids and numbers."""
        import numpy as np
        import pyarrow as pa

        at = self._raw.places(path)
        if (rows := np.flatnonzero(kinds == STRING)).size:
            yield rows, self._raw.texts(at[rows]), False
        if ids_too:
            if (rows := np.flatnonzero(kinds == OBJECT_ID)).size:
                yield rows, self._raw.hexes(at[rows]), True
            for kind, numbers in ((INT32, self._raw.int32), (INT64, self._raw.int64)):
                if (rows := np.flatnonzero(kinds == kind)).size:
                    yield rows, pa.array(numbers[at[rows]]).cast(pa.string()), True

    def _found(
        self, name: str, convert: Convert, *, rows: Bools | None = None, ids_too: bool = False, only_text: bool = False
    ) -> pa.Array:
        """The first usable text of a field; ``only_text`` makes any other type odd instead of unusable."""
        import numpy as np

        found = Found(self.size)
        self._paths[name] = found.paths
        for candidate, stored in self._present(name, rows):
            kinds = np.where(found.source < 0, stored, MISSING)
            if only_text:
                self.odd |= ~np.isin(kinds, (MISSING, NULL, STRING))
            for here, texts, plain in self._texts(candidate.path, kinds, ids_too=ids_too):
                array = texts if plain else convert(texts)
                found.add(candidate.path, rows=here, array=shaped_texts(array) if candidate.shaped else array)
        return found.column()

    def _any(self, name: str, truth: Callable[[object], bool]) -> Bools:
        """Whether a mark is set at any candidate."""
        import numpy as np

        result = np.zeros(self.size, dtype=np.bool_)
        for candidate, kinds in self._present(name):
            at = self._raw.places(candidate.path)
            for kind in np.unique(kinds).tolist():
                if kind not in (MISSING, NULL):
                    here = np.flatnonzero(kinds == kind)
                    result[here] |= self._truths(kind, at[here], here, truth)
        return result

    def _truths(self, kind: int, at: Ints, here: Ints, truth: Callable[[object], bool]) -> Any:
        import numpy as np

        raw = self._raw
        if kind == BOOL:
            return (raw.octets[at] != 0) & truth(True)
        if kind in (OBJECT_ID, DATE):
            return np.full(at.size, truth(1))
        if kind not in (STRING, OBJECT, ARRAY):
            self.odd[here] = True
            return np.zeros(at.size, dtype=np.bool_)
        base = 4 if kind == STRING else 0
        known: dict[bytes, bool] = {}
        result = []
        for begin, end in zip(at.tolist(), (at + base + raw.int32[at]).tolist(), strict=True):
            stored = raw.data[begin:end]
            if stored not in known:
                known[stored] = truth(_decoded(kind, stored))
            result.append(known[stored])
        return np.array(result, dtype=np.bool_)

    # --- columns ---

    def _read_identity(self) -> None:
        import numpy as np
        import pyarrow as pa

        kinds = self._raw.kinds("_id")
        self.odd |= ~np.isin(kinds, (STRING, OBJECT_ID))
        found = Found(self.size)
        for here, texts, plain in self._texts("_id", np.where(self.odd, MISSING, kinds), ids_too=True):
            array = texts if plain else payment_id_texts(texts)
            found.add("_id", rows=here, array=array)
        self.columns["payment_id"] = found.column()
        self.columns["id_type"] = pa.array(["string", "objectId"]).take(pa.array(np.where(kinds == OBJECT_ID, 1, 0)))

    def _read_words(self) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        provider = self._found("provider", same_texts, only_text=True)
        self.columns["provider_raw"] = _mapped(provider, clear.quoted)
        self.columns["provider"] = pc.fill_null(_mapped(provider, self._reader.provider_of), "")
        status = self._found("status", same_texts, only_text=True)
        self.columns["status_raw"] = _mapped(status, clear.quoted)
        self.columns["status"] = _mapped(status, lambda word: word if word in STATUSES else None)
        self._problem("status_missing", status.is_null())
        self._problem("status_unknown", pc.and_(status.is_valid(), self.columns["status"].is_null()))
        direction = pc.fill_null(self._found("direction", same_texts, only_text=True), "in")
        self.columns["direction"] = _mapped(direction, clear.quoted)
        self._problem("direction_unknown", pc.invert(pc.is_in(direction, pa.array(clear.DIRECTIONS))))
        escrow = self._found("escrow_state", same_texts, only_text=True)
        self.columns["escrow_state"] = _mapped(escrow, clear.quoted)
        self._problem(
            "escrow_unknown", pc.and_(escrow.is_valid(), pc.invert(pc.is_in(escrow, pa.array(ESCROW_STATES))))
        )
        for name in ("safety_status", "safety_reason"):
            self.columns[name] = _mapped(self._found(name, same_texts, only_text=True), clear.quoted)
        self.columns["confirmations"] = self._first_numbers("confirmations", self._raw.whole_numbers)
        for name in ("buyer_id", "order_id", "offer_id"):
            self.columns[name] = self._found(name, plain_texts, ids_too=True)

    def _first_numbers(self, name: str, read: Callable[[Octets, Ints], tuple[Ints, Bools]]) -> pa.Array:
        """The first number (or date) of a field that ``read`` can use."""
        import numpy as np
        import pyarrow as pa

        values, known = np.zeros(self.size, dtype=np.int64), np.zeros(self.size, dtype=np.bool_)
        self._paths[name] = []
        for candidate, kinds in self._present(name):
            numbers, usable = read(kinds, self._raw.places(candidate.path))
            usable &= ~known
            values[usable] = numbers[usable]
            known |= usable
            self._paths[name].append((candidate.path, usable))
        return pa.array(values, mask=~known)

    def _read_keys(self) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        for end in self._fields.array_ends():
            self.odd |= self._raw.kinds(end) != MISSING
        further: dict[int, list[list[str]]] = {}
        for name, convert, ids_too in (
            ("request_id", request_id_texts, True),
            ("reference", reference_texts, False),
            ("external_id", plain_texts, True),
        ):
            self.columns[name] = self._keys(name, convert, ids_too=ids_too, further=further)
        for row, address in present_texts(self._found("forwarder", address_texts)):
            further.setdefault(row, []).append(["forwarder", address])
        keys = map(further.get, range(self.size))
        self.columns["further_keys"] = pa.array(map(clear.further_text, keys), pa.string())
        recorded = self._found("tx_hash", stored_texts, only_text=True)
        self.columns["tx_hash"] = hashes = hash_texts(recorded)
        junk = pc.if_else(hashes.is_null(), recorded, pa.scalar(None, pa.string()))
        self.columns["tx_hash_raw"] = _mapped(junk, clear.quoted)

    def _keys(self, name: str, convert: Convert, *, ids_too: bool, further: dict[int, list[list[str]]]) -> pa.Array:
        """The first usable text of a key; every other one goes into ``further``."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        found = Found(self.size)
        self._paths[name] = found.paths
        more: list[tuple[Ints, pa.Array]] = []
        for candidate, kinds in self._present(name):
            for here, texts, plain in self._texts(candidate.path, kinds, ids_too=ids_too):
                array = texts if plain else convert(texts)
                array = shaped_texts(array) if candidate.shaped else array
                usable = _flags(array.is_valid())
                first = usable & (found.source[here] < 0)
                later = usable & ~first & (candidate.path != "_id")
                found.add(candidate.path, rows=here[first], array=array.filter(pa.array(first)))
                if later.any():
                    more.append((here[later], array.filter(pa.array(later))))
        column = found.column()
        for rows, array in more:
            other = np.flatnonzero(_flags(pc.not_equal(array, column.take(pa.array(rows)))))
            for row, value in zip(rows[other].tolist(), array.take(pa.array(other)).to_pylist(), strict=True):
                key = [name, value]
                if key not in further.setdefault(row, []):
                    further[row].append(key)
        return column

    def _read_asset(self) -> None:
        import pyarrow as pa

        currency = self._found("currency", same_texts, only_text=True)
        network = self._networks()
        address = self._found("token", address_texts)
        self.columns["currency"] = _mapped(currency, clear.quoted)
        self.columns["network_raw"] = _mapped(network, clear.quoted)
        in_books = self._provider_among(rails_with_books())
        assets, where = self._assets(currency, texts_or(network, OFF_CHAIN_NAME, rows=in_books), address)
        self.columns["chain_id"] = pa.array([asset.chain_id for asset in assets], pa.int64()).take(where)
        self.columns["token"] = pa.array([asset.token for asset in assets], pa.string()).take(where)
        self.columns["decimals"] = pa.array([asset.decimals for asset in assets], pa.int64()).take(where)
        for code in clear.ASSET_PROBLEMS:
            self._problem(code, pa.array([asset.problem == code for asset in assets]).take(where))
        by_coin = _flags(pa.array([asset.chain_from_coin for asset in assets]).take(where))
        by_symbol = _flags(pa.array([asset.by_symbol for asset in assets]).take(where))
        self._note_asset_paths(by_coin=by_coin, by_symbol=by_symbol)

    def _assets(
        self, currency: pa.Array, network: pa.Array, address: pa.Array
    ) -> tuple[list[clear.RowAsset], pa.Array]:
        """Each combination of words judged once, and for each row the number of its combination."""
        import numpy as np
        import pyarrow as pa

        coded = [_codes(array) for array in (currency, network, address)]
        key = np.zeros(self.size, dtype=np.int64)
        for codes, words in coded:
            key = key * (len(words) + 1) + codes
        unique, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        assets = [
            self._asset(*(words[codes[row]] if codes[row] < len(words) else None for codes, words in coded))
            for row in first.tolist()
        ]
        assert len(assets) == len(unique)
        return assets, pa.array(inverse.reshape(-1))

    def _note_asset_paths(self, *, by_coin: Bools, by_symbol: Bools) -> None:
        """Which path gave a row its chain and its token; a coin's name may give both."""
        coin_path = self._fields.path("currency")
        known = _flags(self.columns["chain_id"].is_valid())
        priced = _flags(self.columns["decimals"].is_valid())
        self._paths["network"] = [
            *((path, chosen & known) for path, chosen in self._paths["network"]), (coin_path, by_coin & known),
        ]  # fmt: skip
        self._paths["token"] = [
            *((path, chosen & priced & ~by_symbol) for path, chosen in self._paths["token"]),
            (coin_path, by_symbol & priced),
        ]

    def _asset(self, currency: str | None, network: str | None, address: str | None) -> clear.RowAsset:
        return self._reader.asset(currency, network=network, address=address)

    def _networks(self) -> pa.Array:
        """Network words, chain ids as their digits; the first that is not blank."""
        import numpy as np

        found = Found(self.size)
        self._paths["network"] = found.paths
        for candidate, stored in self._present("network"):
            kinds = np.where(found.source < 0, stored, MISSING)
            self.odd |= ~np.isin(kinds, (MISSING, NULL, STRING, INT32, INT64))
            for here, texts, plain in self._texts(candidate.path, kinds, ids_too=True):
                found.add(candidate.path, rows=here, array=texts if plain else stored_texts(texts))
        return found.column()

    def _read_recipient(self) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        incoming = _flags(pc.equal(self.columns["direction"], "in"))
        array = self._found("recipient", address_texts, rows=incoming)
        if not incoming.all():
            array = pc.coalesce(array, self._found("payout_recipient", address_texts, rows=~incoming))
            self._paths["recipient"] += self._paths["payout_recipient"]
        deposits = incoming & self._provider_among(rails_with_one_time_addresses())
        self.columns["is_deposit"] = pa.array(deposits & _flags(array.is_valid()))
        merchant = self._reader.merchant
        if merchant is not None:
            last = incoming & ~deposits & _flags(array.is_null())
            array = pc.if_else(pa.array(last), merchant, array)
            self._paths["recipient"].append(("policy", last))
        self.columns["recipient"] = array
        self.columns["sender"] = self._found("sender", address_texts)

    def _derive_references(self) -> None:
        """Fill a missing reference from request id, salt and address, and give every reference its topic."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        request_ids, recipients = self.columns["request_id"], self.columns["recipient"]
        derivable = pc.and_(self.columns["reference"].is_null(), pc.and_(request_ids.is_valid(), recipients.is_valid()))
        salts = self._found("salt", plain_texts, rows=_flags(derivable), ids_too=True)
        rows = np.flatnonzero(_flags(salts.is_valid()))
        if rows.size:
            columns = (request_ids, salts, recipients, self.columns["chain_id"])
            parts = zip(*(column.take(pa.array(rows)).to_pylist() for column in columns), strict=True)
            found = [clear.reference_for(key, salt, recipient=to, chain_id=chain) for key, salt, to, chain in parts]
            derived = pa.array(found, pa.string())
            self.columns["reference"] = pc.replace_with_mask(self.columns["reference"], salts.is_valid(), derived)
            self._paths["reference"].append(("derived", _flags(salts.is_valid())))
        self.columns["reference_topic"] = _topics(self.columns["reference"])

    def _read_amount(self) -> None:
        import numpy as np
        import pyarrow.compute as pc

        from recon.sources.payments.amounts import Amounts

        kinds = np.zeros(self.size, dtype=np.uint8)
        places = np.zeros(self.size, dtype=np.int64)
        for candidate, stored in self._present("amount"):
            here = np.isin(kinds, (MISSING, NULL)) & ~np.isin(stored, (MISSING, NULL))
            kinds[here] = stored[here]
            places[here] = self._raw.places(candidate.path)[here]
        self.odd |= ~np.isin(kinds, (MISSING, NULL, DOUBLE, STRING, INT32, INT64, DECIMAL))
        codes, words = _codes(self.columns["provider"])
        tolerances = [self._reader.tolerance(word, incoming=True) for word in words] + [(0, 0)]
        codes = np.where(_flags(pc.equal(self.columns["direction"], "in")), codes, len(words))
        amounts = Amounts(self._raw, kinds=kinds, places=places, odd=self.odd)
        decimals = pc.fill_null(self.columns["decimals"], -1).to_numpy(zero_copy_only=False)
        amounts.read(decimals, providers=codes, tolerances=tolerances)
        self.columns |= amounts.columns()
        for code, flags in amounts.problems.items():
            self._problem(code, flags)

    def _read_marks(self) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        is_set, blocked = clear.is_set, clear.is_blocked
        self.columns["disputed"] = pa.array(self._any("disputed", is_set) | self._any("dispute_id", is_set))
        self.columns["hold"] = pa.array(self._any("hold", is_set))
        self.columns["aml_blocked"] = pa.array(self._any("aml", blocked))
        named = _flags(pc.fill_null(pc.starts_with(self.columns["request_id"], "req_test"), False))
        self.columns["is_test"] = pa.array(self._any("test", is_set) | self._provider_is("test") | named)
        raw = _mapped(self.columns["tx_hash_raw"], lambda text: bool(text and ids.is_simulated(text)), boolean=True)
        self.columns["simulated"] = pa.array(self._any("demo", is_set) | _flags(raw))

    def _read_times(self) -> None:
        for name in ("created_at", "updated_at", "expires_at"):
            self.columns[name] = self._first_numbers(name, self._raw.dates)
        dated = self.columns["dated_at"] = self.columns["created_at"]
        id_types = self.columns["id_type"]
        self.columns["created_at"] = creations(self.columns["payment_id"], id_types=id_types, dated_at=dated)
        self._problem("date_unreadable", dated.is_null())

    def _problem(self, code: str, flags: Any) -> None:
        if (found := flags if hasattr(flags, "dtype") else _flags(flags)).any():
            self._problems[code] = found

    def _path_texts(self) -> pa.Array:
        listed = [
            (f"{name}={path}", chosen)
            for name in clear.RESOLVED
            for path, chosen in self._paths.get(name, ())
            if chosen.any()
        ]
        return _coded(self.size, listed)


class Found:
    """A column in the making: usable texts as they are found, and for each row where its text is among them."""

    def __init__(self, size: int) -> None:
        import numpy as np

        self.source = np.full(size, -1, dtype=np.int64)
        self.paths: list[tuple[str, Bools]] = []
        self._pieces: list[pa.Array] = []
        self._count = 0

    def add(self, path: str, *, rows: Ints, array: pa.Array) -> None:
        """Take the texts of these rows, which have none yet; a null is no text."""
        import numpy as np

        if array.null_count:
            rows, array = rows[_flags(array.is_valid())], array.drop_null()
        if rows.size:
            self.source[rows] = np.arange(self._count, self._count + rows.size)
            self._count += rows.size
            self._pieces.append(array)
            chosen = np.zeros(self.source.size, dtype=np.bool_)
            chosen[rows] = True
            self.paths.append((path, chosen))

    def column(self) -> pa.Array:
        """The texts in the order of the rows."""
        import pyarrow as pa

        if not self._pieces:
            return pa.nulls(self.source.size, pa.string())
        if self._count == self.source.size and len(self._pieces) == 1:
            return self._pieces[0]
        return pa.concat_arrays(self._pieces).take(pa.array(self.source, mask=self.source < 0))


def _flags(array: Any) -> Bools:
    import pyarrow.compute as pc

    flags: Bools = pc.fill_null(array, False).to_numpy(zero_copy_only=False)
    return flags


def _codes(array: pa.Array) -> tuple[Ints, list[str]]:
    """Each value as the number of its word, one past the last for null."""
    import numpy as np

    encoded = array.dictionary_encode()
    words: list[str] = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, words


def _mapped(array: pa.Array, read: Callable[[str], object], *, boolean: bool = False) -> pa.Array:
    """A column through a function of its words; null stays null."""
    import pyarrow as pa

    encoded = array.dictionary_encode()
    kind = pa.bool_() if boolean else pa.string()
    return pa.array([read(word) for word in encoded.dictionary.to_pylist()], kind).take(encoded.indices)


def _coded(size: int, flags: list[tuple[str, Bools]]) -> pa.Array:
    """For each row the words whose flag is set, joined by a space, null when there is none."""
    import numpy as np
    import pyarrow as pa

    if not flags:
        return pa.nulls(size, pa.string())
    packed = np.packbits(np.column_stack([chosen for _, chosen in flags]), axis=1)
    wide = np.zeros((size, -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    wide[:, : packed.shape[1]] = packed
    keys = np.ascontiguousarray(wide).view(np.uint64)
    inverse = np.zeros(size, dtype=np.int64)
    for column in range(keys.shape[1]):
        _, codes = np.unique(keys[:, column], return_inverse=True)
        inverse = inverse * (int(codes.max(initial=0)) + 1) + codes.reshape(-1)
    _, first, inverse = np.unique(inverse, return_index=True, return_inverse=True)
    texts = [" ".join(word for word, chosen in flags if chosen[row]) or None for row in first.tolist()]
    return pa.array(texts, pa.string()).take(pa.array(inverse.reshape(-1)))


def _topics(references: pa.Array) -> pa.Array:
    import sha3

    keccak = sha3.keccak_256
    known = references.drop_null()
    eights = bytes.fromhex("".join(known.to_pylist()))
    topics = ["0x" + keccak(eights[at : at + 8]).hexdigest() for at in range(0, len(eights), 8)]
    return _scattered(fixed_texts("".join(topics).encode(), 66), references.is_valid())


def _scattered(array: pa.Array, where: pa.Array) -> pa.Array:
    """The values of an array in the rows where the other is true, in order; null elsewhere."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return array if len(array) == len(where) else pc.replace_with_mask(pa.nulls(len(where), array.type), where, array)


def _digests(batch: RawBatch) -> pa.Array:
    view, starts, sha256 = memoryview(batch.data), batch.starts, hashlib.sha256
    return fixed_texts(
        b"".join([sha256(view[begin:end]).digest() for begin, end in pairwise(starts)]).hex().encode(), 64
    )


def _decoded(kind: int, stored: bytes) -> object:
    """A string, object or array as its bytes say it."""
    import bson

    if kind == STRING:
        return stored[4:-1].decode("utf-8", "replace")
    value = bson.decode(stored, codec_options=clear.codec())
    return list(value.values()) if kind == ARRAY else value
