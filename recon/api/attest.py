"""``attest``: a signed statement of what was reconciled, and the check of one, offline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon.api.choosing import Moment
from recon.api.common import (
    Config,
    OnSaved,
    Place,
    Say,
    operator_name,
    path_of,
    place_for,
    saved_unseen,
    settings_if_sound,
    settings_of,
    stamp,
    tell,
    time_of_run,
)
from recon.api.naming import NoSuchNameError, plan_by_digest, plan_place, run_named, snapshot_place
from recon.core.errors import UsageError
from recon.sources.interface import no_progress

if TYPE_CHECKING:
    from recon.core.model import Plan
    from recon.core.people import Signer
    from recon.plans.ssh_keys import Signers
    from recon.setup.open_runs import Ledger
    from recon.setup.settings import Settings
    from recon.sources.interface import Progress


class NothingToAttestError(UsageError):
    """Neither a plan, nor a run, nor a window was named, or more than one of them."""

    def __init__(self) -> None:
        super().__init__(
            "Say what the statement is about: a plan or a run, or a window with --from (and --to), and one of them "
            "alone. Nothing was signed."
        )


class NoAttestingKeyError(UsageError):
    """There is no key to sign a statement with."""

    def __init__(self) -> None:
        super().__init__(
            "A statement is signed or it is none: name an SSH key with --key or [approvals] signing_key. Nothing was "
            "written."
        )


class PlanOfRunError(UsageError):
    """The plan that a run applied is not found, or another one was named."""

    def __init__(self, *, run: str, digest: str) -> None:
        super().__init__(
            f"Run {run} applied the plan {digest[:12]}, which is neither named with --plan nor in the run history; "
            "without it nobody can say what was read for it. Nothing was signed."
        )


class NobodyCountsError(UsageError):
    """A statement is to be checked, and nobody says whose key counts."""

    def __init__(self) -> None:
        super().__init__(
            "Say whose signature counts: --public-key FILE, --signers FILE (git's allowed_signers), or [approvals] "
            "allowed_signers. Nothing was checked."
        )


class OtherArtefactError(UsageError):
    """A statement is about another artefact than the one that is held beside it."""

    def __init__(self, *, what: str, stated: str | None, given: str) -> None:
        said = "about none" if stated is None else f"about {stated[:12]}"
        super().__init__(f"The statement is {said}, and the {what} given is {given[:12]}; they do not belong together.")


@dataclass(frozen=True, slots=True)
class Attested:
    """A statement with the file that holds it, and who signed it (None where it was only just made)."""

    statement: Mapping[str, Any]
    path: Path
    signer: Signer | None = None
    held: tuple[str, ...] = ()


def make(
    subject: Place | None = None,
    *,
    from_at: Moment | None = None,
    to_at: Moment | None = None,
    plan: Place | None = None,
    key: Place | None = None,
    out: Place | None = None,
    config: Config = None,
    operator: str | None = None,
    on_saved: OnSaved = saved_unseen,
    progress: Progress = no_progress,
    say: Say = tell,
) -> Attested:
    """Sign a statement of what was reconciled; see ``recon attest``. One file is written, and for a window its plan.

    Args:
        subject: A plan or a run, by path, name or the beginning of either.
        from_at, to_at: Instead: the window to read and judge now; its snapshot and plan are saved as by ``recon plan``.
        plan: The file of the plan that a run applied, where the run history does not know it.
        key: SSH key to sign with, or its public half where an agent has the other; the configured one otherwise.
        out: The file; one in the output directory when not given.

    Raises:
        NothingToAttestError, NoAttestingKeyError, PlanOfRunError: See the classes.
        NoSuchNameError: There is no such plan or run.
        NotSignedError, NoSshKeygenError: It could not be signed.
        SourceError: The journal cannot be read.
    """
    from recon.files import check_free, save_new
    from recon.plans.attestation import attestation_of
    from recon.plans.envelope import seal_attestation
    from recon.setup.open_decisions import signing_key
    from recon.setup.open_runs import clock_of, head_now, open_ledger

    settings = settings_of(config)
    if (subject is None) == (from_at is None):
        raise NothingToAttestError
    signs = signing_key(settings, path_of(key))
    if signs is None:
        raise NoAttestingKeyError
    if out is not None:
        check_free(Path(out))
    if subject is None:
        subject = _judged(settings, from_at=from_at, to_at=to_at, progress=progress, say=say)
    with open_ledger(settings) as ledger:
        now = clock_of(ledger, settings)()
        about, run = _about(subject, settings, ledger, named=plan)
        statement = attestation_of(about, head=head_now(ledger), made_at=now, operator=operator_name(operator), run=run)
    data = seal_attestation(statement, key=signs)
    path = place_for(out, usual=settings.output_dir / f"attestation-{stamp(now)}.json")
    save_new(path, data)
    on_saved(path)
    return Attested(statement, path)


def verify(
    file: Place,
    *,
    public_key: Place | None = None,
    signers: Place | None = None,
    plan: Place | None = None,
    snapshot: Place | None = None,
    config: Config = None,
) -> Attested:
    """Check a statement, offline: that nothing in it was changed, and who signed it; see ``recon attest verify``.

    Args:
        public_key: The public SSH key of who must have signed it.
        signers: Instead: git's file of allowed signers; that of the configuration when neither is given.
        plan, snapshot: Held against the digests in the statement.

    Raises:
        NobodyCountsError: Nobody says whose key counts.
        AttestationError: It was changed, or nobody who counts signed it.
        OtherArtefactError: The plan or the snapshot is another one.
        SignersFileError, PublicKeyError, NoSshKeygenError: Nobody can tell.
    """
    from recon.api.choosing import FileReadError
    from recon.plans.envelope import open_attestation, subject_digest
    from recon.plans.file import load_plan
    from recon.snapshots.sealed import open_snapshot

    path, settings = Path(file), settings_if_sound(config)
    held = []
    if plan is not None:
        held.append(("plan", load_plan(plan_place(plan, config=config)).digest))
    if snapshot is not None:
        held.append(("snapshot", open_snapshot(Path(snapshot_place(snapshot, config=config))).digest))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileReadError(path=str(path), why=error.strerror or "unknown reason") from error
    with _who_counts(settings, public_key=path_of(public_key), signers=path_of(signers)) as counting:
        statement, signer = open_attestation(data, name=path.name, signers=counting, now=time_of_run(settings))
    for what, digest in held:
        if (stated := subject_digest(statement, what)) != digest:
            raise OtherArtefactError(what=what, stated=stated, given=digest)
    return Attested(statement, path, signer, tuple(what for what, _ in held))


def _judged(settings: Settings, *, from_at: Moment | None, to_at: Moment | None, progress: Progress, say: Say) -> Path:
    from recon.api.reconcile import plan_and_save

    return plan_and_save(config=settings, from_at=from_at, to_at=to_at, progress=progress, say=say).path


def _about(
    subject: Place, settings: Settings, ledger: Ledger, *, named: Place | None
) -> tuple[Plan, Mapping[str, Any] | None]:
    """The plan that a statement is about, and what is known of the run, where it is about one."""
    from recon.plans.file import load_plan
    from recon.runs.attested import run_facts
    from recon.runs.states import list_runs, read_run

    given = None if named is None else load_plan(plan_place(named, config=settings))
    try:
        return load_plan(plan_place(subject, config=settings)), None
    except NoSuchNameError as error:
        if error.is_many:
            raise
    run = run_named(str(subject), ledger.journal, what="plan or run")
    state = read_run(ledger.journal, run)
    summary = next(each for each in list_runs(ledger.journal) if each.run == run)
    found = plan_by_digest(state.plan, settings) if given is None else given
    if found is None or found.digest != state.plan:
        raise PlanOfRunError(run=run, digest=state.plan)
    return found, run_facts(state, summary)


@contextmanager
def _who_counts(settings: Settings | None, *, public_key: Path | None, signers: Path | None) -> Iterator[Signers]:
    from recon.plans.envelope import one_key
    from recon.plans.ssh_keys import Signers
    from recon.setup.open_decisions import signers_of

    if public_key is not None:
        with one_key(public_key) as only:
            yield only
        return
    configured = None if settings is None or signers is not None else signers_of(settings)
    counting = Signers(signers) if signers is not None else configured
    if counting is None:
        raise NobodyCountsError
    yield counting
