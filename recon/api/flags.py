"""``flags``: look at the provider flags, roll a rail back, take it back, enable it again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon.api.common import (
    Config,
    OnSaved,
    Place,
    Say,
    operator_name,
    path_of,
    place_for,
    saved_unseen,
    settings_of,
    stamp,
    tell,
)
from recon.api.gates import judged
from recon.api.naming import flag_plan_place, flag_run_named, plan_of
from recon.sources.interface import no_progress
from recon.sources.providers.installed import first_provider

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from recon.core.model import Plan
    from recon.rails.flags.apply import FlagRun
    from recon.rails.flags.journal import FlagEntry
    from recon.rails.flags.plan import FlagPlan
    from recon.rails.flags.recipes import Recipe, Roles
    from recon.rails.flags.status import FlagStatus
    from recon.setup.settings import Settings
    from recon.sources.interface import Progress


@dataclass(frozen=True, slots=True)
class FlagsSeen:
    """The flags as they stand.

    Args:
        place: The file they are in.
        notes: What there is to know about that file.
        looked: The places that were looked at, in order.
        where: The place that sets each flag, by its name.
        entries: The journal of flags.
    """

    status: FlagStatus
    place: Path
    notes: tuple[str, ...]
    entries: Sequence[FlagEntry]
    looked: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FlagPatch:
    """The change of a Compose file or a manifest, which recon never writes; the patch is empty when all is so already.

    Args:
        place: The file to patch.
        notes: What there is to know about it.
    """

    patch: str
    place: str
    notes: tuple[str, ...]


def status(config: Config = None) -> FlagsSeen:
    """What is set, what it means together, and what contradicts; see ``recon flags status``.

    Raises:
        NoFlagFileError: None is configured.
    """
    from recon.rails.flags.journal import FILE_NAME, FlagJournal
    from recon.setup.open_rails import flag_path, flag_status_or_doubt

    settings = settings_of(config)
    found, reading = flag_status_or_doubt(settings)
    names = {view.flag for view in found.flags}
    return FlagsSeen(
        found,
        flag_path(settings),
        tuple(reading.notes),
        FlagJournal(settings.output_dir / FILE_NAME).read(),
        looked=reading.looked,
        where={flag: each.where for flag, each in reading.said.items() if flag in names},
    )


def rollback(
    config: Config = None,
    *,
    recipe: str,
    sick: str = first_provider(),
    safe: str | None = None,
    plan: Plan | Place | None = None,
    no_blast: bool = False,
    out: Place | None = None,
    key: Place | None = None,
    operator: str | None = None,
    on_saved: OnSaved = saved_unseen,
    say: Say = tell,
) -> FlagPlan | FlagPatch:
    """Plan how new payments stop on a rail, and what that hits; see ``recon flags rollback``.

    A plan is saved; a patch, for flags in a file that recon does not write, is not.

    Args:
        recipe: ``incident``, ``migration``, ``merged``, ``cutoff``, ``read-only`` or one of the configuration.
        sick: The rail that misbehaves.
        safe: The rail payments go to; the other of the two when not given.
        plan: A plan of corrections that says what is not credited.
        no_blast: Do not read the database to measure what the switch hits.
        out: The plan file; one in the output directory when not given.
        key: The SSH key that its author signs with; that of the configuration when not given.

    Raises:
        RecipeError: The recipe or a rail is not known.
        RailDownError: The rail that payments would go to is down.
    """
    from recon.rails.flags.recipes import find_recipe, roles_for
    from recon.setup.open_rails import flag_home, flag_patch, flag_setup, measure_blast

    settings = settings_of(config)
    setup = flag_setup(settings)
    chosen, roles = find_recipe(recipe, setup.recipes), roles_for(sick, words=setup.words, safe=safe)
    if flag_home(settings).real_kind() != "dotenv":
        return FlagPatch(*flag_patch(settings, chosen, roles=roles))
    request: dict[str, Any] = {"now": settings.now()}
    if not no_blast:
        evidence = None if plan is None else plan_of(plan, config=settings)
        request["blast"], problem = measure_blast(settings, roles.sick, now=request["now"], plan=evidence)
        if problem:
            say(f"The blast radius was not measured: {problem}")
    made = _planned(settings, chosen, roles, request={**request, "author": operator_name(operator)})
    return _saved(settings, made, out=out, key=key, on_saved=on_saved)


def enable(
    provider: str,
    *,
    config: Config = None,
    plan: Plan | Place | None = None,
    deliveries: Place | None = None,
    sample: Place | None = None,
    out: Place | None = None,
    key: Place | None = None,
    operator: str | None = None,
    on_saved: OnSaved = saved_unseen,
) -> FlagPlan:
    """Plan that a rail takes new payments again; see ``recon flags enable``.

    The plan is saved also while gates fail: ``blocked_by`` names them, and only its own phrase and a reason apply it.

    Args:
        plan: A plan of corrections to judge by; the latest when not given.
        deliveries: A file of webhook delivery records.
        sample: The signed manual sample.
        out: The plan file; one in the output directory when not given.
        key: The SSH key that its author signs with; that of the configuration when not given.

    Raises:
        RecipeError: The provider is no rail that is known.
    """
    from recon.rails.flags.recipes import ENABLE, roles_for
    from recon.reports.views.gates import gates_as_json
    from recon.setup.open_rails import flag_setup

    settings = settings_of(config)
    setup, now = flag_setup(settings), settings.now()
    other = roles_for(provider, words=setup.words)
    roles = replace(other, sick=other.safe, safe=other.sick)
    report = judged(settings, roles.safe, question="enable", plan=plan, deliveries=deliveries, sample=sample)
    request: dict[str, Any] = {"gates": gates_as_json(report), "kind": "enable", "now": now}
    request |= {"author": operator_name(operator), **_sample_named(sample)}
    return _saved(settings, _planned(settings, ENABLE, roles, request=request), out=out, key=key, on_saved=on_saved)


def _sample_named(sample: Place | None) -> dict[str, str]:
    from recon.rails.gates.sample import load_sample

    if sample is None:
        return {}
    return {"sample": str(Path(sample).absolute()), "sample_digest": load_sample(Path(sample)).digest}


def apply(
    plan: FlagPlan | Place,
    *,
    digest: str,
    restart: bool = False,
    override: str = "",
    reason: str = "",
    key: Place | None = None,
    config: Config = None,
    operator: str | None = None,
    progress: Progress = no_progress,
) -> FlagRun:
    """Write exactly the reviewed flags, and look whether they are there; see ``recon flags apply``.

    Args:
        digest: The digest that the reviewer saw, whole; any other plan is refused.
        restart: Run the restart command of the configuration afterwards.
        override, reason: The plan's own phrase and why, when its gates did not pass.
        key: The SSH key that who applies signs with; that of the configuration when not given.
        progress: Hears of ``steps``.
    """
    from recon.rails.flags.apply import Consent, apply_flag_plan
    from recon.rails.flags.plan import load_flag_plan
    from recon.setup.open_rails import open_flags

    settings = settings_of(config)
    reviewed = load_flag_plan(flag_plan_place(plan, config=settings)) if isinstance(plan, str | Path) else plan
    consent = Consent(by=operator_name(operator), digest=digest, restart=restart, override=override, reason=reason)
    ports = replace(open_flags(settings, key=path_of(key)), progress=progress)
    return apply_flag_plan(reviewed, ports, consent=consent, now=settings.now())


def undo(
    run: str,
    *,
    config: Config = None,
    out: Place | None = None,
    key: Place | None = None,
    operator: str | None = None,
    on_saved: OnSaved = saved_unseen,
) -> FlagPlan:
    """Plan the way back from a run of flags, byte for byte; see ``recon flags undo``. The plan is saved."""
    from recon.rails.flags.apply import undo_flag_run
    from recon.rails.flags.plan import Request
    from recon.setup.open_rails import open_flags

    settings = settings_of(config)
    request = Request(now=settings.now(), author=operator_name(operator))
    ports = open_flags(settings)
    made = undo_flag_run(flag_run_named(run, ports.journal), ports, request=request)
    return _saved(settings, made, out=out, key=key, on_saved=on_saved)


def _planned(settings: Settings, recipe: Recipe, roles: Roles, *, request: dict[str, Any]) -> FlagPlan:
    from recon.rails.flags.plan import Request, plan_recipe
    from recon.setup.open_rails import open_flags

    ports = open_flags(settings)
    return plan_recipe(
        recipe, roles, seen=ports.place.read(), setup=ports.setup, prober=ports.prober, request=Request(**request)
    )


def _saved(settings: Settings, plan: FlagPlan, *, out: Place | None, key: Place | None, on_saved: OnSaved) -> FlagPlan:
    from recon.rails.flags.plan import save_flag_plan
    from recon.rails.flags.standing import subject_of
    from recon.setup.open_decisions import open_decisions

    usual = settings.output_dir / f"flags-{plan.kind}-{stamp(settings.now())}.json"
    path = place_for(out, usual=usual)
    save_flag_plan(plan, path)
    open_decisions(settings, key=path_of(key)).note_author(subject_of(plan), who=plan.author, at=settings.now())
    on_saved(path)
    return plan
