"""A pytest plugin (``-p tests.support.measured``): with ``--cov``, the tests nearest to the code measure its coverage.

What decides and what writes has a mark that its coverage may not fall below. Measuring doubles the time of a test, so
only the tests of those folders are measured, and not the dearest of them: worlds of many thousand payments go the same
ways as the scenarios do. Everything that is imported is measured from the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

MEASURED: Final = (
    "tests/core/", "tests/plans/", "tests/runs/", "tests/repairs/", "tests/simulation/test_scenarios.py",
    "tests/setup/test_stores.py", "tests/setup/test_other_rules.py",
    "tests/test_chained_log.py", "tests/test_old_logs.py", "tests/test_testing.py", "tests/verdicts/",
    "tests/end_to_end/test_ledger_live.py", "tests/end_to_end/test_repairs_live.py",
)  # fmt: skip
DEAREST: Final = ("tests/verdicts/test_truth.py", "tests/verdicts/test_relations.py")


def is_measured(nodeid: str) -> bool:
    """Whether coverage is measured while a test runs."""
    return nodeid.startswith(MEASURED) and not nodeid.startswith(DEAREST)


class Measured:
    """Pauses the coverage of this process while tests run that are not measured."""

    def __init__(self, coverage: Any) -> None:
        self._coverage = coverage
        self._is_running = True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Turn measuring on or off before the fixtures of a test are made."""
        wanted = is_measured(item.nodeid)
        if wanted != self._is_running:
            self._switch(wanted)
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Hand a running measurement back to pytest-cov, which ends it."""
        if not self._is_running:
            self._switch(True)

    def _switch(self, wanted: bool) -> None:
        (self._coverage.start if wanted else self._coverage.stop)()
        self._is_running = wanted


def pytest_sessionstart(session: pytest.Session) -> None:
    """Watch the coverage of this process, where pytest-cov measures one."""
    plugin = session.config.pluginmanager.getplugin("_cov")
    controller = getattr(plugin, "cov_controller", None)
    if controller is not None:
        session.config.pluginmanager.register(Measured(controller.cov), "recon-measured")
