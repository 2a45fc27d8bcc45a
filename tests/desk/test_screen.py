"""The screen by its keys: filter, facets, sort, group, one payment, marks; at three sizes as it is seen."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from textual.widgets import Input

from recon.cli import cli
from recon.core.canonical import sha256_hex
from recon.core.errors import ConfigError, UsageError
from recon.core.model import FieldView
from recon.desk.app import DeskApp
from recon.desk.desk import Desk, open_desk
from recon.desk.dialogs import KEYS, ChooseDialog
from recon.desk.panes import LineList, TextPane
from recon.desk.screen import DeskScreen
from recon.desk.sheet import sheet_lines
from recon.plans.file import PlanFileError, load_plan, save_plan
from recon.setup.settings import load_settings
from tests.support.plans import a_change, a_finding, a_plan
from tests.support.screens import Seat, a_review_plan, sit_down

SCREENS = Path(__file__).parent / "screens"
SIZES = ((80, 24), (120, 40), (200, 50))


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return a_review_plan(tmp_path)


def ids(*numbers: int) -> list[str]:
    return [f"{0x665F1C2E9B1D8A0000000000 + number:024x}" for number in numbers]


# Filter, facets, sort and group


def test_the_list_follows_the_filter_while_it_is_typed(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        assert len(seat.shown) == 24
        await seat.press("slash")
        await seat.type("tier:review")
        assert len(seat.shown) == 6
        await seat.press("enter")
        assert seat.app.focused is seat.app.screen.query_one("#list")
        assert "6 of 24" in seat.text

    sit_down(do, plan=plan)


def test_a_word_that_is_not_known_is_told_and_the_list_stays(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.press("slash")
        await seat.type("tier:revew")
        assert "did you mean review?" in seat.said
        assert len(seat.shown) == 24
        await seat.press("enter")
        assert seat.app.focused is seat.app.screen.query_one("#filter"), "it is not left with a wrong word"
        seat.screen.action_mark_all()
        assert "The filter does not say what is shown" in seat.said and seat.desk.draft.marks.kinds() == {}
        await seat.press("backspace", "backspace")
        await seat.type("iew")
        assert seat.said == "" and len(seat.shown) == 6
        await seat.press("escape")
        assert seat.app.focused is seat.app.screen.query_one("#list")
        assert len(seat.shown) == 24, "escape leaves the filter as it was entered"

    sit_down(do, plan=plan)


def test_facets_put_words_into_the_filter_and_take_them_out(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.press("f")
        assert "[ ] local_behind                   12" in seat.text
        await seat.press("enter")
        assert seat.app.screen.query_one("#filter", Input).value == "verdict:local_behind"
        assert len(seat.shown) == 12
        await seat.press("f", "down", "enter")
        assert seat.app.screen.query_one("#filter", Input).value == "verdict:local_behind,late_payment"
        await seat.press("f")
        assert "[x] local_behind" in seat.text
        await seat.press("enter", "f", "escape")
        assert len(seat.shown) == 6

    sit_down(do, plan=plan)


def test_the_order_and_the_groups_are_chosen(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        usual = seat.shown
        await seat.press("s", "down", "down", "enter")  # age
        assert seat.shown == ids(*range(23, -1, -1))
        await seat.press("S")
        assert seat.shown == ids(*range(24))
        assert "by age, turned round" in seat.text
        await seat.press("S", "s", "home", "enter", "g", "down", "enter")
        assert seat.shown == usual
        assert "can be put right: 12 rows, 97.50 USDC" in seat.text
        assert "grouped by standing" in seat.text
        await seat.press("home", "up")
        assert seat.screen.row is not None, "the cursor never stands on a heading"

    sit_down(do, plan=plan)


def test_the_view_is_there_again_when_the_plan_is_opened_again(plan: Path) -> None:
    async def first(seat: Seat) -> None:
        await seat.press("slash")
        await seat.type("tier:review")
        await seat.press("enter", "down", "down", "s", "down", "enter", "q")

    async def second(seat: Seat) -> None:
        assert "6 of 24, by amount" in seat.text
        assert seat.app.screen.query_one("#filter", Input).value == "tier:review"

    sit_down(first, plan=plan)
    sit_down(second, plan=plan)


# One payment


def test_a_narrow_screen_opens_the_payment_over_the_list(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        first = seat.shown[0]
        await seat.press("enter")
        assert f"Payment {first}" in seat.text and "filter" in seat.text
        assert not seat.screen.query_one("#list-side").display
        await seat.press("n")
        assert f"Payment {seat.shown[1]}" in seat.text
        await seat.press("N", "end")
        assert "Commands" in seat.text and "recon inspect" in seat.text
        await seat.press("space")
        assert seat.desk.draft.marks.kinds() == {first: "apply"}
        await seat.press("escape")
        assert seat.screen.query_one("#list-side").display
        assert seat.app.focused is seat.screen.query_one("#list")

    sit_down(do, plan=plan)


def test_a_wide_screen_shows_the_payment_of_the_cursor_beside_the_list(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        assert f"Payment {seat.shown[0]}" in seat.text
        await seat.press("down")
        assert f"Payment {seat.shown[1]}" in seat.text
        await seat.press("enter", "j", "j")
        pane = seat.screen.query_one("#sheet", TextPane)
        assert seat.app.focused is pane
        await seat.press("escape")
        assert seat.app.focused is seat.screen.query_one("#list")
        await seat.press("escape")
        assert not pane.display
        await seat.pilot.resize_terminal(80, 24)
        await seat.press("enter")
        assert pane.display and not seat.screen.query_one("#list-side").display

    sit_down(do, plan=plan, size=(120, 40))


# Marks


def test_marks_are_set_undone_and_saved_at_once(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        order = seat.shown
        await seat.press("space", "space", "i", "up", "x")
        assert seat.desk.draft.marks.kinds() == {order[0]: "apply", order[1]: "apply"}
        assert "To apply: 2 rows (limit 500)" in seat.text
        await seat.press("u")
        assert seat.desk.draft.marks.kinds()[order[2]] == "inspect"
        assert seat.said == "Undone: take the mark of 1 row away."
        await seat.press("U", "u", "u", "u")
        assert seat.desk.draft.marks.kinds() == {order[0]: "apply"}
        await seat.press("u", "u")
        assert seat.said == "There is no such step."
        await seat.press("U")
        assert seat.desk.draft.marks.kinds() == {order[0]: "apply"}
        # The connection is lost here: nobody leaves by q.

    async def again(seat: Seat) -> None:
        assert list(seat.desk.draft.marks.kinds().values()) == ["apply"]
        assert seat.text.splitlines()[3].startswith("A")
        await seat.press("u")
        assert seat.desk.draft.marks.kinds() == {}

    sit_down(do, plan=plan)
    sit_down(again, plan=plan)


def test_all_that_is_shown_is_marked_and_unmarked_as_one_step(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.press("asterisk")
        assert len(seat.desk.draft.marks.kinds()) == 18
        assert "6 without a change left as they are" in seat.said
        await seat.press("asterisk")
        assert seat.desk.draft.marks.kinds() == {}
        await seat.press("u")
        assert len(seat.desk.draft.marks.kinds()) == 18

    sit_down(do, plan=plan)


def test_what_the_plan_does_not_change_cannot_be_marked_for_apply(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.press("end", "space")
        assert "the plan changes nothing of it" in seat.said
        await seat.press("c")
        assert "it is no break" in seat.said
        assert seat.desk.draft.marks.kinds() == {}

    sit_down(do, plan=plan)


def test_an_acceptance_needs_a_time_and_a_reason(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.press("c", "enter")
        assert "needs a reason" in seat.refused
        await seat.type("agreed")
        seat.fill("until", "next week")
        await seat.press("enter")
        assert "'next week' is no time" in seat.refused
        seat.fill("until", "2026-12-01")
        await seat.press("enter")
        [mark] = seat.desk.draft.marks.by_payment.values()
        assert (mark.kind, mark.until, mark.reason) == ("ack", "2026-12-01T00:00:00.000Z", "agreed")
        assert seat.text.splitlines()[3].startswith("K")
        assert "accept 1" in seat.text
        await seat.press("down", "c", "escape")
        assert len(seat.desk.draft.marks.by_payment) == 1

    sit_down(do, plan=plan)


def test_what_is_picked_is_marked_at_once_and_let_go(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.press("v", "down", "v")
        assert [line[0] for line in seat.text.splitlines()[3:7]] == ["+", " ", "+", " "]
        assert "picked 2, for space, c, i or x" in seat.text
        first, third = (seat.screen.lines[place].payment_id for place in (0, 2))  # type: ignore[union-attr]
        await seat.press("i")
        assert seat.desk.draft.marks.kinds() == {first: "inspect", third: "inspect"}
        assert "picked" not in seat.text
        await seat.press("home", "V", "space")
        assert "6 without a change left as they are" in seat.said
        assert sorted(set(seat.desk.draft.marks.kinds().values())) == ["apply"]
        await seat.press("V", "escape")
        assert seat.screen.picked == set(), "escape lets go"
        await seat.press("V", "V", "home", "v", "x")
        assert first not in seat.desk.draft.marks.kinds()

    sit_down(do, plan=plan)


def test_the_rest_of_opening_begins_once_the_list_is_drawn(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    original = Desk.finish

    def finish(desk: Desk) -> None:
        seen.append(desk.check is not None and desk._known is None)
        original(desk)

    monkeypatch.setattr(Desk, "finish", finish)

    async def do(seat: Seat) -> None:
        assert seen == [True], "and neither names nor explorers were looked up before"
        assert seat.desk.check is None

    sit_down(do, plan=plan)


# Mouse, clipboard, keys


def test_a_click_moves_the_cursor_and_a_second_one_opens(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.pilot.click("#list", offset=(5, 4))
        await seat.settle()
        assert seat.screen.row is not None and seat.screen.row.payment_id == seat.shown[4]
        await seat.pilot.click("#list", offset=(5, 4))
        await seat.settle()
        assert f"Payment {seat.shown[4]}" in seat.text
        await seat.press("escape", "f")
        assert isinstance(seat.app.screen, ChooseDialog)
        await seat.pilot.click("#dialog-list", offset=(8, 2))
        await seat.pilot.click("#dialog-list", offset=(8, 2))
        await seat.settle()
        assert len(seat.shown) == 6, "late_payment was chosen"

    sit_down(do, plan=plan)


def test_every_key_is_told_and_the_id_is_copied(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        await seat.press("question_mark")
        for keys in KEYS:
            assert keys in seat.text
        await seat.press("escape", "y")
        assert seat.app.clipboard == seat.shown[0]
        assert seat.said == f"Copied {seat.shown[0]}."

    sit_down(do, plan=plan, size=(120, 40))


def test_the_list_goes_by_pages_and_to_its_ends(plan: Path) -> None:
    async def do(seat: Seat) -> None:
        listed = seat.screen.query_one("#list", LineList)
        await seat.press("pagedown")
        assert listed.cursor > 10
        await seat.press("end", "j", "down")
        assert listed.cursor == 23
        await seat.press("pageup", "home", "k", "up")
        assert listed.cursor == 0
        await seat.press("slash")
        await seat.type("nothing-of-the-kind")
        await seat.press("enter", "down", "space", "enter", "i", "x", "c", "I", "y", "escape", "asterisk")
        assert seat.shown == [] and seat.desk.draft.marks.kinds() == {}

    sit_down(do, plan=plan)


# What is seen


@pytest.mark.parametrize(
    "evil", ["\x1b[2J", "[bold red]x[/bold red]", "[/]", "[@click=app.exit()]x[/]", "\u202eabc", "a\nb"]
)
def test_hostile_text_never_reaches_the_screen_as_markup(tmp_path: Path, evil: str) -> None:
    payment = f'"{evil}"'
    finding = a_finding(
        payment_id=payment, reason=evil, provider=evil, symbol=evil, evidence=(evil,),
        fields=(FieldView("amount", evil, evil, "5"),),
    )  # fmt: skip
    made = a_plan(findings=(finding,), changes=(a_change(payment_id=payment, symbol=evil, side_effects=(evil,)),))
    save_plan(made, tmp_path / "plan.json")

    async def do(seat: Seat) -> None:
        for keys in (("down",), ("f",), ("escape", "g", "end", "enter"), ("space",), ("w",), ("escape", "u", "a")):
            await seat.press(*keys)
            assert "\x1b" not in seat.text and "\u202e" not in seat.text
        await seat.press("escape")
        if "[" in evil and "\x1b" not in evil:
            assert evil[:5] in seat.text, "brackets are shown, not read"

    sit_down(do, plan=tmp_path / "plan.json", size=(200, 50))


def test_without_colours_every_mark_is_still_a_letter(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def do(seat: Seat) -> None:
        await seat.press("space")
        assert seat.text.splitlines()[3].startswith("A ")
        for strip in seat.app.screen._compositor.render_strips():
            for segment in strip.apply_filter(seat.app._filters[0], seat.app.background_colors[0]):
                colour = segment.style.color if segment.style else None
                triplet = colour.triplet if colour else None
                assert triplet is None or len(set(triplet)) == 1, segment

    sit_down(do, plan=plan)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_screens_are_as_they_were(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Kept as text in ``screens/``; ``--update-golden`` writes them anew."""
    monkeypatch.chdir(tmp_path)
    a_review_plan(Path())
    seen: dict[str, str] = {}

    async def do(seat: Seat) -> None:
        seen["list"] = seat.text
        await seat.press("space", "space", "down", "i", "up")
        seen["marked"] = seat.text
        await seat.press("enter")
        seen["payment"] = seat.text
        await seat.press("escape", "f")
        seen["facets"] = seat.text
        await seat.press("escape", "g", "down", "enter")
        seen["grouped"] = seat.text
        await seat.press("w")
        seen["write"] = seat.text
        await seat.press("escape", "question_mark")
        seen["keys"] = seat.text

    sit_down(do, plan=Path("plan.json"), size=size)
    for name, text in seen.items():
        assert all(len(line) <= size[0] for line in text.splitlines())
        path = SCREENS / f"{name}-{size[0]}x{size[1]}.txt"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), name


