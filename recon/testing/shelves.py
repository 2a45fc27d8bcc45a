"""The promises of a place of decisions, each tried: a record is kept whole, under a name of its own, or not at all.

A store that can keep decisions opens such a place, and its tests try it::

    check_decisions(lambda: AcmeShelf(database))
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from recon.testing.contract import require

if TYPE_CHECKING:
    from recon.plans.shelf import Shelf

    OpenShelf = Callable[[], Shelf]

_STEM: Final = "approval-0123456789abcdef-aa"
_TEXT: Final = '{"who":"Zoë O\'Neil \\ \\u0000 % _","reason":"a\\nb"}\n'.encode()
_RACERS: Final = 6


class _TooLateError(Exception):
    """Raised by a trial in the middle of adding."""


class _Breaking(list[tuple[str, bytes]]):
    """Records of which the last cannot be had any more."""

    def __iter__(self):  # type: ignore[no-untyped-def]
        yield from super().__iter__()
        raise _TooLateError


def check_decisions(open_shelf: OpenShelf) -> None:
    """Try every promise of a place of decisions that is empty at first.

    Args:
        open_shelf: Gives the place as another process would have it; it is called anew for each question.

    Raises:
        ContractError: A promise is broken; the sentence says which.
    """
    require(list(open_shelf().records("")) == [], "a place that should be empty gives records")
    _check_kept(open_shelf)
    _check_stems(open_shelf)
    _check_whole_or_not(open_shelf)
    _check_race(open_shelf)
    _check_dropped(open_shelf)


def _check_kept(open_shelf: OpenShelf) -> None:
    (first,) = open_shelf().add([(_STEM, _TEXT)])
    (second,) = open_shelf().add([(_STEM, b"another")])
    require(first != second, "two records got one name")
    found = dict(open_shelf().records(_STEM))
    require(found == {first: _TEXT, second: b"another"}, f"records do not come back as they were kept: {found}")
    require(list(found) == sorted(found), "records do not come in the order of their names")


def _check_stems(open_shelf: OpenShelf) -> None:
    """A stem is what a name begins with, letter for letter; signs that search languages know mean nothing in it."""
    open_shelf().add([("ack-ab_c%d", b"odd"), ("ack-abxcyd", b"plain"), ("ACK-ab", b"capitals")])
    for stem, wanted in (("ack-ab_c%", [b"odd"]), ("ack-ab", [b"odd", b"plain"]), ("ack-zz", [])):
        found = [data for _, data in open_shelf().records(stem)]
        require(found == wanted, f"records({stem!r}) gives {found}, not {wanted}")


def _check_whole_or_not(open_shelf: OpenShelf) -> None:
    before = list(open_shelf().records(""))
    with suppress(_TooLateError):
        open_shelf().add(_Breaking([("ack-one", b"1"), ("ack-two", b"2")]))
    require(list(open_shelf().records("")) == before, "of records of which one failed, some were kept")


def _check_race(open_shelf: OpenShelf) -> None:
    """Records that are added under one stem at once are all kept, each under a name of its own."""
    start, names = threading.Barrier(_RACERS), list[str]()

    def race(number: int) -> None:
        start.wait()
        names.extend(open_shelf().add([("ack-race", f"{number}".encode())]))

    racers = [threading.Thread(target=race, args=(number,)) for number in range(_RACERS)]
    for each in racers:
        each.start()
    for each in racers:
        each.join()
    found = dict(open_shelf().records("ack-race"))
    require(sorted(found) == sorted(names), f"{_RACERS} racers were told {sorted(names)}, and {sorted(found)} are kept")
    require(sorted(found.values()) == [f"{n}".encode() for n in range(_RACERS)], f"a racer's record is lost: {found}")


def _check_dropped(open_shelf: OpenShelf) -> None:
    """The note of who made a plan goes with its plan, and nothing else with it."""
    digest = "ab" * 32
    before = list(open_shelf().records(""))
    open_shelf().add([(f"author-{digest[:32]}", b"1"), (f"author-{digest[:32]}", b"2"), ("author-" + "cd" * 16, b"3")])
    open_shelf().drop_author(digest)
    left = [data for _, data in open_shelf().records("author-")]
    require(left == [b"3"], f"dropping the author of one plan leaves {left}")
    rest = [each for each in open_shelf().records("") if not each[0].startswith("author-")]
    require(rest == before, "dropping the author of a plan took more away")
