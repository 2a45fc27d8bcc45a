"""``sample``: the manual sample that two people check and sign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from recon.api.common import (
    Config,
    OnSaved,
    Place,
    operator_name,
    path_of,
    place_for,
    saved_unseen,
    settings_of,
    stamp,
)
from recon.api.gates import rail_of
from recon.api.naming import plan_place, snapshot_place

if TYPE_CHECKING:
    from recon.rails.gates.sample import CheckedSign, Sample


def draw(
    provider: str,
    *,
    size: int = 10,
    seed: int = 1,
    plan: Place | None = None,
    snapshot: Place | None = None,
    out: Place | None = None,
    config: Config = None,
    on_saved: OnSaved = saved_unseen,
) -> Sample:
    """Draw a sample spread over verdicts and sizes, and save it; see ``recon sample``.

    Args:
        seed: The same seed draws the same payments.
        plan: Whose judgements are checked; the latest when not given.
        snapshot: The plan's snapshot, for payments in sync; looked for beside the plan when not given.
        out: The sample file; one in the output directory when not given.

    Raises:
        UnknownRailError: There is no such rail.
        NoPlanError, SnapshotMissingError: There is nothing to draw from.
    """
    from recon.rails.gates.sample import make_sample, save_sample
    from recon.setup.open_rails import sample_candidates

    settings = settings_of(config)
    rail, now = rail_of(settings, provider), settings.now()
    source, candidates = sample_candidates(
        settings,
        rail,
        plan_path=None if plan is None else plan_place(plan, config=settings),
        snapshot=None if snapshot is None else Path(snapshot_place(snapshot, config=settings)),
    )
    drawn = make_sample(candidates, provider=rail, size=size, seed=seed, plan=source, now=now)
    path = place_for(out, usual=settings.output_dir / f"sample-{rail}-{stamp(now)}.json")
    save_sample(drawn, path)
    on_saved(path)
    return drawn


def sign(
    path: Place,
    *,
    right: Iterable[str] = (),
    wrong: Iterable[str] = (),
    notes: Mapping[str, str] | None = None,
    key: Place | None = None,
    note_head: bool = False,
    operator: str | None = None,
    config: Config = None,
) -> tuple[Sample, tuple[CheckedSign, ...]]:
    """Record what one person found, for every row of a sample; see ``recon sample sign``.

    Args:
        right: Payments that are judged rightly, or ``all``.
        wrong: Payments that are judged wrongly.
        notes: What was seen, by payment.
        key: The SSH key to sign with; that of the configuration when not given.
        note_head: Ask the database for the journal's end and note it in the sign-off.
        operator: Who looked.

    Returns:
        The sample with all its sign-offs, the new one last.
    """
    from recon.rails.gates.sample import (
        check_sign_offs,
        load_sample,
        seal_sign_off,
        sign_sample,
    )
    from recon.setup.open_decisions import decision_terms
    from recon.setup.open_runs import head_if
    from recon.setup.open_samples import keep_sign_off, sign_offs_of

    place, well = Path(path), tuple(right)
    settings, drawn = settings_of(config), load_sample(place)
    findings = {row.payment_id: "right" for row in drawn.rows if "all" in well}
    findings |= {name: "right" for name in well if name != "all"}
    findings |= dict.fromkeys(wrong, "wrong")
    now, terms = settings.now(), decision_terms(settings, key=path_of(key), head=head_if(settings, note_head))
    signs = check_sign_offs(drawn, sign_offs_of(settings, drawn, path=place), terms=terms, now=now)
    who = operator_name(operator)
    made = sign_sample(drawn, signs, operator=who, findings=findings, notes=notes or {}, now=now)
    sealed = seal_sign_off(made, signs, terms=terms, now=now)
    keep_sign_off(settings, sealed.sign, path=place)
    return drawn, (*signs, sealed)
