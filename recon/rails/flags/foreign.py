"""Signs that a text is no dotenv file, though readers of dotenv would take some of its lines.

Such readers pass over what they do not understand. So a unit of systemd, a script, TOML or a file with a merge conflict
gives them flags, and what counts there is decided by sections, branches or blocks that they never see. Nothing is
concluded from such a file, and nothing is written to it.

>>> foreign_sign("[vars]\\nX_ENABLED = \\"true\\"\\n", path="app.conf")
"line 1 '[vars]' begins a section, so it is no dotenv file"
>>> foreign_sign("X_ENABLED=true\\n", path=".env")
''
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePath
from typing import Final

_NAMES: Final = ("Procfile", "Dockerfile", "Containerfile", "Vagrantfile", "Makefile")
_SUFFIXES: Final = (
    ".toml", ".tf", ".tfvars", ".hcl", ".nomad", ".nix", ".ini", ".js", ".cjs", ".mjs", ".ts", ".py", ".rb", ".php",
    ".bat", ".cmd", ".ps1", ".xml", ".html", ".service", ".container", ".vault",
)  # fmt: skip
_SECTION = re.compile(r"\s*(\[\[?[^\[\]=]{1,80}\]\]?)\s*(?:[#;].*)?")
_SIGNS: Final = (
    (re.compile(r"(?:<{7}|={7}|>{7}|\|{7})(?: .*)?"), "is the mark of a merge conflict"),
    (re.compile(r"#!\s*/.*"), "names the program that runs it as a script"),
    (re.compile(r"\s*\[\[?\s.*\]\s*(?:&&|\|\|).*"), "is a condition of a shell"),
    (re.compile(r"\s*(?:if|elif|while|until)\s.*[\])];?\s*(?:then|do)?\s*"), "is a condition of a shell"),
    (re.compile(r"\s*(?:then|else|fi|do|done|esac)\s*;?\s*"), "is a branch of a shell"),
    (re.compile(r"\s*case\s+\S+\s+in\s*"), "is a branch of a shell"),
    (re.compile(r"\s*(?:source|\.)\s+[^\s=:].*"), "reads another file as a shell does"),
    (re.compile(r"\s*unset\s+[A-Za-z_].*"), "takes variables away as a shell does"),
    (re.compile(r"\s*(?:export\s+)?\w+=[^'\"#;]*;\s*export\s+\w+=.*"), "sets several as a shell does"),
    (re.compile(r"FROM\s+[^\s=:]\S*(?:\s+AS\s+\S+)?\s*", re.IGNORECASE), "begins the recipe of an image"),
    (re.compile(r"DOTENV_VAULT_[A-Z_]+\s*=.*"), "is an encrypted environment"),
)  # fmt: skip
_OPENS = re.compile(r".*\{\s*")
_CLOSES = re.compile(r"\s*\}.*")


def foreign_sign(text: str, *, path: str, quoted: Collection[int] = ()) -> str:
    """Why a text is no dotenv file, naming the line and never what may be a secret; empty where nothing says so.

    Args:
        path: Its name may tell what it is.
        quoted: The lines that stand inside a value, counted from 1: they are no sign.
    """
    name = PurePath(path)
    if name.suffix in _SUFFIXES or name.name.partition(".")[0] in _NAMES:
        return f"its name is {name.name!r}, so it is no dotenv file"
    opened = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if number in quoted:
            continue
        if (why := _of_line(line, number=number)) or (opened and _CLOSES.fullmatch(line)):
            return why or f"line {opened} begins a block in braces, so it is no dotenv file"
        opened = opened or (number if _OPENS.fullmatch(line) else 0)
    return ""


def _of_line(line: str, *, number: int) -> str:
    if (found := _SECTION.fullmatch(line)) is not None:
        return f"line {number} {found[1]!r} begins a section, so it is no dotenv file"
    words = next((words for sign, words in _SIGNS if sign.fullmatch(line)), "")
    return f"line {number} {words}, so it is no dotenv file" if words else ""
