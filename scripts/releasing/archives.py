"""The wheel and the sdist: built from a clean copy, the same bytes each time, and looked into before anybody gets them.

The sdist is made from the files that are tracked and packed anew with sorted names, one time and no owner, because
setuptools packs what it finds as it finds it. The wheel is built from that sdist, unpacked: what the sdist lacks, the
wheel cannot have.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from releasing.licences import ReleaseError

ROOT: Final = Path(__file__).resolve().parents[2]
_HOOK: Final = "from setuptools import build_meta; print(build_meta.build_{kind}({out!r}))"
_LEFT: Final = frozenset({"__pycache__", "node_modules", "build", "dist", "recon-demo", "recon-out"})
_NOT_SHIPPED: Final = re.compile(r"^(recon_toolkit\.egg-info/|\.git/)")
_MADE_BY_SETUPTOOLS: Final = ("PKG-INFO", "setup.cfg", "recon_toolkit.egg-info/")


def release_moment(version: str, *, root: Path = ROOT) -> int:
    """``SOURCE_DATE_EPOCH``, or the day that the changelog gives the version, midnight UTC, in seconds.

    Raises:
        ReleaseError: Neither says it.
    """
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    told = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(version)} \((\d{{4}}-\d\d-\d\d)\)$", told, re.MULTILINE)
    if found is None:
        raise ReleaseError(f"CHANGELOG.md has no line '## {version} (YYYY-MM-DD)'; write when it is released.")
    return int(datetime.fromisoformat(found[1]).replace(tzinfo=UTC).timestamp())


def tracked(root: Path = ROOT) -> list[str]:
    """The files that belong to the project: those that git tracks; of an unpacked sdist, those that it came with."""
    if (root / ".git").exists():
        asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        said = subprocess.run(asked, cwd=root, check=True, capture_output=True).stdout.decode()
        names = [name for name in said.split("\0") if name and (root / name).is_file()]
    else:
        names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
        names = [name for name in names if not _is_left_behind(Path(name))]
    return sorted(name for name in names if not _NOT_SHIPPED.match(name))


def _is_left_behind(name: Path) -> bool:
    """Whether a file of an unpacked sdist came later, or was made by setuptools."""
    hidden = [part for part in name.parts if part.startswith(".") and part not in (".ci", ".gitignore")]
    made = name.as_posix() in ("PKG-INFO", "setup.cfg") or name.suffix in (".pyc", ".pyo")
    return bool(hidden or made or _LEFT & set(name.parts))


def build(out: Path, *, moment: int, scratch: Path) -> tuple[Path, Path]:
    """Build sdist and wheel into a folder.

    Args:
        moment: Seconds; the time of every file in both.
        scratch: An empty folder to work in.
    """
    source = scratch / "source"
    for name in tracked():
        _copy(ROOT / name, source / name)
    made = scratch / "made"
    made.mkdir()
    raw = made / _hook("sdist", source, made, moment=moment)
    sdist = out / raw.name
    pack_evenly(raw, sdist, moment=moment)
    unpacked = scratch / "unpacked"
    with tarfile.open(sdist) as held:
        held.extractall(unpacked, filter="data")
    (folder,) = unpacked.iterdir()
    wheel = out / _hook("wheel", folder, out, moment=moment)
    return sdist, wheel


def _copy(source: Path, target: Path) -> None:
    """Copy a file with the rights of one in a fresh clone, whatever the umask was here."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if os.access(source, os.X_OK) and source.stat().st_mode & 0o100 else 0o644)


def _hook(kind: str, source: Path, out: Path, *, moment: int) -> str:
    """Ask setuptools, as any builder does, without an index."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(moment), "PYTHONPATH": "", "LC_ALL": "C.UTF-8"}
    code = f"import os; os.umask(0o022); {_HOOK.format(kind=kind, out=str(out))}"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=source, env=environment, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise ReleaseError(f"setuptools could not build the {kind}:\n{ran.stderr[-2000:]}")
    return ran.stdout.strip().splitlines()[-1]


def pack_evenly(raw: Path, out: Path, *, moment: int) -> None:
    """Pack a tar anew: sorted, of one moment, owned by nobody."""
    plain = io.BytesIO()
    with tarfile.open(raw) as held, tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as packed:
        for member in sorted(held.getmembers(), key=lambda each: each.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = moment, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            packed.addfile(member, held.extractfile(member) if member.isfile() else None)
    with out.open("wb") as file, gzip.GzipFile("", "wb", 9, fileobj=file, mtime=moment) as squeezed:
        squeezed.write(plain.getvalue())


def contents(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of an archive; of an sdist without its first folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as held:
            yield from ((name, held.read(name)) for name in held.namelist())
        return
    with tarfile.open(archive) as held:
        for member in held.getmembers():
            file = held.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name.partition("/")[2], file.read()


def faults(sdist: Path, wheel: Path, *, version: str) -> list[str]:
    """What is wrong with two archives, a sentence each."""
    in_sdist, in_wheel = dict(contents(sdist)), dict(contents(wheel))
    names = tracked()
    found = [f"the sdist lacks {name}" for name in names if name not in in_sdist]
    known = {*names}
    found += [
        f"the sdist holds {name}, which is not tracked"
        for name in in_sdist
        if name not in known and not name.startswith(_MADE_BY_SETUPTOOLS)
    ]
    package = [name for name in names if name.startswith("recon/")]
    found += [f"the wheel lacks {name}" for name in package if name not in in_wheel]
    info = f"recon_toolkit-{version}.dist-info/"
    found += [
        f"the wheel holds {name}, which is no part of the package"
        for name in in_wheel
        if name not in package and not name.startswith(info)
    ]
    licences = f"{info}licenses/"
    for name in ("LICENSE", "NOTICE", "THIRD_PARTY_NOTICES.md"):
        if in_wheel.get(f"{licences}{name}") != (ROOT / name).read_bytes():
            found.append(f"the wheel's {name} is not the one that stands here")
    if "recon/py.typed" not in in_wheel:
        found.append("the wheel lacks recon/py.typed")
    for archive, held in (("sdist", in_sdist), ("wheel", in_wheel)):
        found += [f"the {archive}'s {name} names {word}" for name, word in _traces(held)]
    return found


def _traces(held: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """Where files name this machine: its folders, its name, or its package index."""
    import socket

    words = {str(ROOT), str(Path.home()) + "/", socket.gethostname()}
    words |= {os.environ.get(name, "") for name in ("PIP_INDEX_URL", "PIP_FIND_LINKS", "UV_INDEX_URL")}
    marks = {word.encode(): word for word in words if len(word) > 5 and word not in ("localhost",)}
    for name, data in held.items():
        yield from ((name, word) for mark, word in marks.items() if mark in data)
