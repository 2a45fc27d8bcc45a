"""The papers of a release: sums, what it is made of (CycloneDX), and how it was made (in-toto, SLSA provenance)."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from releasing.archives import ROOT
from releasing.licences import Package

Json = dict[str, Any]

BOM_VERSION: Final = "1.6"
BUILD_TYPE: Final = "urn:recon:scripts/release:1"


def sha256_of(path: Path) -> str:
    """sha256 of a file, 64 hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sums(files: list[Path]) -> str:
    """What ``sha256sum --check`` reads."""
    return "".join(f"{sha256_of(path)}  {path.name}\n" for path in sorted(files))


def echarts_version(root: Path = ROOT) -> str:
    """The version of the picture library that lies in the package."""
    text = (root / "recon/reports/pages/templates/vendor/echarts.min.js").read_text(encoding="utf-8")
    found = re.search(r'\.version="(\d+\.\d+\.\d+)"', text)
    return found[1] if found else "unknown"


def moment_text(moment: int) -> str:
    """A time in seconds as ISO 8601 UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def bill_of_materials(found: list[Package], *, roots: list[str], version: str, moment: int, files: list[Path]) -> Json:
    """What a release is made of and needs, in CycloneDX JSON; the same release gives the same bytes.

    Args:
        roots: The packages that it asks for itself.
        files: The archives, whose sums it names.
    """
    me = _purl("recon-toolkit", version)
    echarts = f"pkg:npm/echarts@{echarts_version()}"
    purls = {each.name: _purl(each.name, each.version) for each in found}
    mine = [purls[name] for name in roots]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, "".join([me, *(sha256_of(path) for path in sorted(files))]))
    archives = [
        {
            "type": "distribution",
            "url": f"urn:recon:release:{path.name}",
            "hashes": [{"alg": "SHA-256", "content": sha256_of(path)}],
        }
        for path in sorted(files)
    ]
    product = _component("recon-toolkit", version, "Apache-2.0", kind="application")
    return {
        "bomFormat": "CycloneDX",
        "specVersion": BOM_VERSION,
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "timestamp": moment_text(moment),
            "component": {**product, "externalReferences": archives},
            "licenses": [{"license": {"id": "Apache-2.0"}}],
        },
        "components": [
            *(_component(each.name, each.version, each.licence) for each in found),
            {
                "type": "library",
                "bom-ref": echarts,
                "name": "echarts",
                "version": echarts_version(),
                "purl": echarts,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        ],
        "dependencies": [
            {"ref": me, "dependsOn": sorted([*mine, echarts])},
            *({"ref": purls[each.name], "dependsOn": sorted(purls[name] for name in each.needs)} for each in found),
            {"ref": echarts, "dependsOn": []},
        ],
    }


def _component(name: str, version: str, licence: str, *, kind: str = "library") -> Json:
    is_one = not re.search(r"\s", licence)
    told = [{"license": {"id": licence}}] if is_one else [{"expression": licence}]
    return {
        "type": kind,
        "bom-ref": _purl(name, version),
        "name": name,
        "version": version,
        "purl": _purl(name, version),
        "licenses": told,
    }


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def commit() -> tuple[str, bool]:
    """The commit that is built, and whether every file is as it says; an unpacked sdist has none."""
    if not (ROOT / ".git").exists():
        return "", False
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    state = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    return head.stdout.strip(), not state.stdout.strip()


def provenance(files: list[Path], *, version: str, moment: int) -> Json:
    """How the archives were made: an in-toto statement with the SLSA predicate, unsigned."""
    head, is_clean = commit()
    materials: list[Json] = [
        {"uri": f"file:{name}", "digest": {"sha256": sha256_of(ROOT / name)}}
        for name in ("constraints.txt", "constraints-test.txt", "pyproject.toml")
    ]
    if head:
        materials.insert(0, {"uri": "git+urn:recon:source", "digest": {"gitCommit": head}})
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": path.name, "digest": {"sha256": sha256_of(path)}} for path in sorted(files)],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"version": version, "source_date_epoch": moment, "tree_is_clean": is_clean},
                "internalParameters": {"python": platform.python_version(), "setuptools": _setuptools()},
                "resolvedDependencies": materials,
            },
            "runDetails": {
                "builder": {"id": "urn:recon:builder:by-hand"},
                "metadata": {"finishedOn": moment_text(int(time.time()))},
            },
        },
    }


def _setuptools() -> str:
    from importlib.metadata import version

    return version("setuptools")


def json_text(content: Json) -> str:
    """JSON as every paper of a release is written."""
    return json.dumps(content, indent=1, ensure_ascii=True) + "\n"
