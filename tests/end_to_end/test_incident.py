"""Incident texts from the command line, on a world with payments inside an incident, before it and on the other rail.

What is right is counted here from the documents and the blocks of the world; the tool's own times are never asked.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from click.testing import CliRunner, Result

import recon
from recon.cli import cli
from recon.core.ids import payment_id_text
from recon.core.registry import load_registry
from recon.core.times import from_ms
from recon.investigation.incident.account import FOR_OUTSIDE, KINDS
from recon.plans.file import load_plan
from recon.simulation import generate_world, write_world
from tests.support.triage_logs import CALLBACK, HOOK, nginx

RN, SK = "request_network", "shkeeper"
BROKEN = ("auto", "review", "never")
STAMP = "%Y-%m-%dT%H:%M:%SZ"
SECRET = "whsec-that-must-not-leave"


@dataclass
class Home:
    """A world with a plan, and the command line in its folder."""

    folder: Path
    plan: dict[str, Any]
    made: dict[str, tuple[datetime, str, str]]
    moved: dict[str, list[datetime]]

    def run(self, *words: str, code: int | None = 0) -> str:
        ran = CliRunner().invoke(cli, [*words, "--config", str(self.folder / "world" / "recon.toml")])
        assert code in (None, ran.exit_code), f"{words}: {ran.exit_code}\n{ran.output}"
        assert SECRET not in ran.output
        return ran.stdout

    def text(self, kind: str, *words: str, code: int | None = 0) -> str:
        return self.run("report", "incident", kind, "--title", "webhooks refused", *words, code=code)

    @property
    def breaks(self) -> list[dict[str, Any]]:
        return [each for each in self.plan["findings"] if each["tier"] in BROKEN]

    def inside(self, rail: str, began: datetime, over: datetime) -> list[dict[str, Any]]:
        """The breaks of a rail that were made in a time or whose money moved in it."""
        return [
            each
            for each in self.breaks
            if each["provider"] == rail
            and any(began <= at < over for at in (self.made_at(each), *self.moved.get(each["payment_id"], ())))
        ]

    def made_at(self, finding: dict[str, Any]) -> datetime:
        """When a payment was made; of an object of a provider that no row knows, the provider's own time."""
        if finding["payment_id"] in self.made:
            return self.made[finding["payment_id"]][0]
        taken = datetime.fromisoformat(self.plan["created_at"].replace("Z", "+00:00"))
        return taken - timedelta(seconds=finding["age_s"])


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())


def rows_of(world: Path) -> dict[str, tuple[datetime, str, str]]:
    """When each payment was made (by its date or its id, whichever is earlier), its rail and its buyer."""
    registry, rows = load_registry(), {}
    for row in read_lines(world / "payments.ndjson"):
        key = row["_id"]
        name = payment_id_text(ObjectId(key["$oid"]) if isinstance(key, dict) and "$oid" in key else key)
        times = [int(key["$oid"][:8], 16) * 1000] if isinstance(key, dict) else []
        if isinstance(dated := row.get("createdAt"), dict):
            times.append(int(dated["$date"]["$numberLong"]))
        buyer = row.get("buyerId")
        rail = registry.provider(str(row.get("provider")))
        rows[name] = (from_ms(min(times)) if times else datetime(1970, 1, 1, tzinfo=UTC), rail, json.dumps(buyer or ""))
    return rows


