"""The joins that people want of frames, in one call: by the keys that both have, and never by a key that is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import UsageError
from recon.reports.notebooks.columns import ATTRS

if TYPE_CHECKING:
    import pandas as pd

KEYS: Final[tuple[tuple[str, ...], ...]] = (
    ("payment_id",), ("provider", "object", "claim_id"), ("provider", "claim_id"), ("chain_id", "tx_hash", "log_index"),
    ("chain_id", "tx_hash"), ("request_id",), ("external_id",), ("reference_topic",), ("chain_id", "wallet", "token"),
    ("verdict",), ("provider",), ("chain",),
)  # fmt: skip
"""Sets of columns that name the same thing in two frames, the surest first."""
_ANY_OF: Final[tuple[tuple[str, ...], ...]] = (
    ("request_id",),
    ("external_id",),
    ("reference_topic",),
    ("chain_id", "tx_hash"),
)
"""Keys of a payment that a claim, a transfer or a notification may carry one of."""


class NoJoinError(UsageError):
    """Two frames have no key in common."""

    def __init__(self, *, left: str, right: str) -> None:
        super().__init__(f"{left} and {right} have no key in common; recon.columns tells what their columns are.")


def joined(left: pd.DataFrame, right: pd.DataFrame, *, name: str = "") -> pd.DataFrame:
    """Every row of one frame with the rows of another that belong to it; one that has none keeps its place.

    A payment id joins by itself. Otherwise rows belong together that share any of request id, external id, reference
    or transaction, else by the surest key that both frames have. A key that is missing joins nothing.

    Args:
        name: What the other frame's columns are marked with where both have one of that name, such as
            ``status_payments``.

    Raises:
        NoJoinError: They have no key in common.
    """
    import pandas as pd

    pairs = [_pairs(left, right, key) for key in _keys(left, right)]
    if not pairs:
        raise NoJoinError(left=_called(left, "the one frame"), right=_called(right, "the other"))
    found = pd.concat(pairs).drop_duplicates().sort_values(["left", "right"], kind="stable")
    alone = sorted(set(range(len(left))) - set(found["left"]))
    rows = pd.concat([found, pd.DataFrame({"left": alone, "right": [-1] * len(alone)}, dtype="int64")])
    rows = rows.sort_values(["left", "right"], kind="stable")
    shared = _shared(left, right)
    marked = f"_{name or _called(right, 'other')}"
    parts = {column: _taken(left[column], rows["left"]) for column in left.columns}
    for column in right.columns:
        if column not in shared:
            called = f"{column}{marked}" if column in left.columns else column
            parts[called] = _taken(right[column], rows["right"])
    made = pd.DataFrame(parts)
    told = {**_told(right), **_told(left)}
    made.attrs[ATTRS] = {"frame": "", "columns": {name: told[name] for name in made.columns if name in told}}
    return made


def _keys(left: pd.DataFrame, right: pd.DataFrame) -> list[tuple[str, ...]]:
    both = [key for key in KEYS if set(key) <= set(left.columns) & set(right.columns)]
    if not both or both[0] not in _ANY_OF:
        return both[:1]
    return [key for key in _ANY_OF if key in both]


def _shared(left: pd.DataFrame, right: pd.DataFrame) -> set[str]:
    """The columns of a key that joins alone: what both say is the same, and stands once."""
    keys = _keys(left, right)
    return set(keys[0]) if len(keys) == 1 else set()


def _pairs(left: pd.DataFrame, right: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    """The places of rows that have the same key, where it is known."""
    sides = []
    for frame, side in ((left, "left"), (right, "right")):
        part = frame[list(key)].astype("object").reset_index(drop=True)
        part[side] = range(len(part))
        sides.append(part.dropna(subset=list(key)))
    return sides[0].merge(sides[1], on=list(key))[["left", "right"]].astype("int64")


def _taken(column: Any, places: Any) -> Any:
    """The cells of these places in the column's own type; -1 is not known."""
    import pandas as pd

    taken = column.array.take(places.to_numpy(), allow_fill=True)
    return pd.Series(taken, dtype=column.dtype if column.dtype != object else "object").reset_index(drop=True)


def _told(frame: pd.DataFrame) -> dict[str, Any]:
    return dict(frame.attrs.get(ATTRS, {}).get("columns", {}))


def _called(frame: pd.DataFrame, otherwise: str) -> str:
    return str(frame.attrs.get(ATTRS, {}).get("frame") or otherwise)
