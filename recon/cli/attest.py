"""``recon attest``: a signed statement of what was reconciled, and the check of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from recon.cli.common import (
    MomentOption,
    NewFilePath,
    config_option,
    format_option,
    note,
    part_option,
    print_result,
    sign_option,
)
from recon.cli.progress import ShownProgress

_FILE = click.Path(path_type=Path, dir_okay=False)


class AttestGroup(click.Group):
    """A group whose first command is meant where none is named: ``attest PLAN`` is ``attest make PLAN``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the first command before what names none."""
        if args and args[0] not in (*self.commands, "--help"):
            args = ["make", *args]
        return super().parse_args(ctx, args)


@click.group(cls=AttestGroup)
def attest() -> None:
    """Sign a statement of what was reconciled; check one.

    "recon attest PLAN" is "recon attest make PLAN". A statement names the plan, the snapshot and the journal's end by
    their digests, and says what was read, on which premises, and the results by verdict with their sums; it holds no
    payment by name. It is an in-toto statement in a DSSE envelope, signed with an SSH key.

    \b
    Examples: recon attest latest --key ~/.ssh/id_ed25519
              recon attest verify november.json --public-key ada.pub
    """


@attest.command()
@click.argument("subject", metavar="PLAN|RUN", required=False)
@config_option
@click.option("--from", "from_at", type=MomentOption(), help="Instead: start of the window to judge now, or 24h ago.")
@click.option("--to", "to_at", type=MomentOption(), help="With --from: end of the window, excluded.")
@click.option("--plan", "plan_path", type=_FILE, help="Plan file of the run, where the run history does not know it.")
@sign_option
@click.option("--out", type=NewFilePath(), help="File to write; one in the output directory unless named.")
@format_option
@part_option
def make(
    *,
    subject: str | None,
    config_path: Path | None,
    plan_path: Path | None,
    output: str,
    part: str | None,
    **given: Any,
) -> None:
    """Sign a statement about a plan, a run, or a window.

    Reads the plan and the journal; with --from it reads and judges the window first, as "recon plan" does, and the
    statement is about that plan. Writes one file. Leaves with 4 when the journal cannot be read.

    \b
    Examples: recon attest latest --key ~/.ssh/id_ed25519
              recon attest 20261120T120000Z-ada-1 --out november.json
              recon attest make --from 2026-11-01 --to 2026-12-01
    """
    from recon.api.attest import make as sign_one
    from recon.reports.views.attestation import render_attestation

    with ShownProgress() as progress:
        made = sign_one(subject, config=config_path, plan=plan_path, progress=progress, say=progress.note, **given)
    note(f"Attestation: {made.path}")
    print_result(render_attestation(made.statement, path=str(made.path)), output, part=part)


@attest.command()
@click.argument("path", metavar="FILE", type=_FILE)
@config_option
@click.option("--public-key", type=_FILE, help="Public SSH key of who must have signed it.")
@click.option("--signers", type=_FILE, help="File of allowed signers; [approvals] allowed_signers unless named.")
@click.option("--plan", "plan_path", type=_FILE, help="Plan that the statement must be about.")
@click.option("--snapshot", "snapshot_path", type=click.Path(path_type=Path), help="Snapshot that it must be about.")
@format_option
@part_option
def verify(
    *,
    path: Path,
    config_path: Path | None,
    plan_path: Path | None,
    snapshot_path: Path | None,
    output: str,
    part: str | None,
    **given: Any,
) -> None:
    """Check a statement, offline: nothing in it was changed, and who signed it.

    Reads the file and whose keys count, and nothing else; OpenSSH checks the signature. A changed byte anywhere is
    refused with what is wrong. Leaves with 3 when it proves nothing.

    \b
    Examples: recon attest verify november.json --public-key ada.pub
              recon attest verify november.json --signers allowed_signers --plan plan.json
    """
    from recon.api.attest import verify as check_one
    from recon.reports.views.attestation import render_attestation

    found = check_one(path, config=config_path, plan=plan_path, snapshot=snapshot_path, **given)
    report = render_attestation(found.statement, path=str(found.path), signer=found.signer, held=found.held)
    print_result(report, output, part=part)
