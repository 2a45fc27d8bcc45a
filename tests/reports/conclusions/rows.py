"""What a row of the table of conclusions is, and where its pages come from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner

from recon.cli import cli
from recon.reports import render_report
from recon.reports.model import Report
from recon.simulation import plant_world, write_world
from recon.simulation.weather import gone
from tests.support.conclusions import Sentence

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CANNOT = re.compile(
    r"cannot tell|cannot be told|(not|nothing is) known|not measur|incomplete|could not (all )?be read|not read",
    re.IGNORECASE,
)
"""The words for what nobody can tell."""
REFUSED = 3


@dataclass(frozen=True)
class Page:
    """A page as it is read, and the code that its command leaves with; None for a page without a command."""

    text: str
    code: int | None = None


@dataclass
class Home:
    """A folder with two recorded worlds of one sound payment: one can be read whole, in the other a rail is gone."""

    folder: Path
    made: dict[str, Path] = field(default_factory=dict)
    pages: dict[Callable[[Home], Page], Page] = field(default_factory=dict)

    def page(self, make: Callable[[Home], Page]) -> Page:
        """A page, made once."""
        if make not in self.pages:
            self.pages[make] = make(self)
        return self.pages[make]

    def world(self, name: str = "whole") -> Path:
        if name not in self.made:
            place, world = self.folder / name, plant_world("completed")
            write_world(world if name != "gone" else gone(world, provider="request_network"), place)
            self.made[name] = place
        return self.made[name] / "recon.toml"

    def command(self, *words: str, world: str = "whole") -> Page:
        ran = CliRunner().invoke(cli, [*words, "--config", str(self.world(world))])
        assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
        return Page(ran.output, ran.exit_code)

    def file(self, name: str, content: bytes | str) -> str:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)


Make = Callable[[Home], Page]


@dataclass(frozen=True)
class Conclusion:
    """One row of the table.

    Args:
        page, says, rests_on: Which page, the words, and the evidence in words.
        whole: The page with the evidence.
        without: The page without it, by how it was taken away.
        stands: Where in the code the words stand.
        reason: What the page without it has to say besides that it cannot tell.
        codes: What a command may leave with then.
    """

    page: str
    says: str
    rests_on: str
    whole: Make
    without: Mapping[str, Make]
    stands: tuple[Sentence, ...] = ()
    reason: str = ""
    codes: tuple[int | None, ...] = (None, 4)


def shown(report: Report) -> Page:
    """A report as Markdown, with the signs that hide its markup taken away."""
    return Page(render_report(report, output="md").replace("\\", ""))
