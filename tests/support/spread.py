"""A pytest plugin (``-p tests.support.spread``): how the tests are shared out among the processes of a run.

The tests of a file go to one process, one after another, so that what the file makes once, a world or a server, is made
once. The files of ``ALONE`` make little that is shared and take long: their tests go out one by one. The files that
take longest go first, so that no process works alone at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from xdist.scheduler import LoadScopeScheduling

from tests.support.slow import SLOW

if TYPE_CHECKING:
    import pytest
    from xdist.remote import Producer

ALONE: Final = frozenset(
    {
        "tests/end_to_end/test_faults.py",
        "tests/sources/test_hostile_sizes.py",
        "tests/verdicts/test_relations.py",
        "tests/verdicts/test_unseen.py",
    }
)


class ByFile(LoadScopeScheduling):
    """Shares files out, those that are known to take long before the others."""

    def _split_scope(self, nodeid: str) -> str:
        file = _file_of(nodeid)
        return nodeid if file in ALONE else file


def _file_of(nodeid: str) -> str:
    return nodeid.split("::", 1)[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The same order in every process; files stay whole."""
    slow_files = {_file_of(item.nodeid) for item in items if item.nodeid.startswith(tuple(SLOW))}
    items.sort(key=lambda item: _file_of(item.nodeid) not in slow_files)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """The way to share out for the whole run; the order is that of the collection."""
    config.option.loadscopereorder = False
    return ByFile(config, log)
