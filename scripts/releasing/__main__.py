"""Builds a release twice, checks it, writes its papers beside it, and says what was not done and why."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Final

from recon.core.version import __version__
from releasing.advisories import audit
from releasing.archives import ROOT, build, faults, release_moment
from releasing.licences import Package, ReleaseError, notices, packages, refused
from releasing.papers import bill_of_materials, commit, echarts_version, json_text, provenance, sha256_of, sums

NOTICES: Final = ROOT / "THIRD_PARTY_NOTICES.md"


def roots() -> list[str]:
    """The packages that recon asks for itself, without its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.split(r"[\[<>=;~! ]", line, maxsplit=1)[0].lower().replace("_", "-") for line in project["dependencies"]]


def notices_text(found: list[Package]) -> str:
    """The page of notices as it must stand."""
    return notices(found, echarts=echarts_version())


def checked(out: Path) -> list[Path]:
    """Build twice and hold the second to the first, and both to what they must be.

    Raises:
        ReleaseError: The bytes differ, or an archive is not what it must be.
    """
    moment = release_moment(__version__)
    with tempfile.TemporaryDirectory(prefix="recon-release-") as held:
        scratch = Path(held)
        for name in ("first", "again", "again-out"):
            (scratch / name).mkdir()
        sdist, wheel = build(out, moment=moment, scratch=scratch / "first")
        other = build(scratch / "again-out", moment=moment, scratch=scratch / "again")
        differing = [
            one.name for one, two in zip((sdist, wheel), other, strict=True) if sha256_of(one) != sha256_of(two)
        ]
    if differing:
        raise ReleaseError(f"built twice, {' and '.join(differing)} had other bytes the second time.")
    if wrong := faults(sdist, wheel, version=__version__):
        raise ReleaseError("the archives are not what they must be:\n  " + "\n  ".join(wrong[:20]))
    return [sdist, wheel]


def tag() -> str:
    """Sign a tag for the version where there is a key.

    Raises:
        ReleaseError: The tree is not as its commit says, or git could not sign.
    """
    name, (head, is_clean) = f"v{__version__}", commit()
    if not head:
        return "This is no git checkout, so there is no tag to sign."
    if not is_clean:
        raise ReleaseError("files differ from the last commit; a tag would name something else than what was built.")
    key = subprocess.run(["git", "config", "user.signingkey"], cwd=ROOT, capture_output=True, text=True, check=False)
    if not key.stdout.strip():
        return f"No signing key is configured (git config user.signingkey), so {name} was not signed."
    ran = subprocess.run(
        ["git", "tag", "-s", name, "-m", f"recon {__version__}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise ReleaseError(f"git could not sign {name}: {ran.stderr.strip()[:300]}")
    return f"Signed the tag {name}; push it with: git push origin {name}"


def release(out: Path, *, with_tag: bool, with_audit: bool) -> None:
    """Make a release in a new folder.

    Raises:
        ReleaseError: Something is not as it must be; the folder holds nothing that may be published.
    """
    if out.exists() and any(out.iterdir()):
        raise ReleaseError(f"{out} is not empty; a release goes into a folder of its own.")
    found = packages(ROOT / "constraints.txt")
    if wrong := refused(found):
        raise ReleaseError("licences: " + "; ".join(wrong))
    if NOTICES.read_text(encoding="utf-8") != notices_text(found):
        raise ReleaseError("THIRD_PARTY_NOTICES.md is of other packages; run scripts/release --notices.")
    out.mkdir(parents=True, exist_ok=True)
    try:
        archives = checked(out)
    except ReleaseError:
        shutil.rmtree(out)
        raise
    moment = release_moment(__version__)
    bom = bill_of_materials(found, roots=roots(), version=__version__, moment=moment, files=archives)
    papers = {
        "sbom.cdx.json": json_text(bom),
        "provenance.intoto.json": json_text(provenance(archives, version=__version__, moment=moment)),
        "licences.txt": "".join(f"{each.name} {each.version}: {each.licence}\n" for each in found),
    }
    for name, text in papers.items():
        (out / name).write_text(text, encoding="utf-8")
    said = [
        audit(ROOT / "constraints.txt", out=out) if with_audit else "Known weaknesses were not asked for (--audit)."
    ]
    files = sorted(path for path in out.iterdir() if path.is_file())
    (out / "SHA256SUMS").write_text(sums(files), encoding="utf-8")
    said.append(tag() if with_tag else "No tag was asked for (--tag).")
    for path in [*files, out / "SHA256SUMS"]:
        print(f"{path.stat().st_size:>10}  {path.name}")
    print("Built twice with the same bytes; names, licences and traces of this machine were checked.")
    print("\n".join(said))


def main() -> int:
    """Read the options, and leave with 1 where there is no release."""
    given = argparse.ArgumentParser(prog="scripts/release", description=__doc__)
    given.add_argument("folder", nargs="?", type=Path, help="A new folder for the release.")
    given.add_argument("--tag", action="store_true", help="Sign a tag where git has a key.")
    given.add_argument("--audit", action="store_true", help="Ask for known weaknesses of the pinned packages.")
    given.add_argument("--notices", action="store_true", help="Write THIRD_PARTY_NOTICES.md anew and build nothing.")
    options = given.parse_args()
    try:
        if options.notices:
            NOTICES.write_text(notices_text(packages(ROOT / "constraints.txt")), encoding="utf-8")
        elif options.folder is None:
            given.error("name a new folder for the release")
        else:
            release(options.folder.absolute(), with_tag=options.tag, with_audit=options.audit)
    except ReleaseError as error:
        print(f"No release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
