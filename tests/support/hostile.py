"""Text that would act on a page if a page let it, put into every text there is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any

from recon.reports.model import RowsOf

PAYLOAD = (
    "</script><script>window.hacked=1</script><img src=x onerror=\"window.hacked=1\"><svg onload='window.hacked=1'>"
    '<!--<script> ]]>&lt;b&gt;"\';{{7*7}}</textarea></title></style><a href="javascript:window.hacked=1">x</a>'
)
"""Ends scripts, styles and titles, begins comments and elements, and breaks out of both kinds of quotes."""


def poisoned(value: Any) -> Any:
    """A record with the payload behind every text in it, keys of mappings and words of enums left alone."""
    if isinstance(value, Enum) or value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return f"{value} {PAYLOAD}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: poisoned(each) for name, each in fields.items()})
    if isinstance(value, Mapping):
        return {key: poisoned(each) for key, each in value.items()}
    if isinstance(value, RowsOf):
        return tuple(map(poisoned, value))
    if isinstance(value, list | tuple):
        return type(value)(poisoned(each) for each in value)
    raise AssertionError(f"nobody thought of a {type(value).__name__}")


def poisoned_table(table: Any) -> Any:
    """An Arrow table with the payload behind every text cell."""
    import pyarrow as pa

    columns = [
        pa.array([None if cell is None else f"{cell} {PAYLOAD}" for cell in table[field.name].to_pylist()], pa.string())
        if pa.types.is_string(field.type)
        else table[field.name]
        for field in table.schema
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)
