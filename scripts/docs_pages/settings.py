"""The page of settings: every key that ``recon.toml`` may have, with its type, default and meaning."""

from __future__ import annotations

import re
import tomllib
import types
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from docs_pages.words import cell, code, made, prose, table
from recon.setup.example import example
from recon.setup.file import SettingsFile
from recon.sources.providers.installed import providers

MEANINGS: Final = Path(__file__).with_name("settings.toml")
_NAMES: Final = {int: "whole number", float: "number", str: "text", bool: "true or false", SecretStr: "text"}
_OWN: Final = {"ChainSection": "chains"}


def settings_page() -> str:
    """Every setting.

    Raises:
        ValueError: A setting has no meaning written down, or a meaning has no setting.
    """
    meanings = dict(_flat(tomllib.loads(MEANINGS.read_text(encoding="utf-8"))))
    used: set[str] = set()
    parts = [_section(name, info, meanings, used) for name, info in SettingsFile.model_fields.items()]
    if left := sorted(set(meanings) - used):
        raise ValueError(f"{MEANINGS.name} explains what is no setting: {', '.join(left)}")
    return made(
        "Settings", _LEAD, *parts, _secrets(), "## The file that `recon init` writes", f"```toml\n{example()}```"
    )


def _flat(given: dict[str, Any], path: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in given.items():
        here = f"{path}.{name}".lstrip(".")
        found += _flat(value, here) if isinstance(value, dict) else [(here, value)]
    return found


def _section(name: str, info: FieldInfo, meanings: dict[str, str], used: set[str]) -> str:
    models = _models(info.annotation)
    if not models:
        return f"## `{name}`\n\n{_meaning(name, meanings, used)}\n\nDefault: {_default(info)}."
    is_list, is_table = "tuple" in str(info.annotation), "dict" in str(info.annotation)
    head = f"[[{name}]]" if is_list else f"[{name}]"
    rows: list[tuple[str, ...]] = []
    _rows(models[0], name, meanings, used, rows)
    lead = re.sub(r"^`\[.*?\]+`: ", "", prose(models[0].__doc__))
    if name in meanings:
        lead = _meaning(name, meanings, used)
    note = "\n\nOne part for each; the word behind the point is yours." if is_table else ""
    return f"## `{head}`\n\n{lead[:1].upper()}{lead[1:]}{note}\n\n{table(('key', 'type', 'default', 'means'), rows)}"


def _rows(
    model: type[BaseModel], path: str, meanings: dict[str, str], used: set[str], rows: list[tuple[str, ...]]
) -> None:
    for name, info in model.model_fields.items():
        here = f"{path}.{name}"
        below = _models(info.annotation)
        known = _shared(here)
        shown = here.partition(".")[2]
        rows.append((code(shown), _type(info.annotation), _default(info), _meaning(known, meanings, used)))
        if below:
            _rows(below[0], here, meanings, used, rows)


def _shared(path: str) -> str:
    """Where the meaning of a setting stands: probes, and what every provider has, are explained once."""
    head, _, rest = path.partition(".")
    if head in providers() and rest in ("enabled", "account", "calls_per_s", "timeout_s", "retries_max"):
        return f"provider.{rest}"
    return re.sub(r"^flags\.(?:health|readback|checkout)\.", "probe.", path)


def _meaning(name: str, meanings: dict[str, str], used: set[str]) -> str:
    if name not in meanings:
        raise ValueError(f"{MEANINGS.name} does not explain {name}")
    used.add(name)
    return meanings[name]


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _type(annotation: Any) -> str:
    origin, parts = get_origin(annotation), [part for part in get_args(annotation) if part is not type(None)]
    if origin is Literal:
        return " or ".join(f'`"{part}"`' for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(part) for part in parts)
    if origin is tuple:
        return f"list of {_type(parts[0])}" if Ellipsis in parts else f"pair of {_type(parts[0])}"
    if origin is dict:
        return "a table for each name" if _models(parts[1]) else f"table of {_type(parts[1])}"
    if parts:
        return _type(parts[0])
    return _NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "must be given"
    value = info.get_default(call_default_factory=True)
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, dict):
        return cell(", ".join(f"`{name} = {each}`" for name, each in value.items()))
    several = value if isinstance(value, tuple) else (value,)
    return cell(
        ", ".join(code(int(each) if isinstance(each, float) and each.is_integer() else each) for each in several)
    )


def _secrets() -> str:
    rows = [("`RECON_MONGO_URI`", "the address of the database, with a login that may read"),
            ("`RECON_MONGO_WRITE_URI`", "the same with a login that may write, for `recon apply`")]  # fmt: skip
    for each in providers().values():
        rows += [(code(variable), f"{each.title}: {what}") for variable, what in each.secrets.items()]
        if each.webhooks.secret_setting:
            info = each.section().model_fields.get(each.webhooks.secret_setting)
            if info is not None and str(info.default) not in each.secrets:
                rows.append((code(info.default), f"{each.title}: the secret that its webhooks are signed with"))
    return "## Secrets\n\n" + _SECRETS + "\n\n" + table(("variable", "what it is"), rows)


_LEAD: Final = """\
One file, `recon.toml`, or the one that `--config` or `RECON_CONFIG` names; `recon init` writes it with comments. An
unknown key is refused with the nearest known one, and `recon doctor` tries everything that is set. Relative paths
start at the folder of the file.

**A variable beats the file.** It is called `RECON_`, the section, two underscores, the key:
`RECON_LIMITS__CHANGES_MAX=800` beats `changes_max` of `[limits]`. A whole section or list is given as JSON:
`RECON_CHAINS='[{"chain_id": 56}]'`."""
_SECRETS: Final = """\
Secrets stand in no configuration: one that does is refused. They come from the environment, or from the dotenv file
that `secrets_file` names, and are never printed, logged or written. `..._variable` settings name other variables. An
endpoint may hold `${NAME}`, which is filled in from the same places. While a webhook secret or key is being replaced,
the old one may stay under the same name with `_OLD` behind it."""
