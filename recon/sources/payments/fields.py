"""Logical fields of a Payment document, each found through an ordered list of candidate paths.

Deployments store the same thing in different places, so a logical field (``request_id``, ``reference``, ``recipient``,
...) is looked for in several places, in order, and the first value that can be used wins. A candidate is text:

``metadata.requestId``
    take what is stored there; a number in a path is an index into an array (``requestIds.0``).
``shkeeper:providerPaymentId``
    only on rows of that (normalised) provider.
``request_network:providerPaymentId?``
    only when the value has the shape that the field normally has.

>>> FieldPlace.parse("request_network:providerPaymentId?")
FieldPlace(path='providerPaymentId', provider='request_network', shaped=True)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from recon.core.errors import ConfigError
from recon.core.values import ABSENT, value_along
from recon.sources.providers.installed import providers

PATHS_MAX: Final = 48
"""Most candidates one field may have."""

_PATH = re.compile(r"[A-Za-z_][\w-]{0,63}(\.[\w-]{1,64}){0,7}\Z")
_PROVIDER = re.compile(r"[a-z0-9_.-]{1,40}\Z")

OWN: Final = "*"
"""Where the places stand that each provider names for its own payments."""

DEFAULT_CANDIDATES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "id": ("_id",),
        "provider": ("provider",),
        "direction": ("direction",),
        "status": ("status",),
        "escrow_state": ("escrowState",),
        "disputed": ("disputed",),
        "dispute_id": ("disputeId", "metadata.disputeId"),
        "hold": ("hold", "onHold", "metadata.hold", "metadata.manualHold", "metadata.complianceHold"),
        "test": ("isTest", "metadata.isTest", "metadata.test"),
        "demo": ("metadata.demo", "metadata.isDemo", "metadata.simulated", "metadata.payout.demo"),
        "amount": ("amount.amount",),
        "currency": ("amount.currency",),
        "token": ("blockchain.tokenAddress", "metadata.requestNetwork.tokenAddress", "metadata.tokenAddress"),
        "network": (
            "blockchain.network", "blockchain.chainId", "metadata.requestNetwork.network",
            "metadata.requestNetwork.chainId", "metadata.network", "metadata.chainId", "derivedDestination.chainId",
            "metadata.derivedDestination.chainId",
        ),
        "recipient": (
            "derivedDestination.address", "metadata.derivedDestination.address",
            "metadata.requestNetwork.destination.address", OWN,
            "metadata.requestNetwork.destinationAddress", "metadata.requestNetwork.paymentAddress",
            "metadata.requestNetwork.payee", "metadata.destination.address", "destination.address",
            "metadata.paymentAddress", "metadata.depositAddress", "metadata.payee", "blockchain.receiver",
        ),
        "payout_recipient": (
            "metadata.payout.address", "metadata.payoutAddress", "metadata.recipientAddress",
            "metadata.destinationAddress", "blockchain.receiver", OWN,
        ),
        "sender": ("blockchain.sender", "metadata.requestNetwork.payerAddress", "metadata.payerAddress"),
        "reference": (
            "metadata.requestNetwork.paymentReference", "paymentReference", "metadata.paymentReference",
            "paymentReferences.0", "metadata.paymentReferences.0", "metadata.requestNetwork.paymentReferences.0",
            "metadata.requests.0.paymentReference", "metadata.attempts.0.paymentReference", OWN,
        ),
        "salt": ("metadata.requestNetwork.salt", "salt", "metadata.salt"),
        "approver": (
            "approvedBy", "releasedBy", "metadata.approvedBy", "metadata.approver", "metadata.releasedBy",
            "metadata.payout.approvedBy", "metadata.release.approvedBy", "metadata.refund.approvedBy",
        ),
        "forwarder": (
            "metadata.requestNetwork.forwarderAddress", "metadata.requestNetwork.singleRequestProxy",
            "metadata.forwarderAddress", "forwarderAddress",
        ),
        "request_id": (
            "metadata.requestNetwork.requestId", "requestId", "requestIds.0", "metadata.requestId",
            "metadata.requestIds.0", "metadata.requestNetwork.requestIds.0", "metadata.requests.0.requestId",
            "metadata.attempts.0.requestId", OWN,
        ),
        "external_id": (OWN,),
        "tx_hash": (
            "blockchain.transactionHash", "transactionHash", "txHash", "metadata.transactionHash", "metadata.txHash",
        ),
        "confirmations": ("blockchain.confirmations", "metadata.transactionSafety.lastCheck.confirmations"),
        "safety_status": ("metadata.transactionSafety.lastCheck.status",),
        "safety_reason": ("metadata.transactionSafety.lastCheck.reason",),
        "aml": ("metadata.amlResult", "metadata.transactionSafety.amlResult"),
        "buyer_id": ("buyerId",),
        "order_id": ("purchaseRequestId",),
        "offer_id": ("sellerOfferId",),
        "created_at": ("createdAt",),
        "updated_at": ("updatedAt",),
        "expires_at": ("expiresAt", "metadata.requestNetwork.expiresAt", "metadata.expiresAt"),
    }
)  # fmt: skip
"""What is looked at when the configuration says nothing; the paths are those of the backends that are known."""

KEYS: Final = ("request_id", "reference", "external_id")
"""Fields of which a row may have several values: every candidate counts, and an array with all its elements."""

INDEXES_READ: Final = 3
"""Elements of an array of keys that are read by columns; a document with more is read by itself."""

SINGLE: Final = frozenset({"id", "status", "escrow_state", "created_at", "updated_at"})
"""Fields that windows, guards or writes are about: exactly one path each, never one of several."""

NEEDED: Final = ("status", "created_at", "updated_at", "amount", "currency", "provider")
"""Fields that every backend has; of the others a list without a path says that this one has no such thing."""

WRITTEN: Final = (
    "status", "escrowState", "disputed", "blockchain.transactionHash", "blockchain.confirmations", "updatedAt", "__v",
    "metadata.recon",
)  # fmt: skip
"""Paths that a plan may write or guard; they are read whatever the candidates are."""


class FieldPathError(ConfigError):
    """A configured candidate path cannot be used."""

    def __init__(self, *, name: str, text: str, why: str) -> None:
        super().__init__(
            f"fields.{name}: {text!r} {why}. Write a path such as 'metadata.requestId', with 'provider:' before it "
            "if it holds for one provider only and '?' after it if only a well-formed value counts."
        )


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """One place where a logical field may be stored.

    Args:
        path: Dotted path in the document; a number is an index into an array.
        provider: The normalised provider whose rows it holds for; None is all.
        shaped: Only a value of the usual shape of its field counts.
    """

    path: str
    provider: str | None = None
    shaped: bool = False

    @classmethod
    def parse(cls, text: str, *, name: str = "path") -> FieldPlace:
        """Read a candidate as the configuration writes it.

        Raises:
            FieldPathError: It is no path, or its provider is no word.
        """
        if not isinstance(text, str) or len(text) > 300:
            raise FieldPathError(name=name, text=str(text)[:80], why="is not a path")
        rest, shaped = (text[:-1], True) if text.endswith("?") else (text, False)
        provider, colon, path = rest.partition(":")
        if not colon:
            provider, path = "", rest
        if colon and not _PROVIDER.match(provider):
            raise FieldPathError(name=name, text=text, why="names no provider before its colon")
        if not _PATH.match(path):
            raise FieldPathError(name=name, text=text, why="is not a dotted path of field names")
        return cls(path, provider or None, shaped)

    @property
    def text(self) -> str:
        """The candidate as the configuration writes it."""
        return f"{self.provider}:" * (self.provider is not None) + self.path + "?" * self.shaped

    @property
    def parts(self) -> tuple[str, ...]:
        """The path in pieces."""
        return tuple(self.path.split("."))

    def at_each(self, count: int) -> tuple[FieldPlace, ...]:
        """The place at the first elements of the array that it looks into; itself where it looks into none.

        >>> [place.path for place in FieldPlace("attempts.0.requestId").at_each(2)]
        ['attempts.0.requestId', 'attempts.1.requestId']
        """
        head, index, rest = array_in(self.parts)
        if index is None:
            return (self,)
        return tuple(replace(self, path=".".join((*head, str(n), *rest))) for n in range(index, index + count))


@dataclass(frozen=True, slots=True)
class FieldPaths:
    """The candidates of every logical field, in the order in which they are looked at."""

    candidates: Mapping[str, tuple[FieldPlace, ...]] = field(
        default_factory=lambda: {
            name: tuple(FieldPlace.parse(text, name=name) for text in texts) for name, texts in default_texts().items()
        }
    )

    @classmethod
    def with_overrides(cls, overrides: Mapping[str, Sequence[str]]) -> FieldPaths:
        """The defaults with some fields' lists replaced, as the configuration gives them.

        Raises:
            FieldPathError: A field is unknown, a list is empty or too long, or a candidate cannot be used.
        """
        candidates = dict(cls().candidates)
        for name, texts in overrides.items():
            if name not in DEFAULT_CANDIDATES or name == "id":
                known = ", ".join(sorted(set(DEFAULT_CANDIDATES) - {"id"}))
                raise FieldPathError(name=name, text=name, why=f"is no field that can be set; there are {known}")
            listed = [texts] if isinstance(texts, str) else list(texts)
            is_left_out = not listed and name not in NEEDED
            if not is_left_out and (not 1 <= len(listed) <= PATHS_MAX or (name in SINGLE and len(listed) != 1)):
                allowed = "exactly one path" if name in SINGLE else f"1 to {PATHS_MAX} paths"
                raise FieldPathError(name=name, text=" ".join(map(str, listed))[:80], why=f"must be {allowed}")
            candidates[name] = tuple(FieldPlace.parse(text, name=name) for text in listed)
        return cls(candidates)

    def of(self, name: str) -> tuple[FieldPlace, ...]:
        """The candidates of one field."""
        return self.candidates[name]

    def path(self, name: str) -> str:
        """The first path of a field that has one; the only one for the fields in :data:`SINGLE`."""
        return self.candidates[name][0].path

    def array_ends(self) -> list[str]:
        """Where the first element of each array of keys stands that is not read by columns."""
        found = [array_in(place.parts) for name in KEYS for place in self.of(name)]
        return [".".join((*head, str(index + INDEXES_READ))) for head, index, _ in found if index is not None]

    def texts(self) -> dict[str, list[str]]:
        """Every field's list as the configuration writes it: what :meth:`with_overrides` reads back."""
        return {name: [each.text for each in several] for name, several in self.candidates.items() if name != "id"}

    def projection(self, *names: str) -> dict[str, int]:
        """What to ask the server for: every candidate once, no path inside another, sorted.

        Args:
            names: Of these fields alone; of all of them, and of what the tool writes, where none is named.
        """
        several = [self.of(name) for name in names] or self.candidates.values()
        listed = [candidate.path for each in several for candidate in each]
        return dict.fromkeys(_outermost(listed if names else [*listed, *WRITTEN]), 1)


