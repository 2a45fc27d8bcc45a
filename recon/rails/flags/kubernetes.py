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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.rails.flags.commands import said_in_command
from recon.rails.flags.envfile import said_in
from recon.rails.flags.errors import ManifestError
from recon.rails.flags.readings import Files, FlagReading, FlagSaid, last_of
from recon.rails.flags.yamltext import (
    YamlFile,
    file_behind,
    items,
    line_at,
    member,
    merged_items,
    opened_lists,
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
}
"""Where the pod of a workload stands, where it does not stand where it does in a Deployment."""

_USUAL_POD: Final = ("spec", "template", "spec")
_MAP_PARTS: Final[Mapping[str, tuple[tuple[str, bool], ...]]] = {
    "ConfigMap": (("data", False), ("binaryData", True)),
    "Secret": (("data", True), ("stringData", False)),
}
"""Where a map or Secret holds its entries, and whether in base64; a later part wins."""

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
    """One ConfigMap or Secret with its entries."""

    name: str
    entries: tuple[MapEntry, ...]
    kind: str = "ConfigMap"
    namespace: str = ""

    @property
    def label(self) -> str:
        """What it is called on a page."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Objects:
    """What manifests hold: maps and Secrets by kind and name, and the containers with the workload each is of."""

    maps: Mapping[tuple[str, str], ConfigMap] = field(default_factory=dict)
    containers: tuple[tuple[str, str, Node, str], ...] = ()

    def __or__(self, other: Objects) -> Objects:
        """Both; raises ManifestError for one name in two namespaces: which of them is meant nobody can tell."""
        for key in self.maps.keys() & other.maps.keys():
            one, more = self.maps[key], other.maps[key]
            if one.namespace and more.namespace and one.namespace != more.namespace:
                why = f"{one.label} stands in the namespaces {one.namespace[:60]} and {more.namespace[:60]}"
                path = more.entries[0].said.file if more.entries else one.label
                raise ManifestError(path=path, why=why, remedy="Name a manifest that holds one of them.")
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
    files, flags = files or Files(), tuple(flags)
    found = Objects()
    opened = [files.yaml(path) for path in paths]
    for file in opened:
        found = found | objects_of(file)
    reading = settle_objects(found, flags=flags, name=name, container=container, reader=reader, files=files)
    missing = [flag for flag in flags if flag not in reading.said]
    hidden = tuple(sentence for file in opened for sentence in _in_other_kinds(file, missing))
    return replace(reading, unread=(*reading.unread, *hidden))


def _in_other_kinds(file: YamlFile, flags: Sequence[str]) -> Iterator[str]:
    """Objects of kinds that are not read and that name a flag: sealed and external Secrets, releases, templates."""
    for root in opened_lists(file.roots):
        kind = text_of(member(root, "kind")) or "object"
        written = file.text[root.start_mark.index : root.end_mark.index]
        named = next((flag for flag in flags if flag in written), None)
        if named is not None and kind not in _MAP_PARTS and not objects_in(root, file.path).containers:
            yield f"{kind[:60]} {name_of(root)[:60]} names {named} in a form that is not read"


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
    unread: tuple[str, ...] = ()
    if name is None and found.containers:
        reading = _of_containers(found, flags, wanted=container, reader=reader)
        if reading.said:
            return replace(reading, looked=(*looked, *reading.looked), notes=(*reading.notes, *notes))
        looked, unread = (*looked, *reading.looked), reading.unread
    path = looked[0] if looked else "manifest"
    reading = _of_maps(found, flags, name=name, reader=reader, path=path)
    looked = tuple(dict.fromkeys((*looked, *reading.looked)))
    return replace(reading, notes=notes, looked=looked, unread=(*reading.unread, *unread))


def _of_maps(found: Objects, flags: tuple[str, ...], *, name: str | None, reader: str, path: str) -> FlagReading:
    """What the map that is meant sets, or the maps that agree."""
    maps = {each.label: each for (_, key), each in found.maps.items() if name in (None, key)}
    if name is not None and not maps:
        why, known = f"it has 0 ConfigMaps of the name {name!r}", ", ".join(key for _, key in found.maps)[:200]
        raise ManifestError(path=path, why=why, remedy=f"Name one in [flags] configmap: {known}.")
    held = {label: said_by_map(each, flags, reader=reader) for label, each in maps.items()}
    setting = setting_of({label: said for label, (said, _) in held.items()}, flags)
    if are_different(setting):
        why = f"{len(setting)} of its ConfigMaps and Secrets set flags and differ"
        remedy = f"Name one in [flags] configmap: {', '.join(setting)[:200]}."
        raise ManifestError(path=path, why=why, remedy=remedy)
    if not setting:
        unread = tuple(sentence for _, problems in held.values() for sentence in problems)
        return FlagReading({}, looked=(path, *held), unread=unread)
    said, problems = held[next(iter(setting))]
    return FlagReading(said, next(iter(setting)), (path,), problems)


def objects_of(file: YamlFile) -> Objects:
    """The ConfigMaps, Secrets and containers of a file, lists opened."""
    found = Objects()
    for root in opened_lists(file.roots):
        found = found | objects_in(root, file.path)
    return found


def objects_in(root: Node, path: str) -> Objects:
    """What one object of a manifest holds."""
    kind, named = text_of(member(root, "kind")) or "", name_of(root)
    if kind in _MAP_PARTS:
        return Objects({(kind, named): _map_of(path, kind, named, root)})
    pod: Node | None = root
    for step in _POD_PATHS.get(kind, _USUAL_POD):
        pod = member(pod, step)
    containers = [(named, text_of(member(each, "name")) or "", each, path) for each in items(member(pod, "containers"))]
    return Objects({}, tuple(containers))


def name_of(root: Node | None) -> str:
    """The name of an object."""
    return text_of(member(member(root, "metadata"), "name")) or "(no name)"


def _map_of(path: str, kind: str, name: str, root: Node) -> ConfigMap:
    """A ConfigMap or Secret; what stands in plain text wins over the same key in base64."""
    entries = []
    for part, is_packed in _MAP_PARTS[kind]:
        place = f"{kind} {name} {part}"
        for key, node in merged_items(member(root, part)).items():
            text, file = text_of(node) or "", file_behind(node, path)
            said = FlagSaid(key, text, file, place, line_at(node), raw=text, spot=spot_of(node))
            entries.append(_unpacked(key, node, replace(said, spot=None)) if is_packed else MapEntry(key, text, said))
    namespace = text_of(member(member(root, "metadata"), "namespace")) or ""
    return ConfigMap(name, tuple(entries), kind, namespace)


def _unpacked(key: str, node: Node, said: FlagSaid) -> MapEntry:
    """An entry whose value is in base64."""
    try:
        text = base64.b64decode("".join((text_of(node) or "").split()), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return MapEntry(key, "", replace(said, value=None, raw="", doubt="it is no text in base64"))
    return MapEntry(key, text, replace(said, value=text, raw=""))


def said_by_map(held: ConfigMap, flags: Iterable[str], *, reader: str) -> tuple[dict[str, FlagSaid], tuple[str, ...]]:
    """What a map sets: by its files first, by its keys over them; and what of it could not be read."""
    found: list[FlagSaid] = []
    unread = []
    for entry in held.entries:
        said, problem = file_in_data(entry, flags, reader=reader)
        found += said
        unread += [f"{entry.key} of {held.label} cannot be read: {problem}"] if problem else []
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


def _of_containers(found: Objects, flags: tuple[str, ...], *, wanted: str | None, reader: str) -> FlagReading:
    """The variables of the container that is meant; none where no container sets a flag."""
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
        return _looked_in_vain(readings)
    names = ", ".join(setting)[:200]
    if are_different(setting):
        why = f"containers {names} set flags and differ"
        raise ManifestError(path=path, why=why, remedy="Name the container in [flags] service.")
    first = readings[next(iter(setting))]
    alike = (f"Containers {names} set the flags alike; the first is shown.",) if len(setting) > 1 else ()
    return replace(first, notes=(*first.notes, *alike))


def _looked_in_vain(readings: Mapping[str, FlagReading]) -> FlagReading:
    """Containers of which none sets a flag: where was looked, and what could not be read."""
    places = (place for name, each in readings.items() for place in (f"container {name}", *each.looked))
    unread = tuple(sentence for each in readings.values() for sentence in each.unread)
    return FlagReading({}, looked=tuple(dict.fromkeys(places)), unread=unread)


def setting_of(held: Mapping[str, Mapping[str, FlagSaid]], flags: Iterable[str]) -> dict[str, dict[str, str | None]]:
    """The flags that each holder sets, of those that set any."""
    found = {name: {flag: said[flag].value for flag in flags if flag in said} for name, said in held.items()}
    return {name: values for name, values in found.items() if values}


def are_different(setting: Mapping[str, Mapping[str, str | None]]) -> bool:
    """Whether holders do not set the same flags to the same values."""
    return len({tuple(sorted(values.items(), key=str)) for values in setting.values()}) > 1


def _container(found: Objects, name: str, *, node: Node, path: str, flags: tuple[str, ...], reader: str) -> FlagReading:
    """What one container gets, from what counts least: files in maps, its ``envFrom``, its ``env``."""
    said: dict[str, FlagSaid] = {}
    looked, unread = [], []
    for source in items(member(node, "envFrom")):
        held, named = _source(source, found.maps)
        prefix = text_of(member(source, "prefix")) or ""
        if held is not None:
            looked.append(held.label)
            said |= last_of(replace(entry.said, flag=f"{prefix}{entry.key}") for entry in held.entries)
            continue
        looked.append(f"{named} (not here)")
        unread.append(f"{named} is not here; name its manifest in [flags] overrides")
        said = {flag: _may_be_hidden(each, named, prefix) for flag, each in said.items()}
    for entry in items(member(node, "env")):
        said |= last_of(_env_entry(entry, found.maps, path=path, container=name, before=said))
    in_files, problems = _files_naming(found.maps, flags, reader=reader)
    parts = [each for part in ("command", "args") for each in items(member(node, part))]
    if parts:
        started = [_expanded(text_of(each) or "", said)[0] for each in parts]
        said |= said_in_command(started, flags=flags, file=path, line=line_at(parts[0]))
    return FlagReading({**last_of(in_files), **said}, f"container {name}", tuple(looked), (*unread, *problems))


def _may_be_hidden(said: FlagSaid, named: str, prefix: str) -> FlagSaid:
    """A setting that a later map, which is not here, may set anew."""
    if not said.flag.startswith(prefix):
        return said
    return replace(
        said, value=None, spot=None, doubt=said.doubt or f"{named}, which is not here, may set it after that"
    )


def _source(source: Node, maps: Mapping[tuple[str, str], ConfigMap]) -> tuple[ConfigMap | None, str]:
    """The map or Secret that an entry of ``envFrom`` names, and what it is called."""
    kind = "ConfigMap" if member(source, "configMapRef") is not None else "Secret"
    named = text_of(member(member(source, _REFERENCES[kind]), "name")) or "(no name)"
    return maps.get((kind, named)), f"{kind} {named}"


_REFERENCES: Final = {"ConfigMap": "configMapRef", "Secret": "secretRef"}
_KEY_REFERENCES: Final = {"ConfigMap": "configMapKeyRef", "Secret": "secretKeyRef"}


def _files_naming(
    maps: Mapping[tuple[str, str], ConfigMap], flags: tuple[str, ...], *, reader: str
) -> tuple[list[FlagSaid], list[str]]:
    """What the files in maps set that name a flag, and which of them cannot be read."""
    said: list[FlagSaid] = []
    unread: list[str] = []
    for entry, name in [(entry, held.label) for held in maps.values() for entry in held.entries]:
        if entry.key not in flags and any(flag in entry.text for flag in flags):
            more, problem = file_in_data(entry, flags, reader=reader)
            said += more
            unread += [f"{entry.key} of {name} cannot be read: {problem}"] if problem else []
    return said, unread


def _env_entry(
    entry: Node,
    maps: Mapping[tuple[str, str], ConfigMap],
    *,
    path: str,
    container: str,
    before: Mapping[str, FlagSaid],
) -> list[FlagSaid]:
    """One entry of ``env``: a value, or where it is taken from."""
    name = text_of(member(entry, "name"))
    if not name:
        return []
    value, place = member(entry, "value"), f"container {container} env"
    source = member(entry, "valueFrom")
    said = FlagSaid(name, None, file_behind(value or entry, path), place, line_at(value or entry))
    for kind, key in _KEY_REFERENCES.items():
        if (reference := member(source, key)) is not None:
            return _referenced(said, reference, maps, kind=kind)
    if source is not None:
        kinds = ", ".join(merged_items(source))[:100]
        return [replace(said, doubt=f"it comes from a {kinds}, which is not read")]
    text = text_of(value) or ""
    filled, doubt = _expanded(text, before)
    spot = spot_of(value) if value is not None and "$" not in text else None
    return [replace(said, value=None if doubt else filled, raw=text, doubt=doubt, spot=spot)]


def _referenced(
    said: FlagSaid, reference: Node, maps: Mapping[tuple[str, str], ConfigMap], *, kind: str
) -> list[FlagSaid]:
    """A variable that is one key of a map; nothing where an optional key is not there."""
    named, key = text_of(member(reference, "name")), text_of(member(reference, "key"))
    held = maps.get((kind, named or ""))
    found = [] if held is None else [replace(each.said, flag=said.flag) for each in held.entries if each.key == key]
    if found or (held is not None and text_of(member(reference, "optional")) == "true"):
        return found[-1:]
    return [replace(said, doubt=f"it is {key} of {kind} {named}, which is not here")]


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
