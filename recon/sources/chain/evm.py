"""One EVM chain as a source: every payment log, every transfer to known recipients, every recorded transaction.

A reading scans from the block before the evidence window to the head of the endpoint that answers, reads receipts for
the hashes that the scan did not show, compares the two, and gives exact columns with a coverage row per scope. What
could not be read is a gap. Nothing here decides whether a payment is paid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from recon.core.errors import ConfigError, SourceError
from recon.core.ids import normalise_account, normalise_tx_hash
from recon.core.registry import Registry, forwarder_factories
from recon.core.registry.known import TERMINAL
from recon.core.times import ms_text
from recon.sources.chain.balances import balance_reading
from recon.sources.chain.endpoints import Block, EndpointsDownError, Live, Pool
from recon.sources.chain.forwarders import Forwarder, read_forwarders
from recon.sources.chain.holdings import Below, holding_reading
from recon.sources.chain.logs import TEXT_ANSWER
from recon.sources.chain.reading import STALE_HEAD_MS, read_chain
from recon.sources.chain.reading_plan import ReadingPlan
from recon.sources.chain.rpc import CallLimits, Endpoint, RpcClient, RpcError
from recon.sources.chain.tokens import ask_tokens, with_token_facts
from recon.sources.http import Clock
from recon.sources.interface import BalanceQuestion, ChainQuestion, Coverage, Gap, Progress, Reading, no_progress

if TYPE_CHECKING:
    import httpx

SKEW_MAX_MS: Final = 5 * 60_000
_DECIMALS_CALL: Final = "0x313ce567"


class UnknownChainError(ConfigError):
    """A chain is configured that the registry does not know."""

    def __init__(self, *, chain_id: int) -> None:
        super().__init__(
            f"Chain {chain_id} is not known: its finality, block time and contracts must be stated. "
            f"Add it under [chains.{chain_id}] in the configuration."
        )


class NoEndpointConfiguredError(ConfigError):
    """A chain is configured without an RPC endpoint."""

    def __init__(self, *, chain_id: int) -> None:
        super().__init__(f"Chain {chain_id} has no RPC endpoint. Name at least one, or leave the chain out.")


class ClockSkewError(SourceError):
    """The head of a chain is in the future or long past."""

    def __init__(self, *, source: str, host: str, head_at: str, now: str) -> None:
        super().__init__(
            f"{source}: the newest block of {host} is from {head_at}, and this machine says it is {now}. "
            "Set this machine's clock, or use a node that follows the chain."
        )


class TokenFactsError(SourceError):
    """A token contract contradicts the registry."""

    def __init__(self, *, source: str, problems: list[str]) -> None:
        super().__init__(f"{source}: {' '.join(problems)} Correct the token in the configuration before reconciling.")


@dataclass(frozen=True, slots=True)
class ChainSettings:
    """How one chain is read.

    Args:
        endpoints: Asked in this order; the next one takes over when one fails.
        confirmations_min: The backend's own minimum, on top of the chain's finality rule.
        merchant_recipients: Addresses whose incoming ERC-20 transfers are always read, besides those asked for.
        range_blocks_max: Most blocks in one ``eth_getLogs``, counted inclusively; None lets it adapt.
        rate_per_s: HTTP questions a second and endpoint, each call of a batch counted; None for no limit.
        timeout_s: Longest silence of one request.
        deadline_s: Longest time of one reading; what is open then becomes a gap.
        tries_max: Tries per question and endpoint.
        batch_max: Calls in one JSON batch.
        head_margin_blocks: Blocks below the head that are left to the next reading, since backends lag.
        verify_blocks: Sampled blocks that are fetched to check the times that logs state.
    """

    chain_id: int
    endpoints: tuple[Endpoint, ...]
    confirmations_min: int = 12
    merchant_recipients: tuple[str, ...] = ()
    range_blocks_max: int | None = None
    rate_per_s: float | None = 20.0
    timeout_s: float = 30.0
    deadline_s: float = 900.0
    tries_max: int = 6
    batch_max: int = 100
    head_margin_blocks: int = 1
    verify_blocks: int = 3

    def __post_init__(self) -> None:
        if not self.endpoints:
            raise NoEndpointConfiguredError(chain_id=self.chain_id)
        counts = {
            "confirmations_min": self.confirmations_min >= 0,
            "range_blocks_max": self.range_blocks_max is None or self.range_blocks_max >= 1,
            "rate_per_s": self.rate_per_s is None or self.rate_per_s > 0,
            "timeout_s": self.timeout_s > 0,
            "deadline_s": self.deadline_s > 0,
            "tries_max": self.tries_max >= 1,
            "batch_max": self.batch_max >= 1,
            "head_margin_blocks": self.head_margin_blocks >= 0,
        }
        wrong = [name for name, is_right in counts.items() if not is_right]
        if wrong:
            raise ConfigError(f"Chain {self.chain_id}: {', '.join(wrong)} is out of range.")


@dataclass(slots=True)
class _Checked:
    hosts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class EvmChain:
    """One chain, read only. Use one object per thread; range limits learned live as long as the object.

    Args:
        settings: Endpoints, limits and the backend's minimum.
        registry: Chains, tokens and emitters, with what the configuration adds.
        transport: Answers in process instead of over the network (a recorded world, a test).
        clock: Time, for a recorded world whose "now" is another; gaps that reach to the present end at its ``now_ms``.

    Raises:
        UnknownChainError: The registry has no facts about the chain.
    """

    def __init__(
        self,
        settings: ChainSettings,
        *,
        registry: Registry,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        facts = registry.chains.get(settings.chain_id)
        if facts is None:
            raise UnknownChainError(chain_id=settings.chain_id)
        self.chain_id, self.settings, self.registry, self.facts = settings.chain_id, settings, registry, facts
        self.source = f"chain:{settings.chain_id}"
        self._clock = clock or Clock()
        limits = CallLimits(settings.timeout_s, settings.tries_max, settings.rate_per_s)
        clients = [
            RpcClient(endpoint, limits=limits, transport=transport, clock=self._clock, seed=settings.chain_id)
            for endpoint in settings.endpoints
        ]
        self._pool = Pool(clients, facts=facts, source=self.source, clock=self._clock)

    def close(self) -> None:
        """Let go of the connections; each call does so by itself when it ends."""
        for live in self._pool.lives:
            live.client.close()

    def check(self) -> str:
        """Say in one sentence that the chain can be read.

        Every endpoint is asked for its chain id, head, finality and the decimals of the known tokens.

        Raises:
            WrongSourceError: An endpoint serves another chain.
            SourceError: No endpoint answers, heads are off by time, or a token contradicts the registry.
        """
        self._pool.begin(self.settings.deadline_s)
        try:
            return self._checked()
        finally:
            self.close()

    def _checked(self) -> str:
        pool, checked = self._pool, _Checked()
        for live in pool.lives:
            if pool.ready(live):
                self._check_time(live)
                checked.hosts.append(self._describe(live))
            else:
                checked.failures.append(live.host)
        if not checked.hosts:
            pool.current()
        if problems := self._token_problems():
            raise TokenFactsError(source=self.source, problems=problems)
        tokens = sum(1 for chain_id, _ in self.registry.tokens if chain_id == self.chain_id)
        failed = f"; not answering: {', '.join(checked.failures)}" if checked.failures else ""
        return (
            f"{self.source} ({self.facts.name}): {'; '.join(checked.hosts)}; "
            f"the decimals of {tokens} known tokens are right{failed}."
        )

    def _check_time(self, live: Live) -> None:
        assert live.head is not None
        now = self._clock.now_ms()
        if not -SKEW_MAX_MS <= now - live.head.time_ms <= STALE_HEAD_MS:
            raise ClockSkewError(
                source=self.source, host=live.host, head_at=ms_text(live.head.time_ms), now=ms_text(now)
            )

    def _describe(self, live: Live) -> str:
        head = live.head
        assert head is not None
        tag = "without the finalized tag" if live.finalized is None else f"finalized {live.finalized}"
        age_s = (self._clock.now_ms() - head.time_ms) // 1_000
        return f"{live.host} is at block {head.number}, {age_s} s old, {tag}"

    def _token_problems(self) -> list[str]:
        """One sentence per token of this chain that contradicts the registry or could not be asked."""
        problems = []
        for (chain_id, _), token in sorted(self.registry.tokens.items()):
            if chain_id != self.chain_id:
                continue
            found = self._decimals_of(token.address)
            if isinstance(found, str):
                problems.append(f"{token.symbol} {token.address}: {found}")
            elif found != token.decimals:
                problems.append(
                    f"{token.symbol} {token.address}: the registry says {token.decimals} decimals, "
                    f"the contract says {found}."
                )
        return problems

    def _decimals_of(self, address: str) -> int | str:
        call = {"to": address, "data": _DECIMALS_CALL}
        try:
            answer = self._pool.ask(lambda live: live.client.call("eth_call", [call, "latest"], decoder=TEXT_ANSWER))
        except (EndpointsDownError, RpcError) as error:
            return f"decimals could not be asked. {error}"
        text = str(answer).lower()
        if len(text) == 66 and text.startswith("0x") and not text[2:].strip("0123456789abcdef"):
            value = int(text, 16)
            return value if value <= 255 else f"the contract says {value} decimals."
        return "no contract answers decimals() there."

    def read(self, question: ChainQuestion, *, progress: Progress = no_progress) -> Reading:
        """Answer the question: tables ``transfers`` and ``transactions``, coverage per scope, and gaps.

        Both tables are sorted (block and log index; hash). A chain that does not answer gives empty tables, gaps
        over the whole window, and a ``failed`` row for each hash.

        Raises:
            WrongSourceError: An endpoint serves another chain; nothing that it said is used.
        """
        plan = self._plan(question)
        self._pool.begin(self.settings.deadline_s)
        try:
            reading = read_chain(self._pool, plan, progress=progress)
            if not question.odd_tokens:
                return reading
            facts = ask_tokens(self._pool, _addresses(question.odd_tokens))
            told = with_token_facts(reading.tables["transfers"], facts)
            return replace(reading, tables={**reading.tables, "transfers": told})
        finally:
            self.close()

    def _plan(self, question: ChainQuestion) -> ReadingPlan:
        merchants = () if question.senders else self.settings.merchant_recipients
        return ReadingPlan(
            facts=self.facts,
            source=self.source,
            question=question,
            recipients=() if question.receipts_only else _addresses((*question.recipients, *merchants)),
            senders=_addresses(question.senders),
            tokens=_addresses(question.tokens),
            tx_hashes=_hashes(question.tx_hashes),
            kinds={emitter.address: emitter.kind for emitter in self.registry.emitters_of(self.chain_id)},
            terminals=frozenset(each.address for each in self.registry.emitters_of(self.chain_id, kind=TERMINAL)),
            calls=_hashes(question.calls),
            created_block=min((one.created_block for one in self.registry.emitters_of(self.chain_id)), default=0),
            known_tokens=frozenset(token for chain_id, token in self.registry.tokens if chain_id == self.chain_id),
            plain_tokens=frozenset(
                token.address
                for token in self.registry.tokens.values()
                if token.chain_id == self.chain_id and not token.may_take_fee
            ),
            confirmations_min=self.settings.confirmations_min,
            range_blocks_max=self.settings.range_blocks_max,
            batch_max=self.settings.batch_max,
            head_margin_blocks=self.settings.head_margin_blocks,
            verify_blocks=self.settings.verify_blocks,
        )

    def read_balances(self, question: BalanceQuestion, *, progress: Progress = no_progress) -> Reading:
        """Answer the question: tables ``balances`` and ``movements`` with one coverage row of scope ``balances``.

        There is one row for each wallet and each token that the registry knows here. A balance that nobody gives is
        null with its reason. Movements are every transfer of these tokens from or to the wallets, each once.

        Raises:
            WrongSourceError: An endpoint serves another chain; nothing that it said is used.
        """
        tokens = tuple(sorted(token for chain_id, token in self.registry.tokens if chain_id == self.chain_id))
        wallets = _addresses(question.wallets)
        if not tokens or not wallets:
            return Reading()
        about = ChainQuestion(question.from_ms, tokens=tokens, proxies=False)
        outgoing = self._plan(replace(about, senders=wallets))
        incoming = replace(self._plan(replace(about, recipients=wallets)), recipients=wallets)
        self._pool.begin(self.settings.deadline_s)
        try:
            return balance_reading(self._pool, (outgoing, incoming), to_ms=question.to_ms, progress=progress)
        finally:
            self.close()

    def read_holdings(self, places: Sequence[tuple[str, str]], *, progress: Progress = no_progress) -> Reading:
        """What addresses hold of a token just below the head, and how many transactions those sent that hold none.

        Raises:
            WrongSourceError: An endpoint serves another chain; nothing that it said is used.
        """
        self._pool.begin(self.settings.deadline_s)
        try:
            about = Below(self.chain_id, batch_max=self.settings.batch_max, margin=self.settings.head_margin_blocks)
            asked = sorted({place for place in places if normalise_account(place[0]) is not None})
            return holding_reading(self._pool, asked, about=about, progress=progress)
        finally:
            self.close()

    def silent_hosts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The hosts of the endpoints, in their order: those that can be used now, and those that cannot.

        Raises:
            WrongSourceError: An endpoint serves another chain.
        """
        self._pool.begin(self.settings.deadline_s)
        try:
            told = {live.host: self._pool.ready(live) for live in self._pool.lives}
        finally:
            self.close()
        return tuple(host for host, well in told.items() if well), tuple(host for host in told if not told[host])

    def native_units(self, address: str) -> int:
        """What an address holds of the chain's own coin at the newest block, in its smallest units.

        Raises:
            SourceError: It could not be asked. WrongSourceError: an endpoint serves another chain.
        """
        self._pool.begin(self.settings.deadline_s)
        try:
            params = [address, "latest"]
            said = self._pool.ask(lambda live: live.client.call("eth_getBalance", params, decoder=TEXT_ANSWER))
            return parse_wide(said)
        finally:
            self.close()

    def find_forwarders(self, topics: Sequence[str], *, from_ms: int) -> tuple[Forwarder, ...]:
        """The forwarders made for these references since a time.

        Raises:
            SourceError: They could not be asked for to the end. WrongSourceError: an endpoint serves another chain.
        """
        self._pool.begin(self.settings.deadline_s)
        try:
            factories = forwarder_factories(self.chain_id)
            return read_forwarders(self._pool, factories=factories, topics=topics, from_ms=from_ms)
        finally:
            self.close()


class OddBalanceError(SourceError):
    """A node answers a question about a balance with something that is none."""

    def __init__(self, *, found: object) -> None:
        super().__init__(f"A node answered {str(found)[:80]!r} where a balance was asked for. Use another endpoint.")


def parse_wide(said: object) -> int:
    """A whole number of at most 256 bits in hex, as a node writes it.

    Raises:
        OddBalanceError: It is none.
    """
    text = said.lower() if isinstance(said, str) else ""
    if not 2 < len(text) <= 66 or text[:2] != "0x" or text[2:].strip("0123456789abcdef"):
        raise OddBalanceError(found=said)
    return int(text, 16)


def _hashes(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({tx_hash for text in texts if (tx_hash := normalise_tx_hash(text))}))


def _addresses(texts: Iterable[str]) -> tuple[str, ...]:
    """The accounts among addresses, each once: an address of another kind of chain is never here."""
    return tuple(sorted({address for text in texts if (address := normalise_account(text))}))


__all__ = [
    "Block", "ChainSettings", "ClockSkewError", "Coverage", "Endpoint", "EvmChain", "Gap", "TokenFactsError",
    "UnknownChainError",
]  # fmt: skip
