"""Times that are stored as no date: read where their meaning is certain, written back in their own form."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pytest
from bson import Decimal128, Int64, ObjectId, Timestamp

from recon.core.stored_times import StoredTime, read_stored_time, stored_alike, time_mark, told_mark
from recon.core.times import to_ms

AT: Final = datetime(2026, 11, 20, 8, 30, 0, 250_000, tzinfo=UTC)
MS: Final = to_ms(AT)
S: Final = MS // 1000


@pytest.mark.parametrize(
    ("value", "ms", "how"),
    [
        ("2026-11-20T08:30:00.250Z", MS, "text"),
        ("2026-11-20 09:30:00.250+01:00", MS, "text"),
        ("2026-11-20T08:30:00,250+0000", MS, "text"),
        ("2026-11-20T08:30:00.250 UTC", MS, "text"),
        (" 2026-11-20 08:30:00.250 ", MS, "text_utc"),
        ("2026-11-20T08:30", S * 1000, "text_utc"),
        (S, S * 1000, "seconds"),
        (str(S), S * 1000, "seconds"),
        (float(S) + 0.25, MS, "seconds"),
        (Decimal128(str(S)), S * 1000, "seconds"),
        (Decimal(S), S * 1000, "seconds"),
        (Int64(MS), MS, "milliseconds"),
        (str(MS), MS, "milliseconds"),
        ({"$date": "2026-11-20T08:30:00.250Z"}, MS, "exported"),
        ({"$date": MS}, MS, "exported"),
        ({"$date": {"$numberLong": str(MS)}}, MS, "exported"),
        ({"$numberLong": str(MS)}, MS, "milliseconds"),
        (Timestamp(S, 1), S * 1000, "timestamp"),
    ],
)
def test_what_is_certain_is_read(value: object, ms: int, how: str) -> None:
    assert read_stored_time(value) == StoredTime(ms, how)
    assert time_mark("createdAt", value) == f"createdAt:{how}"
    told = told_mark(f"createdAt:{how}")
    assert told is not None and told[0] == "createdAt" and told[2]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("20.11.2026 08:30", "the text '20.11.2026 08:30'"),
        ("2026-11-20", "the text '2026-11-20'"),
        ("2026-13-40T08:30:00Z", "the text '2026-13-40T08:30:00Z'"),
        ("2026-11-20T08:30.5Z", "the text '2026-11-20T08:30.5Z'"),
        ("", "the text ''"),
        (True, "the truth value 'True'"),
        (12_345, "the number '12345'"),
        (MS * 1000, f"the number '{MS * 1000}'"),
        (float("nan"), "the number 'nan'"),
        (Decimal128("NaN"), "the number 'NaN'"),
        ([MS], "a list"),
        ({"$date": "yesterday"}, "an object"),
        ({"$date": {"$numberLong": "no"}}, "an object"),
        ({"$date": {"a": 1, "b": 2}}, "an object"),
        ({"$date": S}, "an object"),
        ({"$numberLong": "no"}, "an object"),
        ({"$oid": "1"}, "an object"),
        ({"a": 1, "b": 2}, "an object"),
        (ObjectId("0123456789abcdef01234567"), "the id '0123456789abcdef01234567'"),
        (Timestamp(5, 1), "a value of another kind"),
    ],
)
def test_what_is_not_certain_is_told_and_not_read(value: object, said: str) -> None:
    assert read_stored_time(value) is None
    mark = time_mark("createdAt", value)
    assert mark is not None and " " not in mark and "=" not in mark
    assert told_mark(mark) == ("createdAt", said, False)


@pytest.mark.parametrize("text", ["external_id=metadata.externalId", "createdAt", "createdAt:else", "createdAt=a:text"])
def test_another_text_is_no_mark(text: str) -> None:
    assert told_mark(text) is None
    assert time_mark("createdAt", None) is None


@pytest.mark.parametrize(
    ("before", "written"),
    [
        ("2026-11-19T10:00:00.000Z", "2026-11-20T08:30:00.250Z"),
        ("2026-11-19 10:00:00", "2026-11-20 08:30:00"),
        ("2026-11-19T10:00Z", "2026-11-20T08:30Z"),
        ("2026-11-19T10:00:00+02:00", "2026-11-20T08:30:00Z"),
        ("2026-11-19T10:00:00+00:00", "2026-11-20T08:30:00+00:00"),
        (S - 100, S),
        (str(S - 100), str(S)),
        (Int64(MS - 100), Int64(MS)),
        (float(S - 100), float(S)),
        (Decimal128(str(S - 100)), Decimal128(str(S))),
        ({"$date": MS - 100}, AT),
        (Timestamp(S - 100, 1), AT),
        ("20.11.2026", AT),
        (None, AT),
    ],
)
def test_a_time_is_written_as_its_field_holds_it(before: Any, written: Any) -> None:
    found = stored_alike(before, AT)
    assert (type(found), found) == (type(written), written)
    assert before is None or read_stored_time(before) is None or found is AT or read_stored_time(found) is not None
