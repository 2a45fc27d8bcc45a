"""For mkdocs: links of a page that lead out of docs, or to a folder, are shown as the path that they name.

In the repository they lead there; the site holds no code, and it does not know where the repository is looked at.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[([^\]]+)\]\(((?!https?:|mailto:|#)[^)\s]+)\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Called by mkdocs for each page."""
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def shown(found: re.Match[str]) -> str:
        target = (folder / found[2].partition("#")[0]).resolve()
        if not target.exists() or (target.is_relative_to(ROOT / "docs") and target.is_file()):
            return found[0]
        path = PurePosixPath(target.relative_to(ROOT))
        return f"`{path}`" if found[1].strip("`") in (str(path), path.name) else f"{found[1]} (`{path}`)"

    return LINK.sub(shown, markdown)
