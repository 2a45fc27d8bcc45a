"""Flags in a Docker Compose file: read from one service's ``environment``, changed only as a patch to apply by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from recon.rails.flags.dotenv import check_value
from recon.rails.flags.errors import ManifestError
from recon.rails.flags.words import FlagWords
from recon.rails.flags.yamltext import (
    Replacement,
    YamlFile,
    child,
    keys,
    mapping,
    parse_yaml_text,
    read_yaml_text,
    replace_stretches,
    scalar,
    spell_scalar,
    unified_patch,
)

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node, SequenceNode


@dataclass(frozen=True, slots=True)
class ComposeFlags:
    """The environment of one service.

    Args:
        values: As written; None for a name without a value, which Compose takes from the shell.
        notes: What else feeds the service's environment, or limits what a patch does.
    """

    path: str
    service: str
    values: Mapping[str, str | None]
    notes: tuple[str, ...]


def read_compose(path: Path, *, words: FlagWords, service: str | None = None) -> ComposeFlags:
    """Read the flags of a service; without a name, of the only service that sets any.

    Raises:
        ManifestError: The file is no Compose file, or which service is meant is not clear.
    """
    file = read_yaml_text(path)
    name = _service_name(file, words, service)
    body = child(child(file.roots[0], "services"), name)
    environment = child(body, "environment")
    notes = []
    if child(body, "env_file") is not None:
        notes.append(f"Service {name} also reads an env_file; what stands under environment wins over it.")
    values: dict[str, str | None] = dict(_merged(environment))
    if values:
        notes.append(f"Some values of service {name} come through a merge; a patch writes its own beside it.")
    values |= {key: value for key, value, _ in _entries(file, environment)}
    return ComposeFlags(str(path), name, values, tuple(notes))


def patch_compose(path: Path, wanted: Mapping[str, str], *, words: FlagWords, service: str | None = None) -> str:
    """The patch that gives the service these flags; the file itself is never written. Empty when it says so already.

    Raises:
        ManifestError: A value is shared through an anchor, interpolated, set twice, or cannot be changed in its place.
    """
    file = read_yaml_text(path)
    name = _service_name(file, words, service)
    environment = child(child(child(file.roots[0], "services"), name), "environment")
    if environment is None:
        raise _refusal(file, f"service {name} has no environment of its own", "Add one by hand.")
    if id(environment) in file.shared:
        raise _refusal(
            file, f"the environment of service {name} is shared through an anchor", "Change it there by hand."
        )
    found = _entries(file, environment)
    parts = []
    for flag, value in wanted.items():
        check_value(flag, value)
        mine = [(old, node) for key, old, node in found if key == flag]
        if len(mine) > 1:
            raise _refusal(file, f"service {name} sets {flag} {len(mine)} times", "Leave one of them.")
        if mine and mine[0][0] == value:
            continue
        parts.append(_changed(file, flag, value, mine[0]) if mine else _added(file, environment, flag, value))
    after = replace_stretches(file.text, parts)
    _check(file, after, name, wanted)
    return unified_patch(file.text, after, path=path.name)


def _service_name(file: YamlFile, words: FlagWords, service: str | None) -> str:
    services = child(file.roots[0], "services") if len(file.roots) == 1 else None
    if mapping(services) is None:
        raise _refusal(file, "it is no Compose file with services", "Name the Compose file of the backend.")
    if service is not None:
        if service not in keys(services):
            raise _refusal(file, f"it has no service {service!r}", f"It has {', '.join(keys(services))[:200]}.")
        return service
    flags = set(words.known_flags())
    candidates = [
        name
        for name in dict.fromkeys(keys(services))
        if flags & {key for key, _, _ in _entries(file, child(child(services, name), "environment"))}
    ]
    if len(candidates) != 1:
        which = f"services {', '.join(candidates)} set flags" if candidates else "no service sets a flag"
        raise _refusal(file, which, "Name the service in [flags] service.")
    return candidates[0]


def _entries(file: YamlFile, environment: Node | None) -> list[tuple[str, str | None, Node]]:
    """Each variable of a service with its value and the node that holds it, mapping or list form."""
    from yaml.nodes import MappingNode, SequenceNode

    found: list[tuple[str, str | None, Node]] = []
    if isinstance(environment, MappingNode):
        for key, value in environment.value:
            if key.value != "<<" and (node := scalar(value)) is not None:
                found.append((str(key.value), None if node.tag.endswith(":null") else str(node.value), value))
    elif isinstance(environment, SequenceNode):
        for item in environment.value:
            if (node := scalar(item)) is not None:
                name, equals, value = str(node.value).partition("=")
                found.append((name.strip(), value if equals else None, item))
    elif environment is not None:
        raise _refusal(file, "an environment is neither a mapping nor a list", "Correct it first.")
    return found


def _merged(environment: Node | None) -> dict[str, str | None]:
    """Values that reach a mapping through ``<<``; the mapping's own win, and the first of several merged ones."""
    values: dict[str, str | None] = {}
    source = child(environment, "<<")
    for node in [source] if mapping(source) is not None else list(getattr(source, "value", None) or ()):
        if (merged := mapping(node)) is not None:
            for key, value in merged.value:
                if (held := scalar(value)) is not None:
                    values.setdefault(str(key.value), str(held.value))
    return values


