"""MongoDB Payment documents → the payments table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recon.model import Policy
from recon.registry import Registry
from recon.sources.documents import DocumentReader, document_text
from recon.sources.fields import FieldPaths

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FieldPaths", "document_text", "payment_rows"]


def payment_rows(
    documents: Sequence[Mapping[str, Any]], *, fields: FieldPaths, registry: Registry, policy: Policy
) -> pa.RecordBatch:
    """Turn documents into rows of :data:`recon.tables.PAYMENTS`, in the given order, one row each, none dropped."""
    from recon.tables import table_of

    reader = DocumentReader(fields=fields, registry=registry, policy=policy)
    table = table_of("payments", [reader.row(document) for document in documents])
    return table.combine_chunks().to_batches()[0] if table.num_rows else _empty()


def _empty() -> pa.RecordBatch:
    import pyarrow as pa

    from recon.tables import arrow_schema

    return pa.RecordBatch.from_pylist([], schema=arrow_schema("payments"))
