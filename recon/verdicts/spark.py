"""The engine Spark: a session that is there, a cluster, a Spark Connect server, or this machine.

Classic Spark (``spark://``, ``yarn`` and the like) needs PySpark and Java here. Spark Connect (``sc://host:port``)
needs neither: the client alone speaks to a server, Spark's own or another one of that protocol, such as Sail.

What is kept is cut off from how it was made, since Spark would otherwise compute it again at every use: by
``localCheckpoint`` on the executors, or, where a scratch address is named, as Parquet files there. Sail 0.7 is such a
server: its checkpoints do not give back every table.
"""

from __future__ import annotations

import os
import shutil
import socket
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from recon.core.errors import SourceError, UsageError
from recon.verdicts.casting import cast_table

if TYPE_CHECKING:
    import narwhals as nw
    import pyarrow as pa

    from recon.core.tables import Schema

    Frame = nw.LazyFrame[Any]

CONNECT: Final = "sc://"
CONNECT_PORT: Final = 15_002
"""The port of a Spark Connect server whose address names none, by Spark's documentation."""
REACHED_WITHIN_S: Final = 5.0
PINGED_EACH_S: Final = 20
_TRIES_AGAIN: Final = 4
"""The client's own rule tries for ten minutes."""


class SparkMissingError(UsageError):
    """Spark was asked for and cannot be started or reached."""

    def __init__(self, *, why: str) -> None:
        super().__init__(
            f'The engine spark cannot be started: {why}. It needs Java 17 and "pip install recon-toolkit[spark]", or '
            'for a server at sc://HOST:PORT "pip install recon-toolkit[connect]"; duckdb needs neither.'
        )


class SparkReadError(SourceError):
    """Spark cannot read the files of a snapshot."""

    def __init__(self, *, scheme: str, why: str) -> None:
        super().__init__(
            f"Spark could not read the snapshot from its {scheme}:// address ({why}); nothing was judged. Every "
            "executor needs the connector of that scheme and its credentials; duckdb needs neither."
        )


class SparkStoppedError(SourceError):
    """Spark failed in the middle of a judgement."""

    def __init__(self, *, why: str, is_connected: bool) -> None:
        hint = " A server that keeps no checkpoints needs --spark-scratch." if is_connected else ""
        super().__init__(
            f"Spark stopped in the middle of the judgement ({why}); nothing was planned. Its own log says why. Run the "
            f"same command again, or with --engine duckdb.{hint}"
        )


