"""Answers as Relayr would, from the lines of a recorded world: ``{"bundle": what the GET tells of it}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from recon.sources.recorded.faults import Faults
from recon.sources.recorded.world import readable

if TYPE_CHECKING:
    import httpx

    from recon.sources.recorded.faults import Handler
    from recon.sources.recorded.format import RecordedWorld

NAME: Final = "relayr"


def relayr_handler(world: RecordedWorld) -> Handler:
    """Answer as in this world."""
    with readable(f"{NAME}.ndjson"):
        bundles = {str(line["bundle"]["bundle_uuid"]): line["bundle"] for line in world.said.get(NAME, ())}

    def answer(request: httpx.Request) -> httpx.Response:
        import httpx

        parts = request.url.path.strip("/").split("/")
        is_asked = request.method == "GET" and parts[:2] == ["v1", "bundle"] and len(parts) == 3
        found = bundles.get(parts[2].lower()) if is_asked else None
        if found is None:
            return httpx.Response(404, json={"message": "no such bundle"})
        return httpx.Response(200, json=found)

    return Faults(world.faults, NAME).around(answer)
