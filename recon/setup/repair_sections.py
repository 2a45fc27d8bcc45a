"""The sections of ``recon.toml`` about repairs: what a missing row is made of, and where holds stand."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from recon.sources.providers.sections import Section

PathText = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*$", max_length=200)]
CollectionName = Annotated[str, Field(pattern=r"^[^$\s\x00]{1,120}$")]
FieldKind = Literal["text", "objectid", "double", "decimal", "int", "date", "bool"]


HoldKey = Literal["payment", "request", "deal", "seller"]


def _usual_keys() -> dict[HoldKey, str]:
    return {"payment": "_id", "deal": "purchaseRequestId"}


def _not_kept(paths: dict[str, object]) -> dict[str, object]:
    for path in paths:
        if path == "_id" or path.startswith(("metadata.recon", "_id.")):
            raise ValueError(f"{path!r} is kept by recon itself")
    return paths


class MissingSection(Section):
    """``[repair.missing]``: what a row is made of that is put in for money which no row knows.

    ``fields`` gives each path a constant or a text with ``{names}`` in it: of the evidence (``provider``, ``chain_id``,
    ``network``, ``symbol``, ``token``, ``amount``, ``amount_units``, ``recipient``, ``sender``, ``tx_hash``,
    ``reference``, ``request_id``, ``external_id``, ``at``) or of ``asks``, which a person gives. A path of ``optional``
    is left out where the evidence does not have it; ``kinds`` says how a value is stored, as text unless named.
    """

    fields: Annotated[dict[PathText, str | bool | int], AfterValidator(_not_kept)] = Field(default_factory=dict)
    kinds: dict[PathText, FieldKind] = Field(default_factory=dict)
    optional: tuple[PathText, ...] = ()
    asks: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,40}$")], ...] = ("buyer", "order", "offer")


class RepairSection(Section):
    """``[repair]``: whether whole rows may be put in at all; they never are unless ``insert`` says so."""

    insert: bool = False
    missing: MissingSection = MissingSection()


class HoldSection(Section):
    """``[hold]``: where the backend keeps holds on release and payout; off without ``field``.

    ``field`` is true while a row is held. ``reason``, ``ticket``, ``until`` and ``by`` are where the hold says so, for
    those that are named. A path of ``disputes`` that holds anything but false or nothing is an active dispute. ``keys``
    says by which path the rows of a payment, a request, a deal or a seller are found; ``collection`` is that of the
    payments unless named.
    """

    collection: CollectionName | None = None
    field: PathText | None = None
    reason: PathText | None = None
    ticket: PathText | None = None
    until: PathText | None = None
    by: PathText | None = None
    disputes: tuple[PathText, ...] = Field(default=("disputed", "disputeId"), min_length=1, max_length=20)
    guarded: tuple[PathText, ...] = ("status", "escrowState")
    keys: dict[HoldKey, PathText] = Field(default_factory=_usual_keys)
