"""Flags in Kubernetes manifests: ConfigMaps in every form a backend reads, and the variables of each container.

A container's ``env`` wins over its ``envFrom``, a later entry over an earlier one; ``$(NAME)`` in a value is filled in
from what stands before it. What no container takes is looked for in the maps themselves: a name as a key, or a file
in the data (``.env``, ``*.properties``, JSON, YAML). A Secret is named and never read.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.rails.flags.envfile import said_in
from recon.rails.flags.errors import ManifestError
from recon.rails.flags.readings import Files, FlagReading, FlagSaid, last_of
from recon.rails.flags.yamltext import (
    YamlFile,
    items,
    line_at,
    member,
    merged_items,
    parse_yaml_text,
    scalar,
    spot_of,
    text_of,
)

if TYPE_CHECKING:
    from yaml.nodes import Node

_POD_PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "ReplicationController", "Rollout"),
        ("spec", "template", "spec"),
    ),
}
_ENV_NAME: Final = re.compile(r"(?:.*[./-])?env(?:\..*)?\Z|.*\.(?:env|properties)\Z", re.IGNORECASE)
_REFERENCE: Final = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)|\$\$")
_DATA_FILE_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class MapEntry:
    """One key of a ConfigMap: its text, and where it stands."""

    key: str
    text: str
    said: FlagSaid


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """One ConfigMap with its entries."""

    name: str
    entries: tuple[MapEntry, ...]
    is_immutable: bool = False


@dataclass(frozen=True, slots=True)
class Objects:
    """What manifests hold: maps by name, and the containers with the workload each is of."""

    maps: Mapping[str, ConfigMap] = field(default_factory=dict)
    containers: tuple[tuple[str, str, Node, str], ...] = ()

    def __or__(self, other: Objects) -> Objects:
        return Objects({**self.maps, **other.maps}, (*self.containers, *other.containers))


def read_kubernetes(
    paths: Iterable[Path],
    *,
    flags: Iterable[str],
    name: str | None = None,
    container: str | None = None,
    reader: str = "every",
    files: Files | None = None,
) -> FlagReading:
    """Read the flags of a backend from manifests.

    Args:
        name: The ConfigMap that is meant; without one, the containers are asked first.
        container: The workload or container that is meant, as ``workload``, ``container`` or ``workload/container``.
        reader: Whose reading of a dotenv file in the data counts.

    Raises:
        ManifestError: A file is no manifest, or which map or container is meant is not clear.
        FlagFileError: A file cannot be read.
    """
    files = files or Files()
    found = Objects()
    for path in paths:
        found = found | objects_of(files.yaml(path))
    return settle_objects(found, flags=flags, name=name, container=container, reader=reader, files=files)


def settle_objects(
    found: Objects,
    *,
    flags: Iterable[str],
    name: str | None = None,
    container: str | None = None,
    reader: str = "every",
    files: Files,
) -> FlagReading:
    """What the objects set together; see :func:`read_kubernetes`."""
    flags = tuple(flags)
    notes = ("Pods read a ConfigMap's variables when they start: restart the rollout after the patch.",)
    looked = tuple(dict.fromkeys(files.looked))
    if name is None and found.containers:
        reading = _of_containers(found, flags, wanted=container, reader=reader)
        if reading is not None:
            return replace(reading, looked=(*looked, *reading.looked), notes=(*reading.notes, *notes))
    path = looked[0] if looked else "manifest"
    return replace(_of_maps(found, flags, name=name, reader=reader, path=path), notes=notes)


def _of_maps(found: Objects, flags: tuple[str, ...], *, name: str | None, reader: str, path: str) -> FlagReading:
    """What the map that is meant sets, or the maps that agree."""
    maps = {key: each for key, each in found.maps.items() if name in (None, key)}
    if name is not None and not maps:
        why, known = f"it has 0 ConfigMaps of the name {name!r}", ", ".join(found.maps)[:200]
        raise ManifestError(path=path, why=why, remedy=f"Name one in [flags] configmap: {known}.")
    held = {key: said_by_map(each, flags, reader=reader) for key, each in maps.items()}
    setting = setting_of({key: said for key, (said, _) in held.items()}, flags)
    if are_different(setting):
        why = f"{len(setting)} of its ConfigMaps set flags and differ"
        remedy = f"Name one in [flags] configmap: {', '.join(setting)[:200]}."
        raise ManifestError(path=path, why=why, remedy=remedy)
    if not setting:
        unread = tuple(sentence for _, problems in held.values() for sentence in problems)
        return FlagReading({}, looked=(path, *(f"ConfigMap {each}" for each in held)), unread=unread)
    said, problems = held[next(iter(setting))]
    return FlagReading(said, f"ConfigMap {next(iter(setting))}", (path,), problems)


def objects_of(file: YamlFile) -> Objects:
    """The ConfigMaps and containers of a file, lists opened."""
    maps: dict[str, ConfigMap] = {}
    containers: list[tuple[str, str, Node, str]] = []
    waiting = list(reversed(file.roots))
    while waiting:
        root = waiting.pop()
        kind, named = (
            text_of(member(root, "kind")) or "",
            text_of(member(member(root, "metadata"), "name")) or "(no name)",
        )
        if kind == "ConfigMap":
            maps[named] = _config_map(file.path, named, root)
        elif kind == "List" or kind.endswith("List"):
            waiting.extend(reversed(items(member(root, "items"))))
        elif kind in _POD_PATHS:
            pod: Node | None = root
            for step in _POD_PATHS[kind]:
                pod = member(pod, step)
            for each in items(member(pod, "containers")):
                containers.append((named, text_of(member(each, "name")) or "", each, file.path))
    return Objects(maps, tuple(containers))


def _config_map(path: str, name: str, root: Node) -> ConfigMap:
    entries = []
    place = f"ConfigMap {name} data"
    for key, node in merged_items(member(root, "data")).items():
        text = text_of(node) or ""
        entries.append(
            MapEntry(key, text, FlagSaid(key, text, path, place, line_at(node), raw=text, spot=spot_of(node)))
        )
    for key, node in merged_items(member(root, "binaryData")).items():
        said = FlagSaid(key, None, path, f"ConfigMap {name} binaryData", line_at(node))
        try:
            text = base64.b64decode("".join((text_of(node) or "").split()), validate=True).decode("utf-8")
            entries.append(MapEntry(key, text, replace(said, value=text)))
        except (binascii.Error, UnicodeDecodeError, ValueError):
            entries.append(MapEntry(key, "", replace(said, doubt="it is no text in base64")))
    return ConfigMap(name, tuple(entries), text_of(member(root, "immutable")) == "true")


def said_by_map(held: ConfigMap, flags: Iterable[str], *, reader: str) -> tuple[dict[str, FlagSaid], tuple[str, ...]]:
    """What a map sets: by its files first, by its keys over them; and what of it could not be read."""
    found: list[FlagSaid] = []
    unread = []
    for entry in held.entries:
        said, problem = file_in_data(entry, flags, reader=reader)
        found += said
        unread += [f"{entry.key} of ConfigMap {held.name} cannot be read: {problem}"] if problem else []
    return last_of((*found, *(entry.said for entry in held.entries))), tuple(unread)


def file_in_data(entry: MapEntry, flags: Iterable[str], *, reader: str) -> tuple[list[FlagSaid], str]:
    """What a file in a map's data sets: dotenv, JSON or YAML by its name; and why it cannot be read."""
    place, first = f"{entry.said.place} {entry.key}", entry.said.line + 1
    if len(entry.text) > _DATA_FILE_MAX:
        return [], "it is too large"
    if _ENV_NAME.match(entry.key):
        said, problem = said_in(entry.text, reader=reader, file=entry.said.file, place=place, first_line=first)
        return list(said.values()), problem
    try:
        pairs = _structured(entry, flags)
    except (ValueError, RecursionError, ManifestError):
        return [], f"it is no {entry.key.rpartition('.')[2].upper()}"
    return [replace(entry.said, flag=flag, value=value, place=place, raw="", spot=None) for flag, value in pairs], ""


