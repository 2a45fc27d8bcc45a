"""When a payment was made: an ObjectId holds the second of its making, and ``createdAt`` may have been set anew.

An import, a restore or a migration that writes ``createdAt`` afresh leaves the ``_id`` as it was. Money between the two
is the payment's, so the earlier of the two counts; an ObjectId much older than its row was made for something else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

OLDER_MAX_MS: Final = 90 * 86_400_000
"""An ObjectId more than this older than ``createdAt`` says nothing about its payment."""

OBJECT_ID: Final = "objectId"


def creation_ms(payment_id: str, *, id_type: str, dated_at: int | None) -> int | None:
    """The earlier of ``createdAt`` and the ObjectId's own time, UTC ms; None where there is no ``createdAt``.

    >>> creation_ms("6af74eaf328057fc7a9716f3", id_type="objectId", dated_at=1_794_606_951_228)
    1794592431000
    >>> creation_ms("order-7", id_type="string", dated_at=1_794_606_951_228)
    1794606951228
    """
    if dated_at is None or id_type != OBJECT_ID or not payment_id:
        return dated_at
    made_at = int(payment_id[:8], 16) * 1_000
    return made_at if dated_at - OLDER_MAX_MS <= made_at < dated_at - 999 else dated_at


def creations(payment_ids: pa.Array, *, id_types: pa.Array, dated_at: pa.Array) -> pa.Array:
    """The same for columns."""
    import pyarrow as pa

    columns = (payment_ids.to_pylist(), id_types.to_pylist(), dated_at.to_pylist())
    found = [
        creation_ms(payment_id or "", id_type=id_type or "", dated_at=at)
        for payment_id, id_type, at in zip(*columns, strict=True)
    ]
    return pa.array(found, pa.int64())