def _changed(file: YamlFile, flag: str, value: str, held: tuple[str | None, Node]) -> Replacement:
    old, node = held
    place = scalar(node)
    assert place is not None, "only plain values are entries"
    if id(node) in file.shared:
        raise _refusal(file, f"{flag} takes its value from an anchor that others use too", "Change it there by hand.")
    if old is None:
        raise _refusal(file, f"{flag} has no value here, so Compose takes it from the shell", "Change it there.")
    if "$" in old:
        raise _refusal(file, f"{flag} is interpolated", "Change the variable that it names.")
    if place.style in ("|", ">"):
        raise _refusal(file, f"{flag} is written as a block", "Write it on one line first.")
    start, end = place.start_mark.index, place.end_mark.index
    if file.text[start:end].startswith(("&", "!")):
        raise _refusal(file, f"{flag} carries an anchor or a tag", "Change it by hand.")
    in_list = str(place.value).partition("=")[0].strip() == flag and "=" in str(place.value)
    text = spell_scalar(f"{flag}={value}" if in_list else value, style=place.style)
    if in_list and not place.style:
        text = f"{flag}={value}"
    return Replacement(start, end, text)


def _added(file: YamlFile, environment: Node, flag: str, value: str) -> Replacement:
    from yaml.nodes import MappingNode

    block: MappingNode | SequenceNode = environment  # type: ignore[assignment]
    if block.flow_style or not block.value:
        raise _refusal(file, f"{flag} is not set and the environment is written on one line", "Add it by hand.")
    last = block.value[-1]
    if isinstance(block, MappingNode):
        indent, line = last[0].start_mark.column, f"{flag}: {spell_scalar(value, style=None)}"
        held = last[1] if id(last[1]) not in file.shared else last[0]
    else:
        indent, line = last.start_mark.column, f"{flag}={value}"
        dash = file.text.rfind("-", 0, last.start_mark.index)
        indent = dash - (file.text.rfind("\n", 0, dash) + 1)
        line, held = f"- {line}", last
    end = file.text.find("\n", held.end_mark.index if scalar(held) is not None else held.start_mark.index)
    newline = "\r\n" if "\r\n" in file.text else "\n"
    if end < 0:
        return Replacement(len(file.text), len(file.text), f"{newline}{' ' * indent}{line}")
    return Replacement(end + 1, end + 1, f"{' ' * indent}{line}{newline}")


def _check(file: YamlFile, after: str, service: str, wanted: Mapping[str, str]) -> None:
    """Read the result and make sure that exactly the wanted values differ, in this service and nowhere else."""
    again = parse_yaml_text(after, path=file.path)
    for name in dict.fromkeys(keys(child(file.roots[0], "services"))):
        was, now = (
            {
                key: value
                for key, value, _ in _entries(each, child(child(child(each.roots[0], "services"), name), "environment"))
            }
            for each in (file, again)
        )
        if (was | dict(wanted) if name == service else was) != now:
            raise _refusal(file, "the change cannot be written without changing something else", "Do it by hand.")


def _refusal(file: YamlFile, why: str, remedy: str) -> ManifestError:
    return ManifestError(path=file.path, why=why, remedy=remedy)
