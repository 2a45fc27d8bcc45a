"""How a server of MongoDB is reached: an address that is one, that lowers nothing, and a client for it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from recon.core.errors import ConfigError
from recon.sources.payments.address import check_options

if TYPE_CHECKING:
    from pydantic import SecretStr
    from pymongo import MongoClient


def mongo_uri(secret: SecretStr) -> str:
    """The address itself; anything else (a password in the wrong variable) must not reach a message as a host name."""
    from recon.sources.payments.mongo import StoreUriError

    uri = secret.get_secret_value()
    if not uri.startswith(("mongodb://", "mongodb+srv://")):
        raise StoreUriError
    return uri


class LoweredConcernError(ConfigError):
    """An address asks for less certainty than a run needs."""

    def __init__(self, *, option: str) -> None:
        super().__init__(
            f'The address of the database that is written to says "{option}", which lowers what a run rests on: every '
            "write waits for a majority, and what became of one is read from the primary. Take it out of the address; "
            "nothing was written."
        )


def check_concerns(uri: str) -> None:
    """Refuse an address that lowers write concern, read concern or where is read.

    Raises:
        LoweredConcernError: It names such an option.
        StoreUriError: It cannot be read.
    """
    from urllib.parse import parse_qsl

    lowers: dict[str, Callable[[str], bool]] = {
        "w": lambda value: value != "majority",
        "journal": lambda value: value.lower() != "true",
        "j": lambda value: value.lower() != "true",
        "readconcernlevel": lambda value: value not in ("majority", "linearizable"),
        "readpreference": lambda value: value != "primary",
        "wtimeoutms": lambda value: value != "0",
        "wtimeout": lambda value: value != "0",
    }
    for name, value in parse_qsl(uri.partition("?")[2], keep_blank_values=True):
        lowered = lowers.get(name.lower())
        if lowered is not None and lowered(value):
            raise LoweredConcernError(option=f"{name}={value[:40]}")


def mongo_client(uri: str, *, timeout_ms: int) -> MongoClient[dict[str, Any]]:
    """A client of the database; nothing is asked of the server yet.

    Raises:
        UnreadOptionError: The address has an option that would be left out.
    """
    from pymongo import MongoClient

    check_options(uri)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of options of other drivers, which were told apart above
        return MongoClient(
            uri, tz_aware=True, appname="recon", serverSelectionTimeoutMS=timeout_ms, connectTimeoutMS=timeout_ms
        )
