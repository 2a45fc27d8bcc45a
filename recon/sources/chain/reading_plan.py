"""What one reading of one chain is to find, and the scans that it makes for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from recon.core.registry import ERC20_TRANSFER, TRANSFER_WITH_REFERENCE_AND_FEE, ChainFacts
from recon.sources.chain.logs import INT64_MAX, Expectation
from recon.sources.chain.scan import LogQuery
from recon.sources.interface import ChainQuestion


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """Everything a reading needs to know that is not on the chain; addresses and hashes are normalised."""

    facts: ChainFacts
    source: str
    question: ChainQuestion
    recipients: tuple[str, ...]
    senders: tuple[str, ...]
    tokens: tuple[str, ...]
    tx_hashes: tuple[str, ...]
    kinds: Mapping[str, str]
    terminals: frozenset[str]
    calls: tuple[str, ...]
    created_block: int
    known_tokens: frozenset[str]
    plain_tokens: frozenset[str]
    confirmations_min: int
    range_blocks_max: int | None
    batch_max: int
    head_margin_blocks: int
    verify_blocks: int

    def queries(self) -> list[LogQuery]:
        """The scans that this reading makes."""
        found: list[LogQuery] = []
        if self.question.receipts_only:
            return found
        if self.question.proxies and self.kinds:
            expect = Expectation(False, self.kinds, self.known_tokens, 0, INT64_MAX)
            found.append(
                LogQuery("proxy", TRANSFER_WITH_REFERENCE_AND_FEE, expect, addresses=tuple(sorted(self.kinds)))
            )
        if self.senders:
            expect = Expectation(True, self.kinds, self.known_tokens, 0, INT64_MAX)
            found.append(LogQuery("erc20", ERC20_TRANSFER, expect, addresses=self.tokens, senders=self.senders))
        elif self.recipients:
            expect = Expectation(True, self.kinds, self.known_tokens, 0, INT64_MAX)
            found.append(LogQuery("erc20", ERC20_TRANSFER, expect, addresses=self.tokens, recipients=self.recipients))
        return found
