"""What the options of an address of MongoDB ask for, and that none of them is left out without a word."""

from __future__ import annotations

from typing import Final

from recon.core.errors import ConfigError
from recon.core.text import clean_text


class UnreadOptionError(ConfigError):
    """An address asks for something that the driver would leave out."""

    def __init__(self, *, option: str, is_known: bool) -> None:
        why = "with a value that it cannot have" if is_known else "which is none of MongoDB's"
        super().__init__(
            f'The address of the database has the option "{clean_text(option, limit=40)}", {why}; it would be left '
            "out, and with it what it asks for. Mend it in the address or take it out."
        )


OF_OTHER_DRIVERS: Final = frozenset(
    {"usenewurlparser", "useunifiedtopology", "usecreateindex", "usefindandmodify", "autoindex", "poolsize",
     "keepalive", "family", "retryonerror", "uuidsubtype", "streamtype"}
)  # fmt: skip
"""Options of drivers of other languages that ask for nothing here; a backend's address often has them."""


def check_options(uri: str) -> None:
    """Refuse an address whose options the driver would leave out: ``tls=yes`` must not become a line without TLS.

    Raises:
        UnreadOptionError: An option has a value that it cannot have, or there is no such option.
    """
    from urllib.parse import parse_qsl

    from pymongo.errors import ConfigurationError
    from pymongo.uri_parser import validate_options

    for name, value in parse_qsl(uri.partition("?")[2], keep_blank_values=True):
        if name.lower() in OF_OTHER_DRIVERS:
            continue
        try:
            validate_options({name.lower(): value}, warn=False)
        except (ConfigurationError, ValueError, TypeError) as error:
            raise UnreadOptionError(option=name, is_known="Unknown" not in str(error)) from None
