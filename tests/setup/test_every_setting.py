"""Every setting is read by something: one that nothing reads promises what does not happen."""

from __future__ import annotations

import ast
from pathlib import Path

from recon.setup.file import SettingsFile, known_keys

PACKAGE = Path(__file__).parents[2] / "recon"


def names_read(text: str) -> set[str]:
    """Attributes that are read, and names that are looked up as text; where a setting is declared is neither."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


def unread(keys: set[str], texts: list[str]) -> set[str]:
    return keys - {name for text in texts for name in names_read(text)}


def test_every_setting_has_a_reader() -> None:
    texts = [path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))]
    keys = {path[-1] for path in known_keys(SettingsFile)}
    assert {"webhook_secret_variable", "changes_max", "coins", "endpoints"} <= keys
    assert unread(keys, texts) == set()


def test_a_setting_that_is_only_declared_is_noticed() -> None:
    declared = 'class A(Section):\n    """It has a tone."""\n    tone: str = "calm"\n'
    assert unread({"tone"}, [declared]) == {"tone"}
    assert unread({"tone"}, [declared, "sing(section.tone)"]) == set()
