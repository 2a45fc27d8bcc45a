"""Real SSH keys for tests, made with the machine's own ``ssh-keygen``; without it a test fails and says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

NAMESPACES = "plan-approval@recon,plan-author@recon,sample-signoff@recon,break-acknowledgement@recon"


def ssh(*command: str | Path, text: str = "") -> str:
    """Run a program of OpenSSH and give what it printed."""
    if shutil.which(str(command[0])) is None:
        pytest.fail(f"{command[0]} is missing and signed decisions cannot be tested: install openssh-client")
    done = subprocess.run(list(map(str, command)), input=text, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Keys:
    """A folder of keys and the file that says whose they are."""

    folder: Path

    @property
    def allowed(self) -> Path:
        return self.folder / "allowed_signers"

    def make(self, name: str, *, kind: str = "ed25519") -> Path:
        path = self.folder / name
        ssh("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", path)
        return path

    def public(self, key: Path) -> str:
        return " ".join(key.with_name(f"{key.name}.pub").read_text().split()[:2])

    def allow(self, principals: str, key: Path, *, options: str = f'namespaces="{NAMESPACES}"') -> None:
        with self.allowed.open("a") as file:
            file.write(f"{principals} {options} {self.public(key)}\n")

    def person(self, name: str) -> Path:
        """A key of somebody whose principal is that name at example.org."""
        key = self.make(name)
        self.allow(f"{name}@example.org", key)
        return key

    def revoke(self, key: Path) -> Path:
        path = self.folder / "revoked"
        path.write_text(f"{self.public(key)}\n")
        return path

    def certify(self, key: Path, *, by: Path, principals: str, valid: str = "+1h") -> Path:
        ssh("ssh-keygen", "-q", "-s", by, "-I", key.name, "-n", principals, "-V", valid, f"{key}.pub")
        return key.with_name(f"{key.name}-cert.pub")


@contextmanager
def agent_with(*keys: Path) -> Iterator[None]:
    """An agent that holds some keys, in the environment of this process; it ends with the block."""
    said = ssh("ssh-agent", "-s")
    values = dict(part.split("=", 1) for part in said.replace("\n", "").split(";") if "=" in part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSH_AUTH_SOCK", values["SSH_AUTH_SOCK"])
        try:
            for key in keys:
                ssh("ssh-add", "-q", key)
            yield
        finally:
            os.kill(int(values["SSH_AGENT_PID"]), 15)
