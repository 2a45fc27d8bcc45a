"""What known wallets held and what moved, asked of each chain that can tell, and said of each that cannot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import SourceError
from recon.core.ids import is_address_on
from recon.core.registry.off_chain import OFF_CHAIN
from recon.core.tables import table_of
from recon.sources.interface import BalanceQuestion, BalanceSource, ChainSource, Coverage, Progress, Reading

if TYPE_CHECKING:
    from recon.core.registry import Registry

WALLET_TABLES: Final = ("balances", "movements")
_NO_ENDPOINT: Final = "No endpoint is configured for this chain."
_OTHER_KIND: Final = "This chain cannot be asked for balances."


@dataclass(frozen=True, slots=True)
class WalletReader:
    """Reads the balances and movements of known wallets.

    Args:
        wallets: Their addresses, the same on every chain that has addresses of their kind.
        to_ms: Where the window ends, UTC ms; None means at the head.
    """

    wallets: tuple[str, ...]
    to_ms: int | None
    registry: Registry
    progress: Progress

    def read(self, source: ChainSource, *, from_ms: int) -> Reading:
        """What one chain says; one that breaks off, or that cannot be asked, says so of every wallet.

        Of a chain on which none of the wallets can be, nothing is said.
        """
        wallets = self._on(source.chain_id)
        if not wallets:
            return Reading()
        problem = _OTHER_KIND
        if isinstance(source, BalanceSource):
            question = BalanceQuestion(from_ms, wallets, self.to_ms)
            try:
                return source.read_balances(question, progress=self.progress)
            except SourceError as error:
                problem = str(error)
        name = f"chain:{source.chain_id}"
        row = Coverage(name, "balances", complete=False, chain_id=source.chain_id, problem=problem)
        return Reading(tables=self._untold((source.chain_id,), problem), coverage=(row,))

    def unread(self, chain_ids: Iterable[int]) -> Reading:
        """What is said of chains in scope that nobody can be asked about."""
        return Reading(tables=self._untold(chain_ids, _NO_ENDPOINT))

    def _on(self, chain_id: int) -> tuple[str, ...]:
        """The wallets that can be on a chain; money in a provider's books lies in none."""
        if chain_id == OFF_CHAIN:
            return ()
        return tuple(wallet for wallet in self.wallets if is_address_on(chain_id, wallet))

    def _untold(self, chain_ids: Iterable[int], problem: str) -> dict[str, Any]:
        untold = {f"{name}_problem": problem for name in ("opening", "closing", "movements")}
        on = {chain_id: self._on(chain_id) for chain_id in set(chain_ids)}
        rows: list[dict[str, object]] = [
            {"chain_id": chain_id, "wallet": wallet, "token": token, **untold}
            for chain_id, wallet, token in sorted(
                (chain_id, wallet, token) for chain_id, token in self.registry.tokens for wallet in on.get(chain_id, ())
            )
        ]
        return {"balances": table_of("balances", rows)}