class SparkEngine:
    """PySpark, classic or connected.

    A session that was there already stays; one that is made here ends with the engine.
    """

    name = "spark"

    def __init__(self, session: Any, *, is_own: bool, scratch: str | None = None) -> None:
        self._session, self._is_own = session, is_own
        self.is_connected = ".connect." in type(session).__module__
        self._scratch = None if scratch is None else f"{scratch.rstrip('/')}/recon-{uuid4().hex}"
        self._kept = 0

    def scan(self, files: Sequence[Path | str]) -> Frame:
        """A lazy frame over Parquet files of one table; every executor must see them under the same path or address.

        Raises:
            SparkReadError: They could not be read.
        """
        import narwhals as nw

        addresses = [file.absolute().as_uri() if isinstance(file, Path) else file for file in files]
        try:
            native = self._session.read.parquet(*addresses)
            # A connected session asks nothing before it has to; a missing file is to be told here.
            native.schema  # noqa: B018
        except _failures() as error:
            raise SparkReadError(scheme=addresses[0].partition("://")[0], why=type(error).__name__) from error
        frame: Frame = nw.from_native(native)
        return frame

    def keep(self, frame: Frame) -> Frame:
        """Compute once and forget how."""
        import narwhals as nw

        native = frame.to_native()
        kept: Frame = nw.from_native(native.localCheckpoint() if self._scratch is None else self._written(native))
        return kept

    def keep_any(self, frame: Frame) -> Frame | None:
        """The same where there is a row."""
        kept = self.keep(frame)
        return None if kept.to_native().isEmpty() else kept

    def collect(self, frame: Frame, columns: Schema, *, order: Sequence[str]) -> pa.Table:
        """Bring the columns to this process as Arrow."""
        return cast_table(frame.select(*columns).to_native().toArrow(), columns, order=order)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Within it, a failure of Spark is a sentence; a frame may ask the server at any step, not only where it ends.

        Raises:
            SparkStoppedError: It failed.
        """
        try:
            yield
        except _failures() as error:
            raise SparkStoppedError(why=type(error).__name__, is_connected=self.is_connected) from error

    def close(self) -> None:
        """End the session that was made here, and remove what was kept in a folder of this machine.

        What was kept at another address stays until its owner removes it.
        """
        if self._is_own:
            with suppress(*_failures()):
                self._session.stop()
        if self._scratch is not None:
            shutil.rmtree(urlsplit(self._scratch).path, ignore_errors=True)

    def _written(self, native: Any) -> Any:
        place = f"{self._scratch}/{self._kept}"
        self._kept += 1
        native.write.parquet(place)
        return self._session.read.parquet(place)


@dataclass(frozen=True, slots=True)
class SparkPlace:
    """Which Spark.

    Args:
        master: ``sc://HOST:PORT`` of a Spark Connect server, or a master as Spark writes it; None for this machine.
        scratch: A path, or an address of a scheme that Spark knows, that every part of it sees under the same name.
    """

    master: str | None = None
    scratch: str | None = None


def open_spark(place: SparkPlace | None = None) -> SparkEngine:
    """The session of a Spark Connect server where one is named, else the active session, else a new one.

    Raises:
        SparkMissingError: Nothing is installed that could speak to it, or it could not be started or reached.
    """
    master, scratch = (place.master, place.scratch) if place else (None, None)
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise SparkMissingError(why="PySpark is not installed") from error
    # PySpark warns of the pandas that is installed, while it hands over Arrow, and of each failure that it raises.
    warnings.filterwarnings("ignore", module=r"pyspark\.")
    try:
        if master is not None and master.startswith(CONNECT):
            return SparkEngine(_connected(master), is_own=True, scratch=scratch)
        active = SparkSession.getActiveSession()
        session = active or _classic(SparkSession.builder, master)
        return SparkEngine(session, is_own=active is None, scratch=scratch)
    except ImportError as error:
        raise SparkMissingError(why="this PySpark lacks a package that it needs for that") from error
    except _failures(OSError) as error:
        raise SparkMissingError(why=f"it said {type(error).__name__}") from error


def _failures(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """How Spark fails: by its own exceptions and, where Java runs here, by those of the bridge to it."""
    from pyspark.errors import PySparkException

    found: list[type[Exception]] = [PySparkException, *more]
    with suppress(ImportError):
        from py4j.protocol import Py4JError

        found.append(Py4JError)
    return tuple(found)


def _connected(master: str) -> Any:
    """A session of a server that answers at all; the address may hold a token and is never said.

    A server that falls silent is noticed by HTTP/2 pings, which gRPC sends while an answer is due.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it would write a line for each try that fails
    from pyspark.sql.connect.client import DefaultChannelBuilder
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession

    where = urlsplit(master)
    socket.create_connection((where.hostname or "", where.port or CONNECT_PORT), timeout=REACHED_WITHIN_S).close()
    channels = DefaultChannelBuilder(master, [("grpc.keepalive_time_ms", PINGED_EACH_S * 1_000)])
    session: Any = SparkSession.builder.channelBuilder(channels).create()
    session.client.set_retry_policies([DefaultPolicy(max_retries=_TRIES_AGAIN)])
    session.conf.set("spark.sql.session.timeZone", "UTC")
    return session


def _classic(builder: Any, master: str | None) -> Any:
    """A session of our own. Here, Spark keeps to the loopback and shows no page; it would pick an outside address."""
    named = builder.appName("recon").config("spark.sql.session.timeZone", "UTC")
    # The conditions of the rules refer to each other; put into one another they would grow past all bounds.
    named = named.config("spark.sql.optimizer.excludedRules", "org.apache.spark.sql.catalyst.optimizer.CollapseProject")
    if master is not None:
        return named.master(master).getOrCreate()
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    local = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.shuffle.partitions": str(os.cpu_count() or 2),
        # A run here is short: the JVM would spend more on compiling its own code twice than the second time saves.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    }
    for key, value in local.items():
        named = named.config(key, value)
    return named.master("local[*]").getOrCreate()
