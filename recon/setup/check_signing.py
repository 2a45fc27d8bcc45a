"""Checks whether decisions can be signed and believed: OpenSSH, the files of signers, our key and its agent."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from recon.core.errors import ReconError
from recon.core.text import count_text
from recon.plans.ssh_keys import APPROVES, NAMESPACES, Signers, SigningKey, agent_keys, signer_rules
from recon.setup.open_decisions import signers_of, signing_key
from recon.setup.settings import Settings

State = Literal["ok", "warning", "failed"]
Word = tuple[State, str]

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def signing_says(settings: Settings) -> Iterator[Word]:
    """What there is to know about signed decisions, a sentence at a time."""
    try:
        signers, key = signers_of(settings), signing_key(settings)
    except ReconError as error:
        yield "failed", str(error)
        return
    if signers is None:
        yield (
            "warning",
            ("Names are claims: [approvals] allowed_signers is not set, so one person can decide under two names."),
        )
        return
    if shutil.which("ssh-keygen") is None:
        yield "failed", "ssh-keygen is not on this machine, so no signature can be made or checked."
        return
    yield from _files_say(signers)
    yield from _key_says(signers, key)


def _files_say(signers: Signers) -> Iterator[Word]:
    rules = signer_rules(signers.allowed.read_bytes())
    yield "ok", f"{signers.allowed} names {count_text(len(rules), 'signer')}."
    for path in filter(None, (signers.allowed, signers.revoked)):
        if path.stat().st_mode & _OTHERS_WRITE:
            yield "warning", f"{path} can be written by others than its owner, who can then make anything count."
    open_to_all = [principals for principals, rest in rules if "namespaces=" not in rest]
    if open_to_all:
        more = f" and {count_text(len(open_to_all) - 1, 'more signer')}" if len(open_to_all) > 1 else ""
        yield (
            "warning",
            (
                f"No namespaces= for {open_to_all[0]}{more}, so a signature made for "
                f'another program is held against nothing but its text; write namespaces="{",".join(NAMESPACES)}".'
            ),
        )
    wild = [principals for principals, rest in rules if "cert-authority" not in rest and set("*?!") & set(principals)]
    if wild:
        yield "warning", f"{wild[0]} is a pattern and no name: everybody it fits counts as one person."


def _key_says(signers: Signers, key: SigningKey | None) -> Iterator[Word]:
    if key is None:
        yield "warning", "No [approvals] signing_key is set here: plans are made by nobody known; --key names a key."
        return
    if not key.path.is_file():
        yield "failed", f"[approvals] signing_key: there is no {key.path}."
        return
    is_public = key.path.suffix == ".pub"
    if is_public and not _is_at_hand(key.path):
        where = "the agent does not hold it" if os.environ.get("SSH_AUTH_SOCK") else "no agent runs (SSH_AUTH_SOCK)"
        yield "failed", f"[approvals] signing_key: {key.path} is a public key, and {where}."
        return
    if not is_public and key.path.stat().st_mode & (_OTHERS_WRITE | stat.S_IRGRP | stat.S_IROTH):
        yield "failed", f"[approvals] signing_key: {key.path} can be read by others; OpenSSH refuses it. chmod 600 it."
        return
    if _wants_a_touch(key.path):
        yield "ok", f"{key.path} is a hardware key; whether it signs is seen when it is touched."
        return
    try:
        signature = key.sign("recon doctor", namespace=APPROVES)
        signer = signers.check("recon doctor", signature=signature, namespace=APPROVES, times=(datetime.now(UTC),))
    except ReconError as error:
        yield "failed", f"{key.path}: {error}"
        return
    yield "ok", f"{key.path} signs as {signer}."


def _is_at_hand(public: Path) -> bool:
    """Whether the private half of a public key is in the agent or in the file beside it."""
    name = public.name.removesuffix(".pub").removesuffix("-cert")
    if public.with_name(name).is_file():
        return True
    mine = " ".join(public.read_text(encoding="utf-8", errors="replace").split()[:2])
    return mine in agent_keys()


def _wants_a_touch(path: Path) -> bool:
    public = path if path.suffix == ".pub" else path.with_name(f"{path.name}.pub")
    return public.is_file() and public.read_text(encoding="utf-8", errors="replace").startswith("sk-")
