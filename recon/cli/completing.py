"""What the tab key offers as values: names that lie in files beside the configuration, and words that are known.

Nothing is asked of a database or a network, no plan is checked, and what cannot be read offers nothing: a person who
types is never told of an error by the tab key. What is offered is a help to type, and the command checks it.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from recon.core.registry import Registry

OFFERED_MAX: Final = 500
_FILES_MAX: Final = 1000
_TAIL_BYTES: Final = 1 << 20
_CONFIG_MAX_BYTES: Final = 1_000_000
_PLAN_MAX_BYTES: Final = 100_000_000
_HEAD_BYTES: Final = 400
_TYPED: Final = re.compile(r"[\w.:@/+=-]{1,300}\Z")
"""What needs no quoting in any of the shells, and steers none of them."""
Word = tuple[str, str]
"""A word and what it is."""
Words = Iterable[Word]


def complete_values(command: click.Command, *, name: str) -> None:
    """Let the options and arguments of a command, and of those below it, offer their values.

    Args:
        name: The whole name of the command, without the program's.
    """
    for param in command.params:
        if (words := offered_by(param, command=name)) is not None:
            vars(param)["shell_complete"] = partial(_offered, param, words)
    if isinstance(command, click.Group):
        for each, below in command.commands.items():
            complete_values(below, name=f"{name} {each}")


def offered_by(param: click.Parameter, *, command: str) -> Callable[[click.Context], Words] | None:
    """What gives the words of an option or argument of a command; None where there are none to offer."""
    if isinstance(param, click.Option) and param.is_flag:
        return None
    return WORDS.get(f"{command} {param.name}") or WORDS.get(param.name or "")


def _offered(
    param: click.Parameter, words: Callable[[click.Context], Words], ctx: click.Context, incomplete: str
) -> list[CompletionItem]:
    """The words that begin as what is typed, and files where the value may be one."""
    items: list[CompletionItem] = []
    with suppress(Exception):
        for word, told in words(ctx):
            if word.startswith(incomplete) and _TYPED.match(word):
                items.append(CompletionItem(word, help=told or None))
            if len(items) >= OFFERED_MAX:
                break
    if isinstance(param.type, click.Path):
        items += param.type.shell_complete(ctx, param, incomplete)
    return items


# Where things lie


def _config_file(ctx: click.Context) -> Path:
    named = ctx.params.get("config_path") or os.environ.get("RECON_CONFIG") or "recon.toml"
    return Path(str(named)).expanduser()


def _settings(ctx: click.Context) -> Mapping[str, Any]:
    path = _config_file(ctx)
    with suppress(OSError, ValueError, RecursionError):
        if path.stat().st_size <= _CONFIG_MAX_BYTES:
            return tomllib.loads(path.read_text(encoding="utf-8"))
    return {}


def _folder(ctx: click.Context) -> Path:
    named = os.environ.get("RECON_OUTPUT__DIR") or (_settings(ctx).get("output") or {}).get("dir") or "recon-out"
    return _config_file(ctx).parent / str(named)


def _newest(paths: Iterable[Path]) -> list[Path]:
    """The newest first, as many as are looked at."""
    found = []
    for path in paths:
        with suppress(OSError):
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)[:_FILES_MAX]]


def _tail(path: Path) -> Iterator[Mapping[str, Any]]:
    """The last lines of a log that are whole, the latest first."""
    with suppress(OSError):
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _TAIL_BYTES))
            lines = stream.read(_TAIL_BYTES).splitlines()
        for line in reversed(lines):
            with suppress(ValueError, RecursionError):
                if isinstance(found := json.loads(line), dict):
                    yield found


def _head(path: Path) -> str:
    with suppress(OSError), path.open("rb") as stream:
        return stream.read(_HEAD_BYTES).decode("utf-8", "replace")
    return ""


# Plans, snapshots, runs, payments


def plan_words(ctx: click.Context) -> Words:
    """The plans in the output directory by their names, newest first, and ``latest``."""
    yield "latest", "the newest plan"
    for path in _newest(_folder(ctx).glob("*.json")):
        if '"effects_digest"' in (head := _head(path)):
            kind = re.search(r'"kind":"(\w+)"', head)
            yield path.stem, f"{kind[1]} plan" if kind else "plan"


def flag_plan_words(ctx: click.Context) -> Words:
    """The files in the output directory that may hold a plan for flags, and ``latest``."""
    yield "latest", "the newest plan for flags"
    for path in _newest(_folder(ctx).glob("*.json")):
        if '"effects_digest"' not in _head(path):
            yield str(path), ""


def snapshot_words(ctx: click.Context) -> Words:
    """The snapshots in the output directory, newest first, and ``latest``."""
    yield "latest", "the newest snapshot"
    yield from _snapshot_folders(ctx)


def _snapshot_folders(ctx: click.Context) -> Words:
    for path in _newest(found.parent for found in _folder(ctx).glob("*/manifest.json")):
        yield str(path), "snapshot"


def unfinished_words(ctx: click.Context) -> Words:
    """The directories of snapshots that are not sealed yet, and ``latest``."""
    yield "latest", "the newest interrupted snapshot"
    for path in _newest(_folder(ctx).glob("snapshot-*")):
        if not (path / "manifest.json").exists():
            yield str(path), "interrupted snapshot"


def run_words(ctx: click.Context) -> Words:
    """The runs that were applied from this machine, newest first, and ``last``."""
    yield "last", "the newest run"
    yield from dict.fromkeys(_runs(_folder(ctx) / "journal-heads.ndjson"))


def flag_run_words(ctx: click.Context) -> Words:
    """The runs in the journal of flags, newest first, and ``last``."""
    yield "last", "the newest run"
    yield from dict.fromkeys(_runs(_folder(ctx) / "flags-journal.ndjson"))


def _runs(path: Path) -> Iterator[Word]:
    for line in _tail(path):
        if isinstance(run := line.get("run"), str):
            yield run, ""


def artefact_words(ctx: click.Context) -> Words:
    """Plans and snapshots."""
    yield from plan_words(ctx)
    yield from _snapshot_folders(ctx)


def page_words(ctx: click.Context) -> Words:
    """What a page can be made of: plans, snapshots and runs."""
    yield from artefact_words(ctx)
    yield from _runs(_folder(ctx) / "journal-heads.ndjson")


def payment_words(ctx: click.Context) -> Words:
    """The payments of the plan that is named on the line, else of the newest one, with their verdicts."""
    return _rows(ctx, "findings", "changes")


def changed_words(ctx: click.Context) -> Words:
    """The payments for which that plan has a change."""
    return _rows(ctx, "changes")


def _rows(ctx: click.Context, *parts: str) -> Iterator[Word]:
    import msgspec

    path = _plan_file(ctx)
    if path is None or path.stat().st_size > _PLAN_MAX_BYTES:
        return
    content = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])
    seen = set()
    for part in parts:
        for row in msgspec.json.decode(content[part], type=list[_row_type()]):  # type: ignore[misc]
            payment = row.payment_id.strip('"')
            if payment not in seen:
                seen.add(payment)
                yield payment, row.verdict


def _row_type() -> type[Any]:
    import msgspec

    return msgspec.defstruct("Row", [("payment_id", str), ("verdict", str)])


def _plan_file(ctx: click.Context) -> Path | None:
    """The file of the plan that the line names, else of the newest one."""
    named = next((str(ctx.params[key]) for key in ("plan_path", "plan", "artefact") if ctx.params.get(key)), "latest")
    folder = _folder(ctx)
    if Path(named).is_file():
        return Path(named)
    if named not in ("latest", "last"):
        return next((each for each in _newest(folder.glob("*.json")) if each.stem.startswith(named)), None)
    noted = (Path(str(line.get("plan", ""))) for line in _tail(folder / "history.ndjson"))
    plans = (each for each in _newest(folder.glob("*.json")) if '"effects_digest"' in _head(each))
    return next((each for each in (*noted, *plans) if each.is_file()), None)


# Words that are known


def _registry() -> Registry:
    from recon.core.registry import load_registry

    return load_registry()


def verdict_words(_ctx: click.Context) -> Words:
    """The verdicts."""
    from recon.core.model import Verdict

    return ((verdict.value, "") for verdict in Verdict)


def tier_words(_ctx: click.Context) -> Words:
    """The tiers, and what becomes of them."""
    from recon.core.model import TIER_TEXT

    return ((tier.value, text) for tier, text in TIER_TEXT.items())


def status_words(_ctx: click.Context) -> Words:
    """The statuses."""
    from recon.core.model import STATUSES

    return ((status, "") for status in STATUSES)


def rail_words(ctx: click.Context) -> Words:
    """The rails of the registry, and those that the configuration adds."""
    more = (_settings(ctx).get("flags") or {}).get("extra_providers") or ()
    return ((name, "rail") for name in sorted({*_registry().provider_aliases.values(), *map(str, more)}))


def chain_words(ctx: click.Context) -> Words:
    """The names of chains, and their ids."""
    registry = _registry()
    named = {name: f"chain {chain}" for name, chain in registry.chain_aliases.items()}
    named |= dict.fromkeys(map(str, registry.chains), "chain")
    for chain in _settings(ctx).get("chains") or ():
        named |= {str(chain.get("name", "")): f"chain {chain.get('chain_id')}", str(chain.get("chain_id", "")): "chain"}
    return sorted(named.items())


def token_words(ctx: click.Context) -> Words:
    """The symbols of tokens."""
    symbols = {token.symbol for token in _registry().tokens.values()}
    symbols |= {str(token.get("symbol", "")) for token in _settings(ctx).get("tokens") or ()}
    return ((symbol, "token") for symbol in sorted(symbols))


def limit_words(ctx: click.Context) -> Words:
    """The beginnings of value limits: the symbol and the sign after it."""
    return ((f"{symbol}=", "whole tokens") for symbol, _ in token_words(ctx))


def recipe_words(ctx: click.Context) -> Words:
    """The recipes for flags, and those of the configuration."""
    from recon.rails.flags.recipes import RECIPES

    own = (_settings(ctx).get("flags") or {}).get("recipes") or {}
    return ((name, "recipe") for name in (*RECIPES, *own))


WORDS: Final[Mapping[str, Callable[[click.Context], Words]]] = {
    "artefact": artefact_words,
    "before": plan_words,
    "but": changed_words,
    "chains": chain_words,
    "judged": artefact_words,
    "max_value": limit_words,
    "min_value": limit_words,
    "payment": payment_words,
    "payments": changed_words,
    "plan": plan_words,
    "plan_path": plan_words,
    "provider": rail_words,
    "rail": rail_words,
    "providers": rail_words,
    "rails": rail_words,
    "recipe": recipe_words,
    "resume": run_words,
    "run": run_words,
    "safe": rail_words,
    "sick": rail_words,
    "snapshot_path": snapshot_words,
    "statuses": status_words,
    "tiers": tier_words,
    "tokens": token_words,
    "value_max": limit_words,
    "value_max_per_payment": limit_words,
    "verdicts": verdict_words,
    # Where the name alone says too little: the command and the name.
    "ack breaks": payment_words,
    "ack but": payment_words,
    "attest make subject": page_words,
    "case name": payment_words,
    "flags apply plan_path": flag_plan_words,
    "flags undo run": flag_run_words,
    "inspect name": payment_words,
    "ledger check ids": payment_words,
    "plan ids": payment_words,
    "plan resume": unfinished_words,
    "plan since": snapshot_words,
    "report incident snapshot": snapshot_words,
    "report page artefact": page_words,
    "sample snapshot": snapshot_words,
    "search text": payment_words,
    "search token": token_words,
    "snapshot ids": payment_words,
    "snapshot resume": unfinished_words,
    "snapshot since": snapshot_words,
    "what-if snapshot_paths": snapshot_words,
}
"""By the name of an option or argument what it offers, or by command and name where that says more."""
