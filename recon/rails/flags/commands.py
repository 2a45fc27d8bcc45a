"""Flags in the command that a container starts with: ``env NAME=value program``, or an option that may switch a rail.

What a command sets wins over every variable of the service. An assignment in front of the program is read; anything
else that names a flag, or an option that may be about rails, makes the flags a doubt: nobody can tell what the program
makes of it.

>>> said = said_in_command(("env", "X_ENABLED=false", "node", "a.js"), flags=("X_ENABLED",), file="c.yaml", line=4)
>>> said["X_ENABLED"].value, said["X_ENABLED"].where
('false', 'c.yaml:4 command')
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from recon.rails.flags.readings import FlagSaid
from recon.sources.providers.installed import providers

PLACE: Final = "command"
TEXT_MAX: Final = 20_000
_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_SHELLS: Final = ("sh", "bash", "dash", "ash", "zsh")
_SHELL_SIGNS = re.compile(r"[;&|<>(){}$`\\\n*?\[\]~#!]")
_ENV_TAKING_ONE: Final = ("-u", "--unset", "-C", "--chdir", "-S", "--split-string")
_LOADERS = re.compile(
    r"(?:^|[;&|({]\s*|\s)(?:source|\.)\s+[^\s;&|-][^\s;&|]*|(?:^|[;&|({\s])eval\s+\S+|\bexport\s+[$`]\S*|\$\((?:<|cat\b)[^)]*\)"
    r"|(?<![\w.-])(?:(?:doppler|infisical|op|teller)\s+run|(?:chamber|berglas)\s+exec|sops\s+exec-env"
    r"|(?:envconsul|envdir|summon|vault-env)(?=\s)|dotenv\s(?:\S+\s)*?(?:-o|--override)(?=\s)"
    r"|dotenvx\s(?:\S+\s)*?(?:-o|--overload)(?=\s))"
)
"""What hands a program variables from elsewhere that win over those of the service: shells and keepers of secrets."""
_MONEY_WORDS: Final = ("rail", "provider", "gateway", "payment")


def split_command(text: str) -> tuple[str, ...]:
    """The words of a command that is one text, as Compose splits it; the text itself where it cannot be split."""
    try:
        return tuple(shlex.split(text))
    except ValueError:
        return (text,)


def said_in_command(
    words: Sequence[str], *, flags: Collection[str], file: str, line: int, place: str = PLACE
) -> dict[str, FlagSaid]:
    """What a command says of flags: values that it assigns, and doubts.

    Args:
        words: Entry point and command, one word each, with names filled in.
    """
    assigned, rest, is_bare = _assignments(list(words))
    found: dict[str, FlagSaid] = {}
    for name, value in assigned.items():
        doubt = f"the {place} takes it away" if value is None else ""
        if "$" in (value or ""):
            doubt = f"the {place} sets it to what only its shell knows"
        found[name] = FlagSaid(name, None if doubt else value, file, place, line, raw=value or "", doubt=doubt)
    for flag, word in _doubtful(rest, flags):
        found[flag] = FlagSaid(flag, None, file, place, line, doubt=f"the {place} has {word[:60]!r}, which may set it")
    if why := "clears the environment" if is_bare else _loaded(rest):
        for flag in set(flags) - set(found):
            found[flag] = FlagSaid(flag, None, file, place, line, doubt=f"the {place} {why}")
    return found


def _loaded(words: Sequence[str]) -> str:
    """Why variables of the service need not count: the command takes others from elsewhere; empty where it does not."""
    loader = _LOADERS.search(" ".join(words)[:TEXT_MAX])
    if loader is None:
        return ""
    # Only what names the loader: an assignment among its words may be a secret.
    named = " ".join(word for word in loader[0].strip(";&|({ ").split()[:2] if "=" not in word)
    return f"has {named[:60]!r}, which sets variables that are not looked at"


def _assignments(words: list[str]) -> tuple[dict[str, str | None], list[str], bool]:
    """What stands before the program; the words from it on; and whether the environment is cleared first."""
    assigned: dict[str, str | None] = {}
    is_bare = False
    while words:
        name = words[0].rpartition("/")[2]
        if name == "env":
            words, unset, cleared = _after_env(words[1:])
            assigned |= dict.fromkeys(unset)
            is_bare |= cleared
        elif (script := _simple_script(words)) is not None:
            words = ["env", *script]
            continue
        elif name in ("exec", "nice", "tini", "dumb-init", "--"):
            words = words[1:]
            continue
        else:
            break
        while words and (found := _ASSIGNED.fullmatch(words[0])) is not None:
            assigned[found[1]], words = found[2], words[1:]
    return assigned, words, is_bare


def _after_env(words: list[str]) -> tuple[list[str], list[str], bool]:
    """The words behind the options of ``env``, the names that it takes away, and whether it takes all."""
    unset: list[str] = []
    is_bare = False
    while words and words[0].startswith("-"):
        option, words = words[0], words[1:]
        is_bare |= option in ("-", "-i", "--ignore-environment")
        if option == "--":
            break
        if option.startswith("--unset="):
            unset.append(option.partition("=")[2])
        elif option in _ENV_TAKING_ONE and words:
            unset += words[:1] if option in ("-u", "--unset") else []
            words = words[1:] if option not in ("-S", "--split-string") else [*split_command(words[0]), *words[1:]]
    return words, unset, is_bare


def _simple_script(words: Sequence[str]) -> tuple[str, ...] | None:
    """The words of ``sh -c SCRIPT`` where the script is one plain command; None for every other."""
    if len(words) < len(("sh", "-c", "x")) or words[0].rpartition("/")[2] not in _SHELLS or words[1] != "-c":
        return None
    return None if _SHELL_SIGNS.search(words[2]) else split_command(words[2])


def _doubtful(words: Sequence[str], flags: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each flag with the word of a command that may set it."""
    for word in words:
        for flag in _named(word, flags) or (flags if _is_about_rails(word) else ()):
            yield flag, word


def rail_options(words: Sequence[str], flags: Collection[str]) -> tuple[str, ...]:
    """The options of a command that may switch a rail and name no flag."""
    return tuple(word for word in words if _is_about_rails(word) and not _named(word, flags))


def _named(word: str, flags: Collection[str]) -> list[str]:
    return [flag for flag in flags if flag in word or _as_option(flag) in word.lower()]


def _as_option(flag: str) -> str:
    return "--" + flag.lower().replace("_", "-")


def _is_about_rails(word: str) -> bool:
    """Whether an option may switch a rail, by its name."""
    if not word.startswith("-"):
        return False
    plain = re.sub(r"[^a-z]", "", word.partition("=")[0].lower())
    names = (re.sub(r"[^a-z]", "", name) for name in providers())
    return any(part in plain for part in (*_MONEY_WORDS, *names))
