"""Flags in a kustomization: the ConfigMaps it generates, and the manifests it names.

Maps are generated from ``literals``, ``envs`` (``env``) and ``files``; a generator with ``behavior: merge`` adds to a
map of the same name from a base. What patches or components change is not computed: a patch that names a flag makes
every flag that is set nowhere else a doubt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.core.errors import ReconError
from recon.rails.flags.envfile import said_in
from recon.rails.flags.errors import ManifestError
from recon.rails.flags.kubernetes import ConfigMap, MapEntry, Objects, objects_of, settle_objects
from recon.rails.flags.readings import Files, FlagReading, FlagSaid
from recon.rails.flags.yamltext import items, line_at, member, spot_of, text_of

if TYPE_CHECKING:
    from yaml.nodes import Node

NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
DEPTH_MAX: Final = 8


def read_kustomize(
    path: Path,
    *,
    flags: Iterable[str],
    name: str | None = None,
    container: str | None = None,
    reader: str = "every",
    files: Files | None = None,
) -> FlagReading:
    """Read the flags of a backend from a kustomization file, or the folder it stands in.

    Raises:
        ManifestError: A file is no manifest, or which map or container is meant is not clear.
        FlagFileError: A file cannot be read.
    """
    files, flags = files or Files(), tuple(flags)
    unread: list[str] = []
    found = _objects(_file_in(path), files, flags, unread, depth=0)
    reading = settle_objects(found, flags=flags, name=name, container=container, reader=reader, files=files)
    return replace(reading, unread=(*reading.unread, *unread))


def _file_in(path: Path) -> Path:
    if not path.is_dir():
        return path
    return next((path / name for name in NAMES if (path / name).is_file()), path / NAMES[0])


def _objects(path: Path, files: Files, flags: tuple[str, ...], unread: list[str], *, depth: int) -> Objects:
    if depth > DEPTH_MAX:
        raise ManifestError(path=str(path), why="kustomizations name each other too deeply", remedy="Correct them.")
    root = next(iter(files.yaml(path).roots), None)
    found = Objects()
    named = [text_of(each) for part in ("resources", "bases", "components") for each in items(member(root, part))]
    for word in filter(None, named):
        place = path.parent / word
        if "://" in word or word.startswith("github.com/"):
            unread.append(f"{word[:100]} is not on this machine")
        elif place.is_dir():
            found = found | _objects(_file_in(place), files, flags, unread, depth=depth + 1)
        else:
            try:
                found = found | objects_of(files.yaml(place))
            except ReconError as error:
                unread.append(f"{place} cannot be read: {error}")
    maps = dict(found.maps)
    for node in items(member(root, "configMapGenerator")):
        made = _generated(path, node, files, unread)
        earlier = maps.get(made.name) if text_of(member(node, "behavior")) == "merge" else None
        maps[made.name] = replace(made, entries=(*earlier.entries, *made.entries)) if earlier else made
    unread += _patches_naming(path, root, files, flags)
    return replace(found, maps=maps)


def _generated(path: Path, node: Node, files: Files, unread: list[str]) -> ConfigMap:
    """The map that one generator makes, in the order in which kustomize lays its sources over each other."""
    name = text_of(member(node, "name")) or "(no name)"
    place = f"configMapGenerator {name}"
    entries: list[MapEntry] = []
    named = (member(node, "env"), *items(member(node, "envs")))
    for word in filter(None, map(text_of, named)):
        source = path.parent / word
        said, problem = said_in(_text(source, files, unread), reader="docker", file=str(source), place=place)
        unread += [f"{word} cannot be read: {problem}"] if problem else []
        entries += [MapEntry(key, each.value or "", each) for key, each in said.items()]
    for each in items(member(node, "files")):
        held, source = _file_entry(path, text_of(each) or "")
        text = _text(source, files, unread)
        entries.append(MapEntry(held, text, FlagSaid(held, text, str(source), place, 0)))
    entries += [_literal(each, path=path, place=place) for each in items(member(node, "literals"))]
    return ConfigMap(name, tuple(entries))


def _file_entry(path: Path, word: str) -> tuple[str, Path]:
    """The key and the file of an entry of ``files``: ``KEY=FILE``, or the file's own name as key."""
    key, equals, named = word.partition("=")
    source = path.parent / (named if equals else key)
    return (key if equals else source.name), source


def _literal(node: Node, *, path: Path, place: str) -> MapEntry:
    """One entry of ``literals``; kustomize takes quotes around the value away."""
    key, _, value = (text_of(node) or "").partition("=")
    bare = value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
    spot = spot_of(node, prefix=f"{key}=")
    return MapEntry(key, bare, FlagSaid(key, bare, str(path), place, line_at(node), raw=value, spot=spot))


def _text(path: Path, files: Files, unread: list[str]) -> str:
    try:
        return files.data(path).decode("utf-8", "surrogateescape")
    except ReconError as error:
        unread.append(f"{path} cannot be read: {error}")
        return ""


def _patches_naming(path: Path, root: Node | None, files: Files, flags: tuple[str, ...]) -> list[str]:
    """Patches that name a flag: what they make of it is not computed."""
    texts: list[tuple[str, str]] = []
    for part in ("patches", "patchesStrategicMerge", "patchesJson6902", "replacements", "transformers"):
        for each in items(member(root, part)):
            inline = text_of(member(each, "patch")) or text_of(each) or ""
            named = text_of(member(each, "path")) or (inline if "\n" not in inline else "")
            texts.append((f"{part} of {path}", inline))
            if named and files.is_there(path.parent / named):
                texts.append((named, files.data(path.parent / named).decode("utf-8", "replace")))
    return [f"{where} changes {flag}" for where, text in texts for flag in flags if flag in text]
