"""Every made page by its path, and what of them the repository has otherwise."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from docs_pages.causes import causes_page
from docs_pages.commands import commands_page, exit_codes_page
from docs_pages.files import files_page
from docs_pages.places import BLOCK, chain_names, chain_page, chain_title, chains_page, with_blocks
from docs_pages.python import python_page
from docs_pages.settings import settings_page
from docs_pages.verdicts import EXAMPLE_HEAD, groups, verdict_page, verdicts_page, with_example
from recon.core.model import Plan, Verdict

NAV: Final = re.compile(r"(?ms)^( *)# made by scripts/docs: (\w+)\n.*?^ *# end$")


def made_pages(root: Path) -> dict[str, str]:
    """Every page that is made from the code, whole, by its path; those of verdicts keep the example that they have."""
    pages = {
        "docs/reference/commands.md": commands_page(),
        "docs/reference/causes.md": causes_page(),
        "docs/reference/exit-codes.md": exit_codes_page(),
        "docs/reference/settings.md": settings_page(),
        "docs/reference/files.md": files_page(),
        "docs/reference/python.md": python_page(),
        "docs/reference/verdicts/index.md": verdicts_page(),
        "docs/reference/chains/index.md": chains_page(),
        **{f"docs/reference/chains/{name}.md": chain_page(name) for name in chain_names()},
        **dict(_verdicts(root)),
    }
    for path in (root / "README.md", *sorted((root / "docs").rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        if BLOCK.search(text):
            pages[str(path.relative_to(root))] = with_blocks(text)
    pages["mkdocs.yml"] = NAV.sub(_nav, (root / "mkdocs.yml").read_text(encoding="utf-8"))
    return pages


def with_examples(pages: Mapping[str, str], plan: Plan) -> dict[str, str]:
    """The same pages, those of verdicts with the examples that this plan shows."""
    return {**pages, **{place(verdict): with_example(verdict_page(verdict), verdict, plan) for verdict in Verdict}}


def place(verdict: Verdict) -> str:
    """Where the page of a verdict stands."""
    return f"docs/reference/verdicts/{verdict}.md"


def _verdicts(root: Path) -> Iterator[tuple[str, str]]:
    for verdict in Verdict:
        path, page = root / place(verdict), verdict_page(verdict)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        kept = re.search(rf"(?ms)^{EXAMPLE_HEAD}\n.*?(?=^## What it rests on)", text)
        head = "## What it rests on"
        yield place(verdict), page.replace(head, f"{kept[0]}{head}", 1) if kept else page


def _nav(found: re.Match[str]) -> str:
    makers: dict[str, Callable[[], list[str]]] = {"verdicts": _verdict_nav, "chains": _chain_nav}
    lines = "".join(f"{found[1]}{line}\n" for line in makers[found[2]]())
    return f"{found[1]}# made by scripts/docs: {found[2]}\n{lines}{found[1]}# end"


def _verdict_nav() -> list[str]:
    lines = ["- reference/verdicts/index.md"]
    for title, verdicts in groups().items():
        lines.append(f'- "{title}":')
        lines += [f"    - {verdict}: reference/verdicts/{verdict}.md" for verdict in verdicts]
    return lines


def _chain_nav() -> list[str]:
    return [
        "- reference/chains/index.md",
        *[f"- {chain_title(name)}: reference/chains/{name}.md" for name in chain_names()],
    ]
