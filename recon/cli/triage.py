"""``recon triage``: access logs, deliveries, and the first ten minutes on one page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from recon.cli.common import MomentOption, NewFilePath, config_option, format_option, note, part_option, print_result
from recon.cli.lazy import DIFFERENCES, DONE, INCOMPLETE
from recon.cli.progress import ShownProgress
from recon.core.text import count_text

_PATH = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def triage() -> None:
    """Look at access logs and deliveries.

    Nothing is changed or sent by it; "summary" puts the first ten minutes of an incident on one page.
    """


@triage.command("access-log")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=_FILE)
@click.option("--since", type=MomentOption(), help="Only requests from this UTC time on, or so long ago (90min).")
@click.option("--until", type=MomentOption(), help="Only requests before this UTC time.")
@click.option(
    "--route", "routes", multiple=True, metavar="PROVIDER=PATH", help="A webhook route of the backend; repeatable."
)
@click.option(
    "--log-format", metavar="FORMAT", help="Format of the lines, as in the configuration of nginx, Apache or HAProxy."
)
@format_option
@part_option
def access_log(files: tuple[Path, ...], routes: tuple[str, ...], output: str, part: str | None, **given: Any) -> None:
    """Count webhook deliveries in web server logs.

    Reads logs of nginx, ingress-nginx, Apache, Caddy, Traefik, HAProxy, Envoy, AWS, Google, Azure, IIS, Rails, morgan,
    pino, OpenTelemetry, most JSON and tables with a header, also in the wrapping of Docker, Kubernetes, journald or
    syslog; plain, gzip, bzip2, xz, zstd or lz4; in any order. Writes nothing. Tells statuses by route and minute,
    bursts, first and last good, and what the runbook says; silence counts only where the logs reach. Leaves with 1 when
    deliveries failed or none came, with 4 when a file breaks off or is no access log, or when a line that names a route
    could not be read.

    \b
    Examples: recon triage access-log nginx/access.log nginx/access.log.1.gz --since 2h
              recon triage access-log own.log --log-format '$time_iso8601 $request_method $uri $request_time $status'
    """
    from recon.api.triage import access_log as triage_logs
    from recon.reports.views.triage import render_log_triage

    with ShownProgress() as progress:
        found = triage_logs(files, routes=routes, progress=progress, **given)
    print_result(render_log_triage(found), output, part=part or ("minutes" if output == "csv" else None))
    bad = any(route.failures or not route.deliveries for route in found.routes)
    unknown = not found.is_complete or any(route.rule.startswith("cannot tell") for route in found.routes)
    sys.exit(INCOMPLETE if unknown else DIFFERENCES if bad else DONE)


@triage.command()
@click.argument("places", metavar="[FILE|DIR]...", nargs=-1, type=_PATH)
@config_option
@click.option("--collection", metavar="NAME", help="Read this collection of the configured database.")
@click.option(
    "--since", type=MomentOption(), help="Replay only what came from this UTC time on, or so long ago (90min)."
)
@click.option("--until", type=MomentOption(), help="Replay only what came before this UTC time.")
@click.option("--delivery", "delivery_ids", multiple=True, metavar="ID", help="Replay only this delivery; repeatable.")
@click.option("--out", type=NewFilePath(), help="File to write the replay list to, one JSON object a line.")
@format_option
@part_option
def deliveries(
    *,
    places: tuple[Path, ...],
    config_path: Path | None,
    out: Path | None,
    output: str,
    part: str | None,
    **given: Any,
) -> None:
    """Check deliveries, dead letters and ingress records, and list what to replay.

    Reads NDJSON files, directories or a collection, those of the configuration unless any is named; sends nothing, and
    writes only the list. Signatures are checked over the raw bytes with the secrets in
    RECON_REQUEST_NETWORK_WEBHOOK_SECRET and RECON_SHKEEPER_API_KEY (and the same with _OLD behind it). Leaves with 1
    when something is to be replayed or a signature is wrong, with 4 when a file breaks off.

    \b
    Examples: recon triage deliveries deliveries.ndjson dead-letters/ --since 6h --out replay.ndjson
              recon triage deliveries --collection webhook_deliveries --delivery 01J8Z...
    """
    from recon.api.triage import deliveries as triage_records
    from recon.reports.views.triage import render_delivery_triage

    with ShownProgress() as progress:
        found = triage_records(places, config=config_path, out=out, progress=progress, **given)
    if out is not None:
        note(f"Replay list: {out} ({count_text(len(found.replay), 'delivery', many='deliveries')})")
    print_result(render_delivery_triage(found), output, part=part)
    if not found.is_complete:
        sys.exit(INCOMPLETE)
    wrong = any(not each.is_trusted for each in found.checked)
    sys.exit(DIFFERENCES if found.replay or wrong else DONE)


@triage.command()
@config_option
@click.option("--plan", type=_FILE, help="Plan to count by; the latest of the history unless named.")
@click.option("--access-log", multiple=True, type=_FILE, help="Web server log; repeatable.")
@click.option("--log-format", metavar="FORMAT", help="Format of the log lines, as the server's configuration has it.")
@click.option("--deliveries", multiple=True, type=_PATH, help="Delivery records; repeatable.")
@click.option("--ask", is_flag=True, help="Ask every source and the backend whether they answer, as recon doctor does.")
@format_option
@part_option
def summary(*, config_path: Path | None, output: str, part: str | None, **given: Any) -> None:
    """Put the first ten minutes of an incident on one page.

    Reads the latest plan, logs if named, and delivery records if named or configured; writes nothing. With --ask every
    source and the backend are asked one small question. Facts and guesses stand apart, and what nobody looked at is
    listed with the command that would. Leaves with 1 when there is a guess, with 4 when something could not be read.

    \b
    Example: recon triage summary --ask --access-log nginx/access.log --deliveries deliveries.ndjson
    """
    from recon.api.triage import summary as first_page_of
    from recon.reports.views.triage import render_page

    with ShownProgress() as progress:
        page = first_page_of(config_path, progress=progress, **given)
    print_result(render_page(page), output, part=part)
    sys.exit(INCOMPLETE if not page.is_complete else DIFFERENCES if page.guesses else DONE)
