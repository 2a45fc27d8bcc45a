"""The ``[ledger]`` section of ``recon.toml``: where the backend's own ledger is, and what its entries say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from recon.core.ledger import KINDS, LedgerRules
from recon.sources.ledger.mapping import USUAL_KINDS, LedgerMapping, Signs
from recon.sources.providers.sections import Section, refuse_bool

_Path = Annotated[str, Field(pattern=r"^[^$\s][^\s]*$", max_length=200)]
_Words = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=120)], ...], Field(max_length=200)]
_MINUTE_MS = 60_000


class LedgerSection(Section):
    """``[ledger]``: the backend's ledger; off without a collection.

    ``append`` lets "recon repair apply" append entries to it; nothing does without.

    With a collection it is asked before consent whether a pay-in is there; with ``amount_field`` as well its entries
    are read into every snapshot and judged.
    """

    collection: str | None = Field(default=None, min_length=1, max_length=120)
    payment_field: _Path = "paymentId"
    kind_field: _Path = "type"
    pay_in_kinds: tuple[str, ...] = Field(default=("gross_paid",), min_length=1, max_length=20)
    amount_field: _Path | None = None
    deal_field: _Path | None = None
    account_field: _Path | None = None
    chain_field: _Path | None = None
    token_field: _Path | None = None
    side_field: _Path | None = None
    time_field: _Path | None = "createdAt"
    reverses_field: _Path | None = None
    group_field: _Path | None = None
    by_field: _Path | None = None
    append: bool = False
    key_field: _Path | None = None
    reason_field: _Path | None = None
    token_as: Literal["symbol", "contract"] = "symbol"  # noqa: S105 - a word, not a secret
    books: Literal["single", "double"] = "single"
    amount_in: Literal["whole", "base"] = "whole"
    signs: Signs = "kind"
    debit_words: _Words = ("debit",)
    credit_words: _Words = ("credit",)
    kinds: dict[str, _Words] = Field(default_factory=dict)
    accounts: dict[str, _Words] = Field(default_factory=dict)
    grace_min: Annotated[int, BeforeValidator(refuse_bool), Field(ge=0, le=10_080)] = 30

    @model_validator(mode="after")
    def _has_known_kinds(self) -> LedgerSection:
        for name in ("kinds", "accounts"):
            if unknown := sorted(set(getattr(self, name)) - set(KINDS)):
                raise ValueError(f"{name}: {unknown[0][:40]!r} is no kind of entry; there are {', '.join(KINDS)}")
        words = [word for kind in KINDS for word in self.words_of(kind)]
        if twice := sorted({word for word in words if words.count(word) > 1}):
            raise ValueError(f"kinds: {twice[0][:40]!r} stands for two kinds; name it under one of them")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> LedgerSection:
        if self.books == "double" and (self.group_field is None or self.signs == "kind"):
            raise ValueError('books = "double" needs group_field, and signs = "amount" or "side"')
        if self.signs == "side" and self.side_field is None:
            raise ValueError('signs = "side" needs side_field')
        return self

    def words_of(self, kind: str) -> tuple[str, ...]:
        """The words that stand for a kind of entry; those of a pay-in are ``pay_in_kinds`` unless others are named."""
        usual = self.pay_in_kinds if kind == "gross" else USUAL_KINDS[kind]
        return self.kinds.get(kind, usual)

    def mapping(self) -> LedgerMapping | None:
        """Where the fields of an entry are; None where entries are not read."""
        if self.collection is None or self.amount_field is None:
            return None
        return LedgerMapping(
            amount=self.amount_field,
            kind=self.kind_field,
            payment=self.payment_field,
            deal=self.deal_field,
            account=self.account_field,
            chain=self.chain_field,
            token=self.token_field,
            side=self.side_field,
            time=self.time_field,
            reverses=self.reverses_field,
            group=self.group_field,
            by=self.by_field,
            amount_in=self.amount_in,
            signs=self.signs,
            debit=tuple(word.lower() for word in self.debit_words),
            credit=tuple(word.lower() for word in self.credit_words),
            kinds={kind: self.words_of(kind) for kind in KINDS},
            rules=LedgerRules(
                is_double=self.books == "double",
                accounts=self.accounts,
                grace_ms=self.grace_min * _MINUTE_MS,
                books_fees=bool(self.words_of("fee")),
            ),
        )
