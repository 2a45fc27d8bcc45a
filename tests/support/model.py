"""Spin and the model of apply: compile it once, go through it whole, and read the events of a counter-trace.

The model is ``tests/runs/model/apply.pml``. Breadth first gives the shortest trace to a broken claim; depth first takes
less time and memory where nothing is broken.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import MissingProgramError

MODEL = Path(__file__).parent.parent / "runs" / "model" / "apply.pml"
DEPTH_MAX = 200_000
CHECK_S = 300

_FLAGS = ("-w", "-DSAFETY", "-DNOFAIR", "-DVECTORSZ=1024")
_CLAIM = re.compile(r"assertion violated (\w+)")
_STATES = re.compile(r"^\s*(\d+) states, stored", re.MULTILINE)
_EVENT = re.compile(r"^ *(\d) ([a-z][a-z .:,]*\d?) *$", re.MULTILINE)
_SEEDED = re.compile(r"#define ([A-Z_]+) (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Event:
    """One event of a trace: who (0 is somebody else, 1 to 4 the processes of the model) and what."""

    who: int
    what: str


@dataclass(frozen=True)
class Checked:
    """What the checker found: how many states there are, the claim that broke, and how it came to that."""

    states: int
    is_whole: bool
    broken: str | None
    events: tuple[Event, ...] = ()


def seeded_mistakes() -> dict[str, int]:
    """The mistakes that can be seeded, by the names that the model gives them."""
    text = MODEL.read_text(encoding="utf-8")
    part = text[text.index("/* The seeded mistakes") : text.index("byte mistake;")]
    return {name.lower(): int(number) for name, number in _SEEDED.findall(part)}


class Checker:
    """The model as two programs in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        for program in ("spin", "gcc"):
            if shutil.which(program) is None:
                raise MissingProgramError(program=program, remedy="On Debian: apt-get install spin gcc.")
        self._folder = folder
        shutil.copy(MODEL, folder / MODEL.name)
        self._call("spin", "-a", MODEL.name)
        self._call("gcc", "-O1", *_FLAGS, "-DCOLLAPSE", "-o", "deep", "pan.c")
        self._call("gcc", "-O0", *_FLAGS, "-DBFS", "-o", "broad", "pan.c")

    def check(self, *, mistake: str | None = None, **world: int) -> Checked:
        """Go through every order of events of a world; with a mistake, until the first claim breaks.

        Args:
            mistake: A name of :func:`seeded_mistakes`.
            world: What may happen how often (``crashes``, ``losses``, ``expiries``, ``foreign``, ``stops``,
                ``resumes``), and who takes part (``plan_b`` 1 for a second applier of the same plan, 2 for one of
                another plan; ``undo``).
        """
        number = 0 if mistake is None else seeded_mistakes()[mistake]
        given = {"MISTAKE": str(number), **{name.upper(): str(value) for name, value in world.items()}}
        program = "deep" if mistake is None else "broad"
        (self._folder / f"{MODEL.name}.trail").unlink(missing_ok=True)
        said = self._call(f"./{program}", f"-m{DEPTH_MAX}", "-w24", "-n", **given)
        states = _STATES.search(said)
        assert states is not None, said[-2000:]
        is_whole = "errors: 0" in said and "Search not completed" not in said and "max search depth" not in said
        claim = _CLAIM.search(said)
        assert claim is not None or is_whole, said[-2000:]
        events = self._events(program, given) if claim is not None else ()
        return Checked(int(states[1]), is_whole, None if claim is None else claim[1], events)

    def _events(self, program: str, given: dict[str, str]) -> tuple[Event, ...]:
        said = self._call(f"./{program}", "-n", "-r", f"{MODEL.name}.trail", **given)
        return tuple(Event(int(who), what.strip()) for who, what in _EVENT.findall(said))

    def undisturbed(self) -> tuple[Event, ...]:
        """The events of one applier whom nobody disturbs: what a simulation without any budget comes to."""
        said = self._call("spin", "-T", "-u2000", MODEL.name)
        return tuple(Event(int(who), what.strip()) for who, what in _EVENT.findall(said))

    def _call(self, *command: str, **given: str) -> str:
        environment = {"PATH": os.environ["PATH"], **given}
        done = subprocess.run(
            command, cwd=self._folder, env=environment, capture_output=True, text=True, timeout=CHECK_S, check=False
        )
        return done.stdout + done.stderr