# How it begins and ends


def test_a_plan_that_was_spelled_anew_is_refused_though_its_digest_fits(plan: Path) -> None:
    data = plan.read_bytes()
    digest = load_plan(plan).digest.encode()
    bare = data.replace(digest, b"", 1).replace(b'"kind":"correction"', b'"kind": "correction"', 1)
    plan.write_bytes(bare.replace(b'"digest":""', b'"digest":"%b"' % sha256_hex(bare).encode(), 1))
    desk = open_desk(plan)

    async def run() -> BaseException | None:
        app = DeskApp(desk)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await app.workers.wait_for_complete()
            await pilot.pause()
        return app.ended_by

    ended = asyncio.run(run())
    assert isinstance(ended, PlanFileError) and "changed after it was made" in str(ended)


def test_a_configuration_that_cannot_be_read_ends_the_review(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "recon.toml").write_text("[limits]\nchanges_max = 'many'\n")

    async def run() -> BaseException | None:
        app = DeskApp(open_desk(plan, config=tmp_path / "recon.toml"))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            await app.workers.wait_for_complete()
            await pilot.pause()
        return app.ended_by

    assert isinstance(asyncio.run(run()), ConfigError)


def test_the_limits_and_explorers_of_the_configuration_count(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "recon.toml").write_text(
        '[limits]\nchanges_max = 3\n[explorers]\n56 = "https://scan.example/"\nethereum = "https://eth.example"\n'
    )

    async def do(seat: Seat) -> None:
        await seat.press("asterisk")
        assert "18 rows (limit 3)" in seat.text and "OVER A LIMIT: The limit on rows is 3" in seat.text
        row = seat.screen.row
        assert row is not None
        links = [line.text.strip() for line in sheet_lines(row, seat.desk.facts) if "/tx/" in line.text]
        assert links and all(
            link.startswith(("https://scan.example/tx/0x", "https://eth.example/tx/0x")) for link in links
        )

    sit_down(do, plan=plan, config=tmp_path / "recon.toml", size=(200, 50))


