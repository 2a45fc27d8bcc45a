"""One marketplace whose payments go over five rails at once, on real chains and behind look-alikes of the providers.

Each rail fills itself: what a buyer does, what the provider says of it, and what the marketplace wrote. Rows are told
as documents of the kinds that columns have too, so that one world fits into every store.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from bson import Decimal128

from recon.core.registry import load_registry
from tests.support import builders
from tests.support.monero_world import FAKECHAIN, XMR, FakeTx, MoneroWorld, a_subaddress, a_tx_hash
from tests.support.onchain import Chain
from tests.support.provider_servers import (
    Handler,
    RequestNetworkWorld,
    ShkeeperWorld,
    rn_payment,
    rn_request,
    serve,
    sh_invoice,
    sh_tx,
)
from tests.support.relayr_server import Bundle, Entry, RelayrServer
from tests.support.relayr_world import TERMINAL, USDC
from tests.support.terminals import TERMINAL_CODE, paid, pay_call, request_of
from tests.support.whmcs import WhmcsServer, invoice, transaction

SHOP, APP = 56, 8453
"""The chain of requests and deposits, and the chain of bundles."""
LIFETIME_S = 3_600
WHOLE = 125 * 10**17
"""12.50 USDC on BNB Chain."""
STRANGER = "0x" + "5a" * 20

COLUMNS = {
    "amount.amount": "amount", "amount.currency": "currency", "blockchain.confirmations": "confirmations",
    "blockchain.network": "network", "blockchain.receiver": "receiver", "blockchain.transactionHash": "tx_hash",
    "bundleId": "bundle", "buyerId": "buyer", "createdAt": "created_at", "direction": "direction",
    "disputed": "disputed", "escrowState": "escrow_state", "invoiceId": "invoice", "metadata": "metadata",
    "moneroAddress": "monero_address", "provider": "provider", "purchaseRequestId": "order_id",
    "sellerId": "seller", "sellerOfferId": "offer", "status": "status", "updatedAt": "updated_at",
}  # fmt: skip
"""Where each field of a row stands in a table."""
KINDS: dict[str, Any] = {"amount": "decimal", "metadata": "ejson"}


@dataclass
class Market:
    """The marketplace, its rails, and its rows by name.

    Args:
        shop: The chain on which requests and deposits are paid.
        app: The chain on which bundles land.
    """

    shop: Chain
    app: Chain
    request_network: RequestNetworkWorld = field(default_factory=RequestNetworkWorld)
    shkeeper: ShkeeperWorld = field(default_factory=ShkeeperWorld)
    relay: RelayrServer = field(default_factory=RelayrServer)
    billing: WhmcsServer = field(default_factory=lambda: WhmcsServer([], []))
    monero: MoneroWorld = field(default_factory=MoneroWorld)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    proofs: dict[str, str] = field(default_factory=dict)
    made_s: int = field(default_factory=lambda: int(time.time()) - LIFETIME_S)

    def open(self) -> Market:
        """Put contracts and tokens on the chains, and give the shop its Monero wallet."""
        self.shop.deploy_proxy()
        self.usdc, self.usdt = (self._token(symbol) for symbol in ("USDC", "USDT"))
        for symbol, address in (("USDC", self.usdc), ("USDT", self.usdt)):
            self.shop.deploy_token(address, symbol=symbol, decimals=18)
        self.app.deploy_token(USDC[APP], symbol="USDC", decimals=6)
        self.app.lay_code(TERMINAL, TERMINAL_CODE)
        self.app.approve(USDC[APP], TERMINAL)
        self.monero.mine(120)
        self.monero.wallet("shop")
        return self

    def _token(self, symbol: str) -> str:
        token = load_registry().token(SHOP, symbol)
        assert token is not None
        return token.address

    def row(self, name: str, provider: str, *, amount: str, currency: str, **given: Any) -> dict[str, Any]:
        """What the marketplace wrote of a payment; an order of its own unless ``like`` names another's row.

        Rows are made some seconds after each other: many of one second would look like an import.
        """
        at = datetime.fromtimestamp(self.made_s + 7 * len(self.rows), tz=UTC)
        order = given.pop("like", name)
        self.rows[name] = {
            "_id": name, "purchaseRequestId": f"order of {order}", "sellerOfferId": f"offer of {order}",
            "buyerId": f"buyer of {order}", "sellerId": "seller", "provider": provider, "direction": "in",
            "status": "pending", "amount": {"amount": Decimal128(amount), "currency": currency},
            "createdAt": at, "updatedAt": at, **{key: value for key, value in given.items() if value is not None},
        }  # fmt: skip
        return self.rows[name]

    def settle(self) -> None:
        """Make everything final, and every chain as old as the clock."""
        self.monero.base_s = int(time.time()) - 120 * len(self.monero.blocks)
        for chain in (self.shop, self.app):
            chain.mine(40)
        self.go_on()

    def go_on(self) -> None:
        """A block as old as the clock on each chain: of a chain that stands still little is known."""
        for chain in (self.shop, self.app):
            chain.set_next_time(max(int(time.time()) - 2, chain.block_time() + 1))
            chain.mine()

    # Request Network

    def request(self, name: str, *tx_hashes: str | None, **given: Any) -> None:
        """A request and its row; the provider tells of the transactions that are given, and of none as not paid."""
        number, told = len(self.rows) + 1, [each for each in tx_hashes if each is not None]
        facts = {"requestId": builders.request_id(number), "paymentReference": "0x" + self.reference_of(number)}
        last = told[-1] if told else None
        has_paid = given.pop("has_paid", bool(told))
        self.request_network.requests[facts["requestId"]] = rn_request(
            number, **facts, hasBeenPaid=has_paid, txHash=last if has_paid else None
        )
        now = datetime.now(tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        for place, tx_hash in enumerate(told if has_paid else ()):
            self.request_network.payments.append(
                rn_payment(
                    number, id=f"01PAY{number:015d}{place:06d}", amount=given.get("told", "12.5"), timestamp=now,
                    sourceTxHash=tx_hash, destinationTxHash=tx_hash, request={**facts, "hasBeenPaid": True},
                )
            )  # fmt: skip
        given.pop("told", None)
        metadata = {"requestNetwork": {"requestId": facts["requestId"], "paymentReference": facts["paymentReference"]}}
        if last:
            self.proofs[name] = last
        chain = {"network": "bsc", "receiver": builders.RECIPIENT}
        self.row(name, "request.network", **self._on_chain(chain, given, metadata=metadata))

    @staticmethod
    def reference_of(number: int) -> str:
        return builders.reference(number)

    @property
    def next_reference(self) -> str:
        """The reference of the row that is made next."""
        return self.reference_of(len(self.rows) + 1)

    def pay(self, units: int = WHOLE, *, to: str = builders.RECIPIENT, token: str | None = None, **given: Any) -> str:
        """A payment through the proxy for the row that is made next; gives the hash."""
        return self.shop.pay(token or self.usdc, to, units, reference=self.next_reference, **given)

    def _on_chain(self, chain: dict[str, Any], given: dict[str, Any], **more: Any) -> dict[str, Any]:
        recorded = {"transactionHash": given.pop("tx_hash", None), "confirmations": given.pop("confirmations", None)}
        chain |= {key: value for key, value in recorded.items() if value is not None}
        return {"amount": "12.50", "currency": "USDC", "blockchain": chain, **more, **given}

    # SHKeeper

    def deposit(self, name: str, *transfers: str, said: str | None = "12.75", **given: Any) -> None:
        """An invoice and its row; the gateway tells of the transfers that are given."""
        txs = [sh_tx(0, txid=each, addr=self.address_of(name), amount=said, crypto="BNB-USDC") for each in transfers]
        held = f"{float(said or 0) * len(txs):.2f}" if txs else "0"
        word = given.pop("word", "PAID" if txs else "UNPAID")
        facts = {"amount_fiat": "12.5", "balance_fiat": held, "status": word}
        self.shkeeper.invoices.append(sh_invoice(f"sh-{name}", *txs, **facts))
        if transfers:
            self.proofs[name] = transfers[0]
        metadata = {"externalId": f"sh-{name}", "walletAddress": self.address_of(name)}
        self.row(name, "shkeeper", **self._on_chain({"network": "bsc"}, given, metadata=metadata))

    def deposited(self, name: str, units: int = WHOLE * 102 // 100, *, token: str | None = None) -> str:
        """A transfer to the one-time address of a row; gives the hash."""
        return self.shop.transfer(token or self.usdc, self.address_of(name), units)

    @staticmethod
    def address_of(name: str) -> str:
        return builders.deposit_address(int.from_bytes(name.encode()) % 10**12)

    # Relayr

    def bundle(self, name: str, *entries: Entry, **given: Any) -> None:
        """A bundle at the relay and its row; ``bundleId`` of another bundle, or of none, may be given."""
        bundle_id = self.relay.add(Bundle(entries=entries))
        landed = [entry.tx_hash for entry in entries if entry.tx_hash]
        self.proofs |= {name: landed[-1]} if landed else {}
        given = {"bundleId": bundle_id, **given}
        self.row(name, "relayr", **self._on_chain({"network": str(APP)}, given))

    def call(self, units: int = 12_500_000, **given: Any) -> Entry:
        """A call that pays the terminal, and the entry of a bundle that tells of it."""
        data = pay_call(USDC[APP], units, buyer=len(self.rows) + 100)
        tx_hash = given.pop("tx_hash", None) or paid(self.app, TERMINAL, data)
        return Entry(request_of(self.app, TERMINAL, data), tx_hash=tx_hash, **given)

    def idle_call(self, state: str) -> Entry:
        """A call that never moved anything."""
        return Entry(request_of(self.app, TERMINAL, pay_call(USDC[APP], 1, buyer=len(self.rows))), states=(state,))

    # WHMCS

    def invoice(self, name: str, word: str, *amounts: str, **given: Any) -> None:
        """An invoice of 100 USD with its transactions, negative ones out, and its row."""
        number = len(self.rows) + 1
        made = datetime.fromtimestamp(self.made_s, tz=UTC)
        over = {"date": f"{made:%Y-%m-%d}", "created_at": f"{made:%Y-%m-%d %H:%M:%S}", **given.pop("over", {})}
        self.billing.answers.invoices.append(invoice(number, status=word, **over))
        for place, amount in enumerate(amounts):
            went = {"amountin": "0.00", "amountout": amount[1:]} if amount.startswith("-") else {}
            self.billing.answers.transactions.append(transaction(number * 10 + place, number, amount, **went))
        self.row(name, "whmcs", **{"amount": "100.00", "currency": "USD", "invoiceId": str(number), **given})

    # Monero

    def order(self, name: str, *sent: tuple[int, int], **given: Any) -> None:
        """An order at an address of its own and its row; each transfer is units and confirmations."""
        address = a_subaddress(name)
        wallet = self.monero.wallets["shop"]
        wallet.others = (*wallet.others, address)
        for place, (units, depth) in enumerate(sent):
            tx = FakeTx(a_tx_hash(f"{name} {place}"), [(address, units)])
            self.monero.blocks[-depth].append(tx)
            self.proofs[name] = tx.tx_hash
        chain = {"network": str(FAKECHAIN)}
        told = {"amount": "0.500000000000", "currency": "XMR", "moneroAddress": address, **given}
        self.row(name, "monero", **self._on_chain(chain, told))


XMR_HALF = XMR // 2
"""0.5 XMR."""


def _as_host(host: str, handler: Handler) -> Handler:
    """A handler of several servers, asked as one of them."""

    def answer(request: httpx.Request) -> httpx.Response:
        return handler(httpx.Request("POST", request.url.copy_with(host=host), content=request.content))

    return answer


@contextmanager
def served(market: Market) -> Iterator[Mapping[str, str]]:
    """Every provider behind a server of its own; gives their addresses by name."""
    handlers: dict[str, Handler] = {
        "request_network": market.request_network.handler,
        "shkeeper": market.shkeeper.handler,
        "relayr": market.relay.handler,
        "whmcs": market.billing.handler,
        "daemon": _as_host("daemon", market.monero.handler),
        "wallet": _as_host("w-shop", market.monero.handler),
    }
    with ExitStack() as stack:
        yield {name: stack.enter_context(serve(handler)) for name, handler in handlers.items()}


def configuration(market: Market, urls: Mapping[str, str], *, store: str) -> str:
    """One configuration for all five rails; ``store`` is the section of the store."""
    rails = "".join(
        f'[{name}]\nbase_url = "{urls[name]}"\ncalls_per_s = 1000\n'
        for name in ("request_network", "shkeeper", "relayr", "whmcs")
    )
    chains = "".join(
        f'[[chains]]\nchain_id = {chain.chain_id}\nendpoints = ["{chain.url}"]\ncalls_per_s = 10000\n'
        for chain in (market.shop, market.app)
    )
    return f"""
[target]
name = "five rails"
{store}
[window]
hours = 0
{rails}
[monero]
daemon_url = "{urls["daemon"]}"
calls_per_s = 1000
wallets = [{{ name = "shop", url = "{urls["wallet"]}", start_height = 1 }}]
{chains}
[[chains]]
chain_id = {FAKECHAIN}
confirmations_min = 10
[[emitters]]
chain_id = {APP}
address = "{TERMINAL}"
kind = "terminal"
[merchant]
recipients = ["{builders.RECIPIENT}"]
[health]
unproven_share_max_percent = 100
[output]
dir = "out"
"""
