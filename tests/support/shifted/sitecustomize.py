"""Starts an interpreter whose clock is off by ``SHIFT_S`` seconds: ``time.time``, ``datetime.now`` and ``utcnow``.

The methods of the real type are replaced: a type of another size in its place crashes compiled modules.
"""

import ctypes
import datetime
import gc
import os
import time

SHIFT_S = float(os.environ["SHIFT_S"])
SHIFT = datetime.timedelta(seconds=SHIFT_S)
REAL_TIME, KIND = time.time, datetime.datetime
real_now = KIND.now


def now(cls, tz=None):  # type: ignore[no-untyped-def]
    return real_now(tz) + SHIFT


def utcnow(cls):  # type: ignore[no-untyped-def]
    return real_now(datetime.UTC).replace(tzinfo=None) + SHIFT


methods = gc.get_referents(KIND.__dict__)[0]
methods["now"], methods["utcnow"] = classmethod(now), classmethod(utcnow)
ctypes.pythonapi.PyType_Modified(ctypes.py_object(KIND))
time.time = lambda: REAL_TIME() + SHIFT_S
time.time_ns = lambda: int((REAL_TIME() + SHIFT_S) * 1e9)