def default_texts() -> dict[str, list[str]]:
    """The lists of :data:`DEFAULT_CANDIDATES`, with each provider's own places in them."""
    listed: dict[str, list[str]] = {}
    for name, texts in DEFAULT_CANDIDATES.items():
        own = [f"{rail}:{path}" for rail, each in providers().items() for path in each.fields.get(name, ())]
        listed[name] = [text for shared in texts for text in (own if shared == OWN else [shared])]
    return listed


def array_in(parts: Sequence[str]) -> tuple[Sequence[str], int | None, Sequence[str]]:
    """What stands before the first array index of a path, the index, and what stands behind it."""
    for at, part in enumerate(parts):
        if part.isdigit():
            return parts[:at], int(part), parts[at + 1 :]
    return parts, None, ()


def stored_path(path: str) -> str:
    """The path as a query or a projection may name it: cut before the first array index."""
    return ".".join(array_in(path.split("."))[0])


def _outermost(paths: Iterable[str]) -> list[str]:
    wanted = {stored_path(path) for path in paths}
    return sorted(
        path
        for path in wanted
        if not any(".".join(path.split(".")[:n]) in wanted for n in range(1, path.count(".") + 1))
    )


def stored_at(document: Any, parts: Sequence[str]) -> Any:
    """What is stored at a path, or None when nothing is (null and missing look the same here)."""
    value = value_along(document, parts, is_indexed=True)
    return None if value is ABSENT else value


def project(document: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Keep only some paths of a document, its field order unchanged.

    Unlike the server's projection it keeps a parent that is null, text or an array as it is: whether such a parent
    can be written into is a question that a plan has to answer.
    """
    return _kept(document, _tree(tuple(paths)))


@lru_cache(maxsize=16)
def _tree(paths: tuple[str, ...]) -> Mapping[str, Any]:
    """Paths as names within names; what is kept whole has no names below it."""
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        parts = path.split(".")
        for part in parts[:-1]:
            node = node.setdefault(part, {})
        node[parts[-1]] = {}
    return tree


def _kept(document: Mapping[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    kept = {}
    for name, value in document.items():
        if name in tree:
            below = tree[name]
            kept[name] = _kept(value, below) if below and isinstance(value, Mapping) else value
    return kept