@pytest.mark.parametrize("text", ['nowhere = "https://x.example"', '56 = "javascript:alert(1)"', '56 = "https://a b"'])
def test_an_explorer_that_cannot_be_one_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "recon.toml").write_text(f"[explorers]\n{text}\n")
    with pytest.raises(ConfigError):
        load_settings(tmp_path / "recon.toml").registry()


def test_what_is_no_plan_is_refused_by_name(plan: Path, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "history.ndjson"):
        with pytest.raises(UsageError, match="is no plan"):
            open_desk(path)
    with pytest.raises(PlanFileError, match="cannot be read"):
        open_desk(tmp_path / "nothing.json")


def test_off_a_terminal_and_without_textual_one_sentence_says_what_to_do(
    plan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = CliRunner().invoke(cli, ["review", str(plan)], prog_name="recon")
    assert result.exit_code == 2 and "needs a terminal" in result.stderr
    monkeypatch.setitem(sys.modules, "textual", None)
    result = CliRunner().invoke(cli, ["review", str(plan)], prog_name="recon")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1 and "pip install 'recon-toolkit[review]'" in result.stderr


def test_what_nobody_foresaw_ends_without_a_traceback_of_payments(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeskScreen, "action_turn", lambda _self: 1 / 0)

    async def run() -> DeskApp:
        app = DeskApp(open_desk(plan))
        with pytest.raises(ZeroDivisionError):
            async with app.run_test(size=(80, 24)) as pilot:
                await pilot.pause()
                await app.workers.wait_for_complete()
                await pilot.press("S")
                await pilot.pause()
        return app

    app = asyncio.run(run())
    assert isinstance(app.ended_by, ZeroDivisionError)
    assert app._exit_renderables == [], "Textual would print every payment that it holds"
