"""``recon doctor``: can the job run, and if not, what to do about it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from recon.cli.common import config_option, format_option, print_result
from recon.cli.lazy import DONE, INCOMPLETE, REFUSED, USAGE


@click.command()
@config_option
@format_option
def doctor(config_path: Path | None, output: str) -> None:
    """Say which sources can be used, and what to fix.

    Asks the database, each provider and each chain one small question; writes nothing. Leaves with 4 when a source is
    unreachable, with 3 when one is the wrong one, with 2 when a setting or secret is missing.

    \b
    Example: recon doctor --config recon.toml
    """
    from recon.api.start import doctor as check_all
    from recon.reports.views.checks import render_checks

    checks = check_all(config_path)
    print_result(render_checks(checks), output)
    failures = {check.failure for check in checks}
    codes = (("unreachable", INCOMPLETE), ("refused", REFUSED), ("usage", USAGE))
    sys.exit(next((code for failure, code in codes if failure in failures), DONE))
