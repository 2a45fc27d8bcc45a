"""``load`` and ``plot`` for notebooks, and the small exact functions that other programs want."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from recon.core.extras import check_extra

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from recon.api.common import Place
    from recon.core.model import Plan
    from recon.core.registry import Registry
    from recon.investigation.payment import Inspection
    from recon.reports.notebooks.load import Loaded
    from recon.snapshots.sealed import Snapshot
    from recon.sources.chain.logs import Transfer
    from recon.sources.http import Secret


def load(source: Place | Plan | Snapshot | Inspection, *, registry: Registry | None = None) -> Loaded:
    """Read any artefact into exact pandas frames; see :func:`recon.reports.notebooks.load.load`."""
    check_extra("recon.load", package="pandas", extra="notebook")
    from recon.reports.notebooks.load import load as read

    return read(source, registry=registry)


def columns(frame: str) -> pd.DataFrame:
    """What the columns of a frame are; see :func:`recon.reports.notebooks.columns.columns`."""
    check_extra("recon.columns", package="pandas", extra="notebook")
    from recon.reports.notebooks.columns import columns as meanings_of

    return meanings_of(frame)


def histogram(column: pd.Series[Any], bins: int | Sequence[int | Decimal] = 10) -> pd.DataFrame:
    """Count exact amounts between edges, exactly; see :func:`recon.reports.notebooks.exact.histogram`."""
    check_extra("recon.histogram", package="pandas", extra="notebook")
    from recon.reports.notebooks.exact import histogram as count

    return count(column, bins)


def plot(source: Loaded | Plan | Snapshot | Inspection, name: str, *, ax: Axes | None = None) -> Axes:
    """Draw one picture of what was loaded; see :func:`recon.reports.notebooks.plot.plot`."""
    check_extra("recon.plot", package="pandas", extra="notebook")
    from recon.reports.notebooks.plot import plot as draw

    return draw(source, name, ax=ax)


def decode_transfer(log: Mapping[str, Any]) -> Transfer:
    """Decode one proxy or ERC-20 transfer log; see :func:`recon.sources.chain.logs.decode_transfer`."""
    from recon.sources.chain.logs import decode_transfer as decode

    return decode(log)


def verify_webhook(
    provider: str, headers: Mapping[str, str], body: bytes, secret: str | bytes | Secret, *, now: datetime | None = None
) -> bool:
    """Say whether a delivery is signed; see :func:`recon.sources.providers.webhooks.verify_webhook`."""
    from recon.sources.providers.webhooks import verify_webhook as verify

    return verify(provider, headers, body, secret, now=now)
