"""Currencies of states, and the tokens that stand for one: an amount in euro is none in a token worth a dollar."""

from __future__ import annotations

from typing import Final

_CODES: Final = """
AED AFN ALL AMD AOA ARS AUD AZN BAM BDT BGN BHD BIF BND BOB BRL BWP BYN CAD CDF CHF CLP CNH CNY COP CRC CUP CZK DKK DOP
DZD EGP ETB EUR GBP GEL GHS GMD GTQ HKD HNL HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KRW KWD KZT LAK LBP LKR
LYD MAD MDL MGA MKD MMK MNT MUR MVR MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB
RWF SAR SCR SDG SEK SGD SOS SYP SZL THB TJS TMT TND TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND XAF XOF YER ZAR ZMW
IRT TMN TOMAN RIAL
"""
FIAT: Final = frozenset(_CODES.split())
"""Words for currencies of states: ISO 4217, and what people write for the rial and the toman."""

_DOLLARS: Final = frozenset({"DAI", "XDAI", "FRAX", "GHO", "LUSD", "PYUSD"})
"""Tokens that are worth a dollar; most others say so by their name."""


def is_other_money(currency: str, symbol: str) -> bool:
    """Whether a currency is that of a state which a token does not stand for, so that its amount says nothing.

    >>> [is_other_money(word, "USDC") for word in ("USD", "usdc", "EUR", "irr")]
    [False, False, True, True]
    """
    word, token = currency.strip().upper(), symbol.upper()
    return word in FIAT and word not in token and not (word == "USD" and token.partition(".")[0] in _DOLLARS)
