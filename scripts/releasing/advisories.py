"""What is known of weaknesses in the pinned packages, and whether whoever was asked knows of any at all.

Silence proves nothing: a mirror that has no advisories answers as one that knows of none. So the package of
:data:`KNOWN_WEAK`, in a version of which weaknesses are known, is asked about first.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import Any, Final

from releasing.licences import ReleaseError

SERVICES: Final = ("pypi", "osv")
KNOWN_WEAK: Final = "jinja2==3.1.2"
WAIT_S: Final = 300

Json = dict[str, Any]


def audit(constraints: Path, *, out: Path) -> str:
    """Ask with pip-audit, in an environment of its own; the sentence says what was learned, or that nothing was.

    Raises:
        ReleaseError: A weakness of a pinned package is known; ``pip-audit.json`` names it.
    """
    with tempfile.TemporaryDirectory(prefix="recon-audit-") as held:
        home = Path(held)
        venv.create(home, with_pip=True)
        python = str(home / "bin" / "python")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pip-audit"]
        if subprocess.run(install, capture_output=True, check=False).returncode:
            return "pip-audit could not be installed, so nothing was asked about known weaknesses."
        (home / "known.txt").write_text(f"{KNOWN_WEAK}\n", encoding="utf-8")
        for service in SERVICES:
            if weak_in(_asked(python, home / "known.txt", "--no-deps", service=service)):
                answer = _asked(python, constraints, "--require-hashes", service=service)
                (out / "pip-audit.json").write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
                return learned(answer, service=service)
    return (
        f"No advisory source answered pip-audit ({', '.join(SERVICES)}: none knows of the weaknesses of {KNOWN_WEAK}), "
        "so nothing is known about weaknesses; run it where one can be reached."
    )


def _asked(python: str, requirements: Path, *options: str, service: str) -> Json:
    """The answer of pip-audit; an empty one where there is none."""
    command = [python, "-m", "pip_audit", "--requirement", str(requirements), "--disable-pip", *options]
    command += ["--progress-spinner", "off", "--format", "json", "--timeout", "10", "--vulnerability-service", service]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WAIT_S)
        answer = json.loads(ran.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def weak_in(answer: Json) -> list[str]:
    """The packages of an answer of which weaknesses are known."""
    return [f"{each['name']} {each['version']}" for each in answer.get("dependencies", ()) if each.get("vulns")]


def learned(answer: Json, *, service: str) -> str:
    """What an answer says, in one sentence.

    Raises:
        ReleaseError: A weakness is known.
    """
    if weak := weak_in(answer):
        raise ReleaseError(f"weaknesses are known of {', '.join(weak)}; pip-audit.json says which.")
    told = answer.get("dependencies", ())
    skipped = [each["name"] for each in told if "vulns" not in each]
    if not told or len(skipped) == len(told):
        return f"pip-audit asked {service} and got no answer about any package, so nothing is known about weaknesses."
    left = f"; {len(skipped)} could not be asked about: {', '.join(skipped)}" if skipped else ""
    return f"pip-audit asked {service} about {len(told) - len(skipped)} packages and knows no weakness{left}."