def _structured(entry: MapEntry, flags: Iterable[str]) -> list[tuple[str, str | None]]:
    """The flags of a JSON or YAML file; none of any other. Raises ValueError, RecursionError or ManifestError."""
    if entry.key.endswith(".json"):
        return list(_flags_in(json.loads(entry.text), flags))
    if not entry.key.endswith((".yaml", ".yml")):
        return []
    seen: set[int] = set()
    return [
        pair
        for root in parse_yaml_text(entry.text, path=entry.said.file).roots
        for pair in _flags_in_nodes(root, flags, seen)
    ]


def _flags_in(content: Any, flags: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Flags that are keys anywhere in a JSON value."""
    waiting = [content]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            for key, value in each.items():
                if key in flags and not isinstance(value, dict | list):
                    yield key, None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _flags_in_nodes(root: Node, flags: Iterable[str], seen: set[int]) -> Iterator[tuple[str, str | None]]:
    """Flags that are keys anywhere in a YAML document; what aliases point to is looked at once."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        for key, value in merged_items(node).items():
            if key in flags and scalar(value) is not None:
                yield key, text_of(value)
            waiting.append(value)
        waiting.extend(items(node))


def _of_containers(found: Objects, flags: tuple[str, ...], *, wanted: str | None, reader: str) -> FlagReading | None:
    """The variables of the container that is meant; None where none of them sets a flag."""
    path = found.containers[0][3]
    readings = {
        f"{workload}/{container}": _container(
            found, f"{workload}/{container}", node=node, path=place, flags=flags, reader=reader
        )
        for workload, container, node, place in found.containers
        if wanted in (None, workload, container, f"{workload}/{container}")
    }
    if not readings:
        known = ", ".join(f"{each[0]}/{each[1]}" for each in found.containers)[:200]
        raise ManifestError(path=path, why=f"it has no container {wanted!r}", remedy=f"It has {known}.")
    setting = setting_of({name: each.said for name, each in readings.items()}, flags)
    if not setting:
        return None
    names = ", ".join(setting)[:200]
    if are_different(setting):
        why = f"containers {names} set flags and differ"
        raise ManifestError(path=path, why=why, remedy="Name the container in [flags] service.")
    first = readings[next(iter(setting))]
    alike = (f"Containers {names} set the flags alike; the first is shown.",) if len(setting) > 1 else ()
    return replace(first, notes=(*first.notes, *alike))


def setting_of(held: Mapping[str, Mapping[str, FlagSaid]], flags: Iterable[str]) -> dict[str, dict[str, str | None]]:
    """The flags that each holder sets, of those that set any."""
    found = {name: {flag: said[flag].value for flag in flags if flag in said} for name, said in held.items()}
    return {name: values for name, values in found.items() if values}


def are_different(setting: Mapping[str, Mapping[str, str | None]]) -> bool:
    """Whether holders do not set the same flags to the same values."""
    return len({tuple(sorted(values.items(), key=str)) for values in setting.values()}) > 1


def _container(found: Objects, name: str, *, node: Node, path: str, flags: tuple[str, ...], reader: str) -> FlagReading:
    """What one container gets, from what counts least: files in maps, its ``envFrom``, its ``env``."""
    said: list[FlagSaid] = []
    looked, unread, notes = [], [], []
    for source in items(member(node, "envFrom")):
        held, named = _source(source, found.maps)
        if held is not None:
            prefix = text_of(member(source, "prefix")) or ""
            said += [replace(entry.said, flag=f"{prefix}{entry.key}") for entry in held.entries]
            continue
        looked.append(named)
        if named.startswith("Secret"):
            notes.append(f"{name} gets variables of {named} too.")
        elif text_of(member(member(source, "configMapRef"), "optional")) != "true":
            unread.append(f"{named.removesuffix(' (not here)')} is not here")
    for entry in items(member(node, "env")):
        said += _env_entry(entry, found.maps, path=path, container=name, before={each.flag: each for each in said})
    in_files, problems = _files_naming(found.maps, flags, reader=reader)
    unread += problems
    return FlagReading(
        last_of((*in_files, *said)), f"container {name}", tuple(looked), tuple(unread), tuple(dict.fromkeys(notes))
    )


def _source(source: Node, maps: Mapping[str, ConfigMap]) -> tuple[ConfigMap | None, str]:
    """The map that an entry of ``envFrom`` names, or what stands for one that is not here or not read."""
    named = text_of(member(member(source, "configMapRef"), "name"))
    if named is None:
        return None, f"Secret {text_of(member(member(source, 'secretRef'), 'name')) or '(no name)'} (not read)"
    return maps.get(named), f"ConfigMap {named} (not here)"


def _files_naming(
    maps: Mapping[str, ConfigMap], flags: tuple[str, ...], *, reader: str
) -> tuple[list[FlagSaid], list[str]]:
    """What the files in maps set that name a flag, and which of them cannot be read."""
    said: list[FlagSaid] = []
    unread: list[str] = []
    for entry, name in [(entry, held.name) for held in maps.values() for entry in held.entries]:
        if entry.key not in flags and any(flag in entry.text for flag in flags):
            more, problem = file_in_data(entry, flags, reader=reader)
            said += more
            unread += [f"{entry.key} of ConfigMap {name} cannot be read: {problem}"] if problem else []
    return said, unread


def _env_entry(
    entry: Node, maps: Mapping[str, ConfigMap], *, path: str, container: str, before: Mapping[str, FlagSaid]
) -> list[FlagSaid]:
    """One entry of ``env``: a value, or where it is taken from."""
    name = text_of(member(entry, "name"))
    if not name:
        return []
    value, place = member(entry, "value"), f"container {container} env"
    source = member(entry, "valueFrom")
    said = FlagSaid(name, None, path, place, line_at(entry))
    reference = member(source, "configMapKeyRef")
    if reference is not None:
        return _referenced(said, reference, maps)
    if source is not None:
        kinds = ", ".join(merged_items(source))[:100]
        return [replace(said, doubt=f"it comes from a {kinds}, which is not read")]
    text = text_of(value) or ""
    filled, doubt = _expanded(text, before)
    spot = spot_of(value) if value is not None and "$" not in text else None
    return [replace(said, value=None if doubt else filled, raw=text, doubt=doubt, spot=spot)]


def _referenced(said: FlagSaid, reference: Node, maps: Mapping[str, ConfigMap]) -> list[FlagSaid]:
    """A variable that is one key of a map; nothing where an optional key is not there."""
    named, key = text_of(member(reference, "name")), text_of(member(reference, "key"))
    held = maps.get(named or "")
    found = [] if held is None else [replace(each.said, flag=said.flag) for each in held.entries if each.key == key]
    if found or (held is not None and text_of(member(reference, "optional")) == "true"):
        return found[-1:]
    return [replace(said, doubt=f"it is {key} of ConfigMap {named}, which is not here")]


def _expanded(text: str, before: Mapping[str, FlagSaid]) -> tuple[str, str]:
    """A value with ``$(NAME)`` filled in; a name that is not set stays as it stands, as Kubernetes leaves it."""
    doubts = []

    def one(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        held = before.get(found[1])
        if held is None:
            return found[0]
        if held.value is None:
            doubts.append(f"it takes its value from {found[1][:60]}, which cannot be told")
        return held.value or ""

    return _REFERENCE.sub(one, text), "".join(doubts[:1])
