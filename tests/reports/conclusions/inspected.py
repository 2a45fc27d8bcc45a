"""Conclusions about one payment, a backlog, and what a plan of flags and the doctor say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from click.testing import CliRunner

from recon.cli import cli
from recon.core.errors import SourceError
from recon.rails.drain import BacklogReading, DrainError, Watch, watch_drain
from recon.rails.flags.journal import FILE_NAME
from recon.reports.views.inspection import render_inspection
from recon.reports.views.operations import render_drain
from recon.simulation import plant_world, write_world
from recon.simulation.weather import forgotten, gone
from tests.rails.gates.test_judge import RN
from tests.reports.conclusions.flags import DOTENV, SOUND_ENV, env_page
from tests.reports.conclusions.plans import scored
from tests.reports.conclusions.rows import NOW, Conclusion, Home, Make, Page, shown
from tests.support.inspecting import Scene, looked_at, scene


def by_hand(plant: str, change: Callable[[Scene], object] | None = None) -> Make:
    """A payment of Request Network, inspected afresh, after something of its world was taken away."""

    def make(home: Home) -> Page:
        made = scene(plant, rail=RN)
        if change is not None:
            change(made)
        folder = home.folder / f"scene-{plant}-{len(list(home.folder.iterdir()))}"
        return shown(render_inspection(looked_at(made, folder)))

    return make


def rail_gone(made: Scene) -> None:
    made.world = gone(made.world, provider=RN)


def node_forgets(made: Scene) -> None:
    made.world = forgotten(made.world, chain_id=56)


def no_records(made: Scene) -> None:
    made.deliveries = None


def unexplained(change: Callable[[Scene], object] | None = None) -> Make:
    """The same with a payment that no cause fits."""

    def make(home: Home) -> Page:
        made = scene("completed", rail=RN)
        if change is not None:
            change(made)
        found = looked_at(made, home.folder / f"scene-{len(list(home.folder.iterdir()))}")
        return shown(render_inspection(replace(found, causes=())))

    return make


WEATHERS = {"the rail": rail_gone, "a node": node_forgets}
CAUSES = "investigation/payment/causes.py"
SIGNS = "investigation/payment/signs.py"
VIEW = "reports/views/inspection.py"


def drained(*counts: int | SourceError) -> Make:
    def make(_: Home) -> Page:
        left = iter(counts)

        def count() -> BacklogReading:
            if isinstance(each := next(left), SourceError):
                raise each
            return BacklogReading(NOW, each, each)

        try:
            found = watch_drain(RN, count=count, watch=Watch(), sleep=lambda _: None, show=lambda _: None)
        except DrainError as error:
            return Page(f"{error}", 4)
        return shown(render_drain(found))

    return make


def flags_planned(content: bytes, *words: str) -> Make:
    def make(home: Home) -> Page:
        env_page(content)(home)
        given = ["flags", *(words or ("rollback", "--recipe", "read-only", "--no-blast")), "--format", "md"]
        ran = CliRunner().invoke(cli, [*given, "--config", str(home.folder / "flags" / "recon.toml")])
        return Page(ran.output.replace("\\", ""), ran.exit_code)

    return make


def flags_journal(content: str | None) -> Make:
    def make(home: Home) -> Page:
        env_page(DOTENV)(home)
        place = home.folder / "flags" / "recon-out"
        place.mkdir()
        if content is not None:
            (place / FILE_NAME).write_text(content)
        ran = CliRunner().invoke(cli, ["flags", "status", "--config", str(place.parent / "recon.toml")])
        return Page(ran.output, ran.exit_code)

    return make


def evidence_check(*lost: str) -> Make:
    """What the doctor says of the latest plan, with lines of the history lost."""

    def make(home: Home) -> Page:
        folder = home.folder / f"doctor-{len(list(home.folder.iterdir()))}"
        write_world(plant_world("completed"), folder)
        words = ("--config", str(folder / "recon.toml"))
        CliRunner().invoke(cli, ["plan", *words])
        with (folder / "recon-out" / "history.ndjson").open("a") as file:
            file.writelines(lost)
        return Page(CliRunner().invoke(cli, ["doctor", *words, "--format", "md"]).output.replace("\\", ""))

    return make


UNEXPLAINED = unexplained()
LESS_KNOWN = {"the rail": unexplained(rail_gone), "no records": unexplained(no_records)}
INSPECTED = (
    Conclusion(
        "inspect", "Nobody has paid.", "the rail and every chain of the payment were asked", by_hand("abandoned"),
        {name: by_hand("abandoned", change) for name, change in WEATHERS.items()},
        ((CAUSES, "", "Nobody has paid."),
         (SIGNS, "", "the chain was read without a gap since the payment was made and shows no money for it")),
        reason="INCOMPLETE",
    ),
    Conclusion(
        "inspect", "All sides agree.", "the rail and the chain say so", by_hand("completed"),
        {"the rail": by_hand("completed", rail_gone)}, ((CAUSES, "", "All sides agree."),),
    ),
    Conclusion(
        "inspect", "No webhook for it ever came.", "delivery records that reach back", by_hand("webhook_lost"),
        {"absent": by_hand("webhook_lost", no_records)},
        ((CAUSES, "", "No webhook for it ever came."),
         (SIGNS, "", "the delivery records hold nothing of its request, reference, external id or transactions")),
    ),
    Conclusion(
        "inspect", "no cause fits the evidence", "everything was asked", UNEXPLAINED, LESS_KNOWN,
        ((VIEW, "_causes", "no cause fits the evidence"),),
    ),
    Conclusion(
        "inspect", "evidence**: complete", "everything was asked", UNEXPLAINED, LESS_KNOWN,
        ((VIEW, "render_inspection", "complete"),),
    ),
    Conclusion(
        "drain", "the backlog is empty", "a whole count", drained(0),
        {"refused": drained(*[SourceError("the login was refused")] * 3)},
        (("reports/views/operations.py", "", "the backlog is empty"),), reason="nothing is known of it now", codes=(4,),
    ),
    Conclusion(
        "flags rollback", "take new payments now**: none", "a flag file that says so", flags_planned(DOTENV),
        {"the mode": flags_planned(SOUND_ENV.replace(b"live", b"turbo")), "absent": flags_planned(b"A=b\n")},
        (("reports/views/flags.py", "_no_rail", "none"),), codes=(0,),
    ),
    Conclusion(
        "flags status", "no run yet", "the journal of flags", flags_journal(None),
        {"damaged": flags_journal("{}\n{}\n"), "cut": flags_journal('{"format": 1\n{}\n')},
        (("reports/views/flags.py", "_run_table", "no run yet"),), reason="edited or damaged", codes=(3,),
    ),
    Conclusion(
        "doctor", "found its evidence complete", "the history of plans", evidence_check(),
        {"unreadable": evidence_check("{half a line\n"), "changed": evidence_check('{"at": "2099-01-01T00:00:00Z"}\n')},
        (("setup/doctor.py", "_latest_evidence", ") found its evidence complete."),),
    ),
    Conclusion(
        "score", "Taken for something else\n\nnothing.", "something was judged", scored(3), {"absent": scored(0)},
        (("reports/views/score.py", "_confusion_table", "nothing"),),
    ),
    Conclusion(
        "score", "Wrong or missing writes\n\nnone.", "the same", scored(3), {"absent": scored(0)},
        (("reports/views/score.py", "_none", "none"),),
    ),
)  # fmt: skip