def moves_of(world: Path, plan: dict[str, Any]) -> dict[str, list[datetime]]:
    """When money of each finding moved, by the blocks of the transactions that it names."""
    times: dict[str, datetime] = {}
    chains = json.loads((world / "world.json").read_text(encoding="utf-8"))["chains"]
    for path in world.glob("chain-*.ndjson"):
        clock = chains[path.stem.removeprefix("chain-")]
        for log in (line["log"] for line in read_lines(path) if "log" in line):
            blocks_ago = clock["head"] - int(log["blockNumber"], 16)
            seen = clock["head_time"] - blocks_ago * clock["block_ms"]
            times[log["transactionHash"]] = from_ms(seen // 1000 * 1000)  # a block's time is a second
    named = re.compile(r"(?:transfer|refund) \d+:(0x[0-9a-f]{64}):")
    return {
        each["payment_id"]: [times[tx] for text in each["evidence"] for tx in named.findall(text) if tx in times]
        for each in plan["findings"]
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("incident")
    write_world(generate_world(payments=400, seed=11), folder / "world")
    out = folder / "world" / "plan-first.json"
    ran = CliRunner().invoke(cli, ["plan", "--config", str(folder / "world" / "recon.toml"), "--out", str(out)])
    assert ran.exit_code == 1, ran.output
    plan = json.loads(out.read_text(encoding="utf-8"))
    return Home(folder, plan, rows_of(folder / "world"), moves_of(folder / "world", plan))


def middle(home: Home) -> tuple[datetime, datetime]:
    """A time in which some payments lie on either rail, with others before it and after."""
    times = sorted(home.made[each["payment_id"]][0] for each in home.breaks if each["payment_id"] in home.made)
    times = [at for at in times if at.year > 2000]
    began = times[len(times) // 2].replace(microsecond=0)
    return began, times[len(times) * 4 // 5].replace(microsecond=0)


def spans(began: datetime, over: datetime) -> tuple[str, ...]:
    return ("--began", began.strftime(STAMP), "--resolved", over.strftime(STAMP))


def figure(label: str, text: str) -> int:
    found = re.search(rf"{label}: ([0-9,]+)", text.split("## Open in the whole plan", maxsplit=1)[0])
    assert found, label
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize("rail", [RN, SK])
def test_every_figure_is_of_the_incidents_rail_and_time(home: Home, rail: str) -> None:
    began, over = middle(home)
    inside = home.inside(rail, began, over)
    assert 0 < len(inside) < len(home.breaks)
    text = home.text("resolution", "--rail", rail, *spans(began, over))
    assert figure("Payments affected", text) == len(inside)
    buyers = {home.made[each["payment_id"]][2] for each in inside if each["payment_id"] in home.made}
    assert figure("Users affected", text) == len(buyers - {'""'})
    made = [at for at, own, _ in home.made.values() if own == rail and began <= at < over]
    assert figure("Payments made on these rails in this time", text) == len(made)
    own, apart = text.split("## Open in the whole plan")
    assert f"{len(home.breaks)}, of them outside this incident {len(home.breaks) - len(inside)} (" in apart
    assert str(len(home.breaks)) not in own
    risk = Counter[str]()
    for each in inside:
        risk[each["symbol"]] += int(each["value"] or 0) * 10 ** (18 - each["decimals"]) if each["value"] else 0
    told = dict(re.findall(r"([\d,.]+) (USD[CT])", own.split("- Money at risk: ")[1].splitlines()[0]))
    assert {symbol: _units(amount) for amount, symbol in ((a, s) for a, s in told.items())} == +risk


def _units(amount: str) -> int:
    whole, _, part = amount.replace(",", "").partition(".")
    return int(whole + part.ljust(18, "0"))


def test_plan_and_snapshot_alone_give_the_same_figures(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a configuration only what it names is lacking, and that is said."""
    snapshot = next((home.folder / "world" / "recon-out").glob("snapshot-*"))
    words = ("--rail", RN, *spans(*middle(home)), "--plan", str(home.folder / "world" / "plan-first.json"))
    with_config = home.text("update", *words)
    monkeypatch.chdir(tmp_path)

    def alone(*line: str) -> tuple[int, str, str]:
        ran = CliRunner().invoke(cli, ["report", "incident", *line, "--title", "webhooks refused"])
        return ran.exit_code, ran.stdout, ran.stderr

    code, text, _ = alone("update", *words, "--snapshot", str(snapshot))
    assert code == 0
    # As of when it was written is the clock here, and in the recorded world the time at which that stands.
    same = [line for line in text.splitlines() if not line.startswith("- As of") and "replayed" not in line]
    assert [line for line in with_config.splitlines() if line in same] == same
    assert "Captured, not credited: not known" not in text
    code, text, _ = alone("post-mortem", *words, "--snapshot", str(snapshot))
    assert (code, "the journals of runs and flags, which the configuration names (--config)" in text) == (4, True)
    assert alone("customer", "--rail", RN, *spans(*middle(home)))[0] == 0, "it counts nothing"
    code, _, said = alone("update", "--rail", RN)
    assert (code, "recon.toml: the file cannot be read" in said) == (2, True), "nobody said what is counted"
    shutil.copy(home.folder / "world" / "plan-first.json", tmp_path / "plan.json")
    shutil.copytree(snapshot, tmp_path / "snapshot")
    assert "Captured, not credited: not known" not in alone("update", *words[:-1], "plan.json")[1], "found beside it"


def test_a_payment_made_before_and_paid_while_it_lasted_is_counted(home: Home) -> None:
    for each in home.breaks:
        at, rail, _ = home.made.get(each["payment_id"], (None, "", ""))
        late = [moved for moved in home.moved.get(each["payment_id"], ()) if at and moved > at + timedelta(seconds=90)]
        if rail == RN and late:
            break
    else:
        pytest.fail("the world has no such payment")
    began = late[0] - timedelta(seconds=20)
    text = home.text("update", "--rail", RN, *spans(began, late[0] + timedelta(seconds=20)), code=None)
    assert re.search(r"\(\d+ made in this time, [1-9]\d* made at another time whose money moved in it", text)


def quiet_time(home: Home) -> datetime:
    """The beginning of 25 minutes in which no payment of Request Network was made and none of its money moved."""
    busy = sorted(
        at
        for name, (made, rail, _) in home.made.items()
        if rail == RN
        for at in (made, *home.moved.get(name, ()))
        if at.year > 2000
    )
    gap = next(early for early, late in pairwise(busy) if late - early > timedelta(minutes=30))
    return (gap + timedelta(minutes=2)).replace(second=0, microsecond=0)


def test_an_incident_in_which_nothing_fell_shows_nothing_but_what_is_open_besides(home: Home) -> None:
    began = quiet_time(home)
    over = began + timedelta(minutes=25)
    log = home.folder / "quiet.log"
    moments = [began + timedelta(seconds=10 * number) for number in range(-120, 240)]
    lines = [nginx(at, HOOK, 404 if began <= at < over else 202) for at in moments]
    log.write_bytes(b"".join([*lines, *(nginx(at, CALLBACK, 202) for at in moments[:5])]))
    text = home.text("resolution", "--access-log", str(log), "--resolved", over.strftime(STAMP))
    assert f"Began: {began:%Y-%m-%d %H:%M:%S} UTC (the first burst of failures in the access logs)" in text
    assert "Rail: request\\_network (the bursts of failures in the access logs)" in text
    for label in ("Payments affected", "Users affected", "Payments made on these rails in this time"):
        assert figure(label, text) == 0
    own, apart = text.split("## Open in the whole plan")
    assert "Money at risk: none" in own
    assert "Captured, not credited: none" in own
    assert "150 of 150 webhooks refused; 0 of 150 accepted (0 %); 150 x 404" in own
    assert "shkeeper" not in own
    assert f"{len(home.breaks)}, of them outside this incident {len(home.breaks)} (" in apart
    page = home.text("post-mortem", "--access-log", str(log), "--resolved", over.strftime(STAMP))
    timeline = page.split("## Timeline (UTC)")[1].split("##")[0]
    for words in ("webhooks begin to fail (150 x 404)", "last minute before it with an accepted webhook",
                  "webhooks are accepted again", "resolved (said by the writer)"):  # fmt: skip
        assert words in timeline, words


def test_two_times_side_by_side_add_up_to_both_together(home: Home) -> None:
    began, over = middle(home)
    cut = began + (over - began) / 2
    parts = [
        home.text("resolution", "--rail", RN, *spans(*ends)) for ends in ((began, cut), (cut, over), (began, over))
    ]
    made = [figure("Payments made on these rails in this time", text) for text in parts]
    affected = [figure("Payments affected", text) for text in parts]
    assert made[0] + made[1] == made[2]
    assert max(affected[:2]) <= affected[2] <= affected[0] + affected[1]


@pytest.mark.parametrize("given", [(), ("--began", "3d"), ("--rail", RN)])
def test_without_rail_or_beginning_nothing_is_counted_as_the_incidents(home: Home, given: tuple[str, ...]) -> None:
    own, apart = home.text("notification", *given).split("## Open in the whole plan")
    assert "Payments affected: not known: nobody has said" in own
    assert str(len(home.breaks)) not in own
    assert "USD" not in own
    assert (
        f"Payments that need attention: {len(home.breaks)}; which of them are this incident's cannot be told" in apart
    )


def test_what_is_known_of_rail_and_time_bounds_the_requests_also_where_the_rest_is_not(
    home: Home, tmp_path: Path
) -> None:
    at = datetime(2026, 11, 20, 9, tzinfo=UTC)
    log = tmp_path / "access.log"
    log.write_bytes(nginx(at, HOOK, 404) * 9 + nginx(at + timedelta(hours=1), HOOK, 202) * 3 + nginx(at, CALLBACK, 202))
    other = home.text("update", "--rail", SK, "--access-log", str(log))
    assert "Requests, shkeeper: 0 of 1 webhooks refused" in other
    assert "Requests, request" not in other
    later = home.text(
        "update", "--began", (at + timedelta(minutes=30)).strftime(STAMP), "--access-log", str(log), code=4
    )
    assert "Requests, request\\_network: 0 of 3 webhooks refused" in later
    assert "Requests, shkeeper: 0 of 0 webhooks refused; cannot tell: the logs end at" in later


def test_a_plan_from_before_it_began_says_nothing_of_it(home: Home, tmp_path: Path) -> None:
    plan = load_plan(home.folder / "world" / "plan-first.json")
    made = datetime.fromisoformat(plan.created_at.replace("Z", "+00:00"))
    text = home.text("update", "--rail", RN, "--began", made.strftime(STAMP), code=4)
    assert "before it began (recon plan)" in text


def test_evidence_that_is_gone_is_told_and_leaves_with_4(home: Home, tmp_path: Path) -> None:
    began, over = middle(home)
    [snapshot] = [path for path in (home.folder / "world" / "recon-out").iterdir() if (path / "manifest.json").exists()]
    away = tmp_path / "away"
    snapshot.rename(away)
    try:
        text = home.text("resolution", "--rail", RN, *spans(began, over), code=4)
        assert "Users affected: not known: the snapshot of a plan is not there" in text
        assert "Captured, not credited: not known" in text
        assert "Cannot tell whether these figures are whole" in text
        named = home.text("resolution", "--rail", RN, *spans(began, over), "--snapshot", str(away))
        assert figure("Users affected", named) > 0
    finally:
        away.rename(snapshot)


def test_texts_change_nothing(home: Home) -> None:
    def held() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(home.folder.rglob("*")) if path.is_file()}

    before = held()
    for kind in KINDS:
        home.text(kind, "--rail", RN, "--began", "2d")
    assert held() == before


def test_no_secret_leaves_by_any_text(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RECON_REQUEST_NETWORK_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("ODD_API_KEY", "p_a*s|s-word-9")
    log = tmp_path / "access.log"
    log.write_bytes(nginx(datetime(2026, 11, 20, 9, tzinfo=UTC), f"{HOOK}?key={SECRET}", 404) * 9)
    shown: set[str] = set()
    for kind in KINDS:
        said = f"rotated {SECRET} and p_a*s|s-word-9 of mongodb://ada:{SECRET}@db"
        names = ("--action", "--open", "--feature", "--effect", "--well", "--root-cause")
        given = [word for name in names for word in (name, f"{name[2:]}: {said}")]
        text = home.text(kind, "--rail", RN, "--began", "2d", *given, "--access-log", str(log), code=None)
        shown |= {name for name in names if f"{name[2:]}: " in text}
        assert "word-9" not in text
        assert "ada:" not in text
    assert shown == set(names), "each of them is said in some text"


def test_the_style_of_the_house_is_a_setting(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.text("notification", "--rail", RN, "--began", "2d").startswith("# SEV 2: ")
    monkeypatch.setenv("RECON_INCIDENT__STYLE", "monero")
    assert home.text("notification", "--rail", RN, "--began", "2d").startswith("# P2: ")


def test_a_repair_shows_in_the_texts_after_it(tmp_path: Path) -> None:
    world = tmp_path / "world"
    write_world(generate_world(payments=120, seed=5), world)
    config = world / "recon.toml"
    first = recon.plan(config=config)
    began = from_ms(min(at.timestamp() for at, _, _ in rows_of(world).values() if at.year > 2000) * 1000)
    given: dict[str, Any] = {"title": "x", "rails": [RN, SK], "began": began, "config": config}
    before = recon.report.incident("update", **given)
    done = recon.apply(_saved(world), digest=first.digest, config=config, share_max=100)
    second = recon.plan(config=config)
    after = recon.report.incident("post-mortem", **given)
    written = sum(row.result == "applied" for row in done.rows)
    assert written > 0
    affected = figure("Payments affected", before)
    assert figure("Payments affected", after) == affected
    left = [each for each in second.findings if each.tier in BROKEN and each.provider in (RN, SK)]
    assert figure("Payments that still need attention", after) == len(left) < affected
    timeline = after.split("## Timeline (UTC)")[1].split("##")[0]
    assert re.search(rf"run \S+ ends, done; payments of this incident: {written} applied", timeline)
    assert "## Before and now" in after


def _saved(world: Path) -> Path:
    return max((world / "recon-out").glob("plan-*.json"), key=lambda path: path.stat().st_mtime_ns)


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def test_options_that_cannot_be_meant_are_refused(home: Home) -> None:
    for words, told in (
        (("--rail", "shkeper"), "There is no provider"),
        (("--event", "we suspect the ingress"), "is no event"),
        (("--resolved", "2026-11-19", "--status", "monitoring", "--began", "2026-11-18"), "leave out one of them"),
        (("--began", "2026-11-19", "--resolved", "2026-11-18"), "cannot begin at"),
        (("--status", "fixed"), "fixed"),
        (("--number", "0"), "0"),
    ):
        ran = run(
            "report",
            "incident",
            "update",
            "--title",
            "x",
            "--config",
            str(home.folder / "world" / "recon.toml"),
            *words,
        )
        assert ran.exit_code == 2, (words, ran.output)
        assert told in ran.output


def test_people_outside_get_nothing_of_what_could_not_be_read_but_the_writer_does(home: Home, tmp_path: Path) -> None:
    log = tmp_path / "half.log"
    start = datetime(2026, 11, 20, 9, tzinfo=UTC)
    log.write_bytes(nginx(start, HOOK, 404) * 9 + f"[20/Nov/2026:09:00:01 +0000] POST {HOOK} and no more\n".encode())
    for kind in FOR_OUTSIDE:
        words = ("report", "incident", kind, "--title", "x", "--access-log", str(log), "--feature", "Paying")
        ran = run(*words, "--config", str(home.folder / "world" / "recon.toml"))
        assert ran.exit_code == 4
        assert "log line" in ran.stderr
        assert "read" not in ran.stdout


@pytest.mark.parametrize(
    ("word", "kind"), [("customers", "customer"), ("handover", "hand-over"), ("Postmortem", "post-mortem")]
)
def test_other_words_for_a_text_are_known(home: Home, word: str, kind: str) -> None:
    assert home.text(word, "--began", "1d") == home.text(kind, "--began", "1d")
