"""Flags that a chart's templates name, without running Helm: a plain word, or one value of the chart as it stands.

>>> text = "env:\\n- name: X_ENABLED\\n  value: {{ .Values.pay.x | quote }}\\n"
>>> [(each.flag, each.doubt) for each in said_in_template(text, {"X_ENABLED"}, path="t.yaml", values=())]
[('X_ENABLED', 'the chart has no value pay.x here')]
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.rails.flags.errors import ManifestError
from recon.rails.flags.helm_conditions import Branches
from recon.rails.flags.readings import FlagSaid
from recon.rails.flags.yamltext import line_at, mapping, member, parse_yaml_text, scalar, spot_of, text_of

if TYPE_CHECKING:
    from yaml.nodes import Node

CHART: Final = "Chart.yaml"
TEMPLATES_MAX: Final = 50
_ENDINGS: Final = (".yaml", ".yml", ".tpl")
_TEXT_MAX: Final = 1_000_000
_BRACES: Final = re.compile(
    r"(?m)^[^#\n]*\{\{-?\s*(?:\.Values|\.Release|include|template|if|range|with|toYaml|quote)\b"
)
_BARE_BRACES: Final = re.compile(r"""(?m)^[^#'"\n]*(?:^|[:\-])\s*\{\{""")
_ONE_VALUE: Final = re.compile(
    r"""["']?\{\{-?\s*(?:quote\s+|toString\s+)?\.Values\.([A-Za-z0-9_.]+)"""
    r"""\s*(?:\|\s*(?:quote|squote|toString)\s*)*-?\}\}["']?\Z"""
)
_WORD: Final = re.compile(r"""("[^"{}\\]*"|'[^'{}]*'|[A-Za-z0-9_.,:/@+-]+)\s*(?:\#.*)?\Z""")
_COMMENT: Final = re.compile(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", re.DOTALL)


def chart_files(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """The values files and the templates that paths mean: those of a chart's folder, or of a template's chart."""
    values: list[Path] = []
    templates: list[Path] = []
    for path in paths:
        if path.is_dir():
            values += [path / "values.yaml"] if (path / "values.yaml").is_file() else []
            templates += sorted(each for each in (path / "templates").rglob("*") if each.suffix in _ENDINGS)
        elif is_template(path):
            chart = next((each.parent for each in path.parents if each.name == "templates"), None)
            usual = None if chart is None else chart / "values.yaml"
            values += [usual] if usual is not None and usual.is_file() else []
            templates.append(path)
        else:
            values.append(path)
    return list(dict.fromkeys(values)), list(dict.fromkeys(templates))[:TEMPLATES_MAX]


def is_template(path: Path) -> bool:
    """Whether a file is a template of a chart: it stands in a chart's folder of them, or its braces make it no YAML."""
    if path.suffix == ".tpl":
        return True
    if any(each.name == "templates" and (each.parent / CHART).is_file() for each in path.parents):
        return True
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:_TEXT_MAX]
    except OSError:
        return False
    return _BRACES.search(text) is not None and (_BARE_BRACES.search(text) is not None or _is_no_yaml(text))


def _is_no_yaml(text: str) -> bool:
    try:
        parse_yaml_text(text, path="")
    except ManifestError:
        return True
    return False


def said_in_template(
    text: str, flags: Collection[str], *, path: str, values: Sequence[tuple[Node, str]]
) -> Iterator[FlagSaid]:
    """Every place of a template that names a flag, with the value where it can be told.

    Args:
        values: The roots of the values files, later ones over earlier ones, each with its file.
    """
    text = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text)
    lines, branches = text.splitlines(), Branches(values)
    for number, line in enumerate(lines):
        state = branches.state
        has_turn = branches.take(line)
        if line.lstrip().startswith("#") or (state is False and not has_turn):
            continue
        for flag in flags:
            if re.search(rf"(?<![A-Za-z0-9_]){re.escape(flag)}(?![A-Za-z0-9_])", line.partition(" #")[0]) is None:
                continue
            written = _written(flag, line, lines[number + 1] if number + 1 < len(lines) else "")
            unclear = state is None or has_turn
            yield _told(flag, written, values, is_conditional=unclear, path=path, line=number + 1)


def _written(flag: str, line: str, following: str) -> str | None:
    """What a template writes for a flag: on its line, or for a named entry on the next; None where it is not plain."""
    here = re.match(rf"""\s*(?:-\s+)?["']?{re.escape(flag)}["']?\s*:\s*(\S.*)\Z""", line.rstrip())
    if here is not None:
        return here[1]
    if re.match(rf"""\s*-\s+name\s*:\s*["']?{re.escape(flag)}["']?\s*(?:\#.*)?\Z""", line):
        next_one = re.match(r"\s*value\s*:\s*(\S.*)\Z", following.rstrip())
        return None if next_one is None else next_one[1]
    return None


def _told(
    flag: str,
    written: str | None,
    values: Sequence[tuple[Node, str]],
    *,
    is_conditional: bool,
    path: str,
    line: int,
) -> FlagSaid:
    def doubted(why: str) -> FlagSaid:
        return FlagSaid(flag, None, path, "template", line, doubt=why)

    if is_conditional:
        return doubted("it stands within a condition or a loop of the template, which is not computed")
    if written is None:
        return doubted("the template makes it in a way that is not computed")
    if (one := _ONE_VALUE.match(written)) is not None:
        return _value_of(flag, one[1], values) or doubted(f"the chart has no value {one[1][:100]} here")
    if (word := _WORD.match(written)) is not None:
        return FlagSaid(flag, word[1].strip("\"'"), path, "template", line, raw=word[1])
    return doubted("the template makes it in a way that is not computed")


def _value_of(flag: str, place: str, values: Sequence[tuple[Node, str]]) -> FlagSaid | None:
    """The value of the chart at a place, of the last file that has it; none for what is no plain value."""
    for root, path in reversed(values):
        node: Node | None = root
        for step in place.split("."):
            node = member(node, step) if mapping(node) is not None else None
        if node is not None and scalar(node) is not None and (text := text_of(node)) is not None:
            shown = text.lower() if str(node.tag).endswith(":bool") else text
            if "{{" in shown:
                return None
            return FlagSaid(flag, shown, path, place, line_at(node), raw=text, spot=spot_of(node))
    return None
