"""A small marketplace on real parts: mongod, a real chain with the real contract, and servers that answer as the
providers do. Everything happens shortly before now, so that ages and finality are those of a live system."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recon.core.registry import load_registry
from tests.support.builders import (
    GONE,
    PAYER,
    RECIPIENT,
    deposit_address,
    payment_document,
    payment_id,
    reference,
    request_id,
    shkeeper_document,
)
from tests.support.forked import forker
from tests.support.onchain import Chain
from tests.support.provider_servers import (
    RequestNetworkWorld,
    ShkeeperWorld,
    rn_payment,
    rn_request,
    serve,
    sh_invoice,
    sh_tx,
)

CHAIN_ID = 56
UNITS = 125 * 10**17
STRANGER = "0x" + "5a" * 20
LIFETIME_S = 3_600


@dataclass
class Marketplace:
    """Documents, providers and the chain of a marketplace in which a known thing went wrong with each payment.

    Args:
        expected: The verdict that each break must get, by payment id; everything else is benign.
    """

    chain: Chain
    documents: list[dict[str, Any]] = field(default_factory=list)
    request_network: RequestNetworkWorld = field(default_factory=RequestNetworkWorld)
    shkeeper: ShkeeperWorld = field(default_factory=ShkeeperWorld)
    expected: dict[str, str] = field(default_factory=dict)

    def fill(self) -> Marketplace:
        """Let payments happen: one in sync, the others each with a break of their own; then make them final."""
        usdc = load_registry().token(CHAIN_ID, "USDC")
        usdt = load_registry().token(CHAIN_ID, "USDT")
        assert usdc is not None
        assert usdt is not None
        pay = self.chain.pay
        self._request(1, pay(usdc.address, RECIPIENT, UNITS, reference=reference(1), fee_units=5, fee_to=PAYER))
        lost = pay(usdc.address, RECIPIENT, UNITS, reference=reference(2))
        self._request(2, lost, opened=True, verdict="local_behind")
        self._request(3, None, opened=True)
        short = pay(usdc.address, RECIPIENT, UNITS - UNITS // 100, reference=reference(4))
        self._request(4, short, opened=True, verdict="underpaid", amount="12.375")
        astray = pay(usdc.address, STRANGER, UNITS, reference=reference(5))
        self._request(5, astray, opened=True, said_paid=False, verdict="recipient_mismatch")
        other = pay(usdt.address, RECIPIENT, UNITS, reference=reference(6))
        self._request(6, other, opened=True, said_paid=False, verdict="token_mismatch")
        self._request(7, None, verdict="local_ahead", changes={"blockchain.transactionHash": GONE})
        self._invoice(8, self.chain.transfer(usdc.address, deposit_address(8), UNITS * 102 // 100))
        self._invoice(9, None)
        self.chain.mine(40)
        self.chain.set_next_time(max(int(time.time()) - 2, self.chain.block_time() + 1))
        self.chain.mine()
        return self

    def _stamp(self, document: dict[str, Any]) -> dict[str, Any]:
        made = datetime.fromtimestamp(int(time.time()) - LIFETIME_S, tz=UTC)
        return {**document, "createdAt": made, "updatedAt": made}

    def _request(
        self,
        number: int,
        tx_hash: str | None,
        *,
        opened: bool = False,
        said_paid: bool = True,
        verdict: str | None = None,
        amount: str = "12.5",
        changes: dict[str, Any] | None = None,
    ) -> None:
        fields: dict[str, Any] = {"blockchain.transactionHash": tx_hash or GONE, "blockchain.confirmations": 12}
        if opened:
            fields = {"status": "pending", "escrowState": GONE, "blockchain.transactionHash": GONE,
                      "blockchain.confirmations": GONE}  # fmt: skip
        self.documents.append(self._stamp(payment_document(number, {**fields, **(changes or {})})))
        paid = tx_hash is not None and said_paid
        facts = {"requestId": request_id(number), "paymentReference": "0x" + reference(number)}
        self.request_network.requests[request_id(number)] = rn_request(
            number, **facts, hasBeenPaid=paid, txHash=tx_hash if paid else None
        )
        if paid:
            now = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            self.request_network.payments.append(
                rn_payment(
                    number, amount=amount, sourceTxHash=tx_hash, destinationTxHash=tx_hash, timestamp=now,
                    request={**facts, "hasBeenPaid": True},
                )
            )  # fmt: skip
        if verdict:
            self.expected[payment_id(number)] = verdict

    def _invoice(self, number: int, tx_hash: str | None) -> None:
        opened = {"status": "pending", "escrowState": GONE, "blockchain.transactionHash": GONE,
                  "blockchain.confirmations": GONE}  # fmt: skip
        document = self._stamp(shkeeper_document(number, opened))
        document["_id"] = f"template-checkout-{number}"
        document["metadata"]["externalId"] = external = f"order-{number}"
        self.documents.append(document)
        txs = [sh_tx(number, txid=tx_hash, addr=deposit_address(number), amount="12.75", crypto="BNB-USDC")]
        facts = {"amount_fiat": "12.5", "balance_fiat": "12.75" if tx_hash else "0"}
        self.shkeeper.invoices.append(sh_invoice(external, *(txs if tx_hash else ()), **facts))
        if tx_hash:
            self.expected[str(document["_id"])] = "local_behind"


@contextmanager
def served(market: Marketplace) -> Iterator[tuple[str, str]]:
    """Serve both providers on loopback; gives their addresses."""
    with ExitStack() as stack:
        yield (
            stack.enter_context(serve(market.request_network.handler)),
            stack.enter_context(serve(market.shkeeper.handler)),
        )


def write_config(folder: Path, *, chain_url: str, request_network: str, shkeeper: str, database: str) -> Path:
    """A configuration over real sources; no secret is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "recon.toml"
    path.write_text(
        f"""
[target]
name = "rehearsal"
[mongo]
database = "{database}"
[window]
hours = 0
[request_network]
base_url = "{request_network}"
calls_per_s = 1000
[shkeeper]
base_url = "{shkeeper}"
calls_per_s = 1000
[[chains]]
chain_id = {CHAIN_ID}
endpoints = ["{chain_url}"]
calls_per_s = 10000
[merchant]
recipients = ["{RECIPIENT}"]
[output]
dir = "out"
""",
        encoding="utf-8",
    )
    return path


def recon(
    arguments: Sequence[str], *, folder: Path, uri: str, secrets: dict[str, str] | None = None, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own, as a person would, with output to a pipe."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "RECON_MONGO_URI": uri,
        "RECON_REQUEST_NETWORK_API_KEY": "rn-test-key",
        "RECON_SHKEEPER_API_KEY": "sh-test-key",
        **(secrets or {}),
    }
    return forker().run(arguments, folder=folder, environment=environment, timeout_s=timeout_s)


def verdicts_of(plan_text: str) -> dict[str, str]:
    """The verdict of every break in a plan file."""
    return {item["payment_id"]: item["verdict"] for item in json.loads(plan_text)["findings"]}
