"""The function that schedulers call is run as the page shows it, and what stands around it is Python."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.watched import watched_world

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "where-the-watch-runs.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_function_of_the_page_makes_a_round(tmp_path: Path) -> None:
    watched_world(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(BLOCKS[0], str(PAGE), "exec"), names)
    assert re.fullmatch(r"[1-9]\d* open", names["one_round"](str(tmp_path / "world" / "recon.toml")))


@pytest.mark.parametrize("block", BLOCKS[1:])
def test_what_stands_around_it_is_python_of_a_few_lines_and_calls_it(block: str) -> None:
    ast.parse(block)
    assert "one_round" in block
    assert len([line for line in block.splitlines() if line.strip()]) <= 12
