"""Flags in a kustomization: maps and Secrets that it generates, manifests that it names, what patches make of them.

Maps are generated from ``literals``, ``envs`` (``env``) and ``files``; a generator with ``behavior: merge`` adds to a
map of the same name from a base. Strategic merge patches and JSON patches are laid as kustomize lays them. Where a
patch, a replacement or a transformer does what is not computed here, every flag that it names or may reach is a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recon.core.errors import ReconError
from recon.rails.flags.envfile import said_in
from recon.rails.flags.errors import ManifestError
from recon.rails.flags.kubernetes import (
    ConfigMap,
    MapEntry,
    Objects,
    name_of,
    objects_in,
    settle_objects,
)
from recon.rails.flags.manifest_patches import UnclearPatchError, apply_operations, merge_patch
from recon.rails.flags.readings import Files, FlagReading, FlagSaid
from recon.rails.flags.selectors import is_selected
from recon.rails.flags.yamltext import (
    items,
    line_at,
    mapping,
    mark_origin,
    member,
    merged_items,
    opened_lists,
    parse_yaml_text,
    spot_of,
    text_of,
)

if TYPE_CHECKING:
    from yaml.nodes import Node

NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
DEPTH_MAX: Final = 8
_BUILT_IN: Final = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod", "ReplicationController",
     "ConfigMap", "Secret"}
)  # fmt: skip
"""Kinds whose lists a strategic merge puts together by name; in others a list takes the place of a list."""

_GENERATORS: Final = (("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret"))
_UNCOMPUTED: Final = ("replacements", "transformers", "vars", "helmCharts", "helmChartInflationGenerator", "generators")
_LABELLING: Final = ("commonLabels", "labels", "commonAnnotations", "transformers")
_BROAD: Final = re.compile(r"\b(?:env|envFrom|data|stringData|binaryData|containers|template)\b")
_BY_PLACE: Final = re.compile(r"\benv\.\d|\bdata\b")


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
    built = _Built(files or Files(), tuple(flags))
    _build(_file_in(path), built, depth=0)
    found = Objects()
    for each in built.objects:
        found = found | objects_in(each.root, each.path)
    found = found | Objects({(each.kind, each.name): each for each in built.made.values()})
    reading = settle_objects(found, flags=built.flags, name=name, container=container, reader=reader, files=built.files)
    said = {flag: _doubted(each, built.doubts.get(flag, "")) for flag, each in reading.said.items()}
    changed = (f"{where} changes {flag}" for flag, where in built.doubts.items())
    return replace(reading, said=said, unread=(*reading.unread, *built.unread, *changed))


def _doubted(said: FlagSaid, where: str) -> FlagSaid:
    return (
        replace(said, value=None, spot=None, doubt=f"{where} changes it in a way that is not computed")
        if where
        else said
    )


@dataclass(slots=True)
class _Object:
    """One object of a manifest as the patches so far have made it, with every name that it has had."""

    root: Node
    path: str
    kind: str
    names: set[str]


@dataclass(slots=True)
class _Built:
    """What a kustomization holds so far.

    Args:
        made: Generated maps and Secrets by kind and name.
        doubts: What changes a flag in a way that is not computed, by flag.
        moved: Whether labels or annotations are set for many objects at once.
    """

    files: Files
    flags: tuple[str, ...]
    objects: list[_Object] = field(default_factory=list)
    made: dict[tuple[str, str], ConfigMap] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    moved: bool = False

    def doubt(self, where: str, text: str, *, every: bool = False) -> None:
        """Note that what stands in a text, or every flag, can no longer be told."""
        for flag in self.flags:
            if every or flag in text:
                self.doubts.setdefault(flag, where)


@dataclass(frozen=True, slots=True)
class _Patch:
    """One patch: where it stands, its text and what it is for, if that is said beside it."""

    where: str
    text: str
    path: str
    target: Node | None


def _file_in(path: Path) -> Path:
    if not path.is_dir():
        return path
    return next((path / name for name in NAMES if (path / name).is_file()), path / NAMES[0])


def _build(path: Path, built: _Built, *, depth: int) -> None:
    """Put together what one kustomization makes, in the order in which kustomize does it."""
    if depth > DEPTH_MAX:
        raise ManifestError(path=str(path), why="kustomizations name each other too deeply", remedy="Correct them.")
    root = next(iter(built.files.yaml(path).roots), None)
    built.moved |= any(member(root, part) is not None for part in _LABELLING)
    for part in ("resources", "bases"):
        for word in _words(root, part):
            _add(path.parent / word, word, built, depth=depth)
    for word in _words(root, "components"):
        # A component changes what is there already, as if it stood here.
        if (path.parent / word).is_dir():
            _build(_file_in(path.parent / word), built, depth=depth + 1)
        else:
            built.unread.append(f"{word[:100]} is not on this machine")
            built.doubt(f"component {word[:60]}", "", every=True)
    for part, kind in _GENERATORS:
        for node in items(member(root, part)):
            _generate(path, node, kind, built)
    for patch in _patches(path, root, built):
        _lay(patch, built)
    for part in _UNCOMPUTED:
        _look_at(path, root, part, built)
    _rename(root, built)


def _words(root: Node | None, part: str) -> Iterator[str]:
    yield from filter(None, (text_of(each) for each in items(member(root, part))))


def _add(place: Path, word: str, built: _Built, *, depth: int) -> None:
    """A resource: a kustomization of its own, or a manifest."""
    if "://" in word or word.startswith("github.com/"):
        built.unread.append(f"{word[:100]} is not on this machine")
    elif place.is_dir():
        inner = _Built(built.files, built.flags)
        _build(_file_in(place), inner, depth=depth + 1)
        built.objects += inner.objects
        built.made |= inner.made
        built.doubts |= inner.doubts
        built.unread += inner.unread
        built.moved |= inner.moved
    else:
        try:
            file = built.files.yaml(place)
        except ReconError as error:
            built.unread.append(f"{place} cannot be read: {error}")
            return
        for root in opened_lists(file.roots):
            built.objects.append(_Object(root, file.path, text_of(member(root, "kind")) or "", {name_of(root)}))


def _rename(root: Node | None, built: _Built) -> None:
    """Remember the names that a prefix and a suffix give, for later patches may use them."""
    before, after = text_of(member(root, "namePrefix")) or "", text_of(member(root, "nameSuffix")) or ""
    if before or after:
        for each in built.objects:
            each.names |= {f"{before}{name}{after}" for name in each.names}


def _patches(path: Path, root: Node | None, built: _Built) -> Iterator[_Patch]:
    for part in ("patchesStrategicMerge", "patches", "patchesJson6902"):
        for each in items(member(root, part)):
            target, inline = member(each, "target"), text_of(member(each, "patch"))
            bare = text_of(each)
            named = text_of(member(each, "path")) or (bare if bare and "\n" not in bare else None)
            if inline is None and named is None:
                inline = bare or ""
            if named is None:
                yield _Patch(f"{part} of {path}", inline or "", str(path), target)
            elif built.files.is_there(path.parent / named):
                place = path.parent / named
                text = built.files.data(place).decode("utf-8", "replace")
                yield _Patch(str(place), text, str(place), target)
            else:
                built.unread.append(f"{named[:100]} is not here")
                built.doubt(f"patch {named[:60]}, which is not here,", "", every=True)


def _lay(patch: _Patch, built: _Built) -> None:
    """Lay one patch over what it is for; one that cannot be computed makes doubts."""
    try:
        roots = parse_yaml_text(patch.text, path=patch.path).roots
        for root in roots:
            mark_origin(root, patch.path)
            _lay_part(root, patch, built)
    except (ManifestError, UnclearPatchError):
        # Which flag an operation reaches by its place in a list cannot be seen in its text.
        built.doubt(patch.where, patch.text, every=bool(_BROAD.search(patch.text)))


def _lay_part(root: Node, patch: _Patch, built: _Built) -> None:
    operations = items(root)
    if not operations and mapping(root) is None:
        return
    found = [each for each in built.objects if _is_meant(each, root, patch.target, moved=built.moved)]
    made = [each for each in built.made.values() if _is_meant(_shell_of(each), root, patch.target, moved=built.moved)]
    if not found and not made:
        built.doubt(f"{patch.where}, which fits nothing that is here,", patch.text)
    for each in found:
        _lay_over(each, root, built)
    for generated in made:
        _lay_over_generated(generated, root, patch, built)


def _lay_over(each: _Object, root: Node, built: _Built) -> None:
    """Lay a patch over one object, or take the object away."""
    if operations := items(root):
        each.root = apply_operations(each.root, operations)
        return
    left = merge_patch(each.root, _without_identity(root), merges_lists=each.kind in _BUILT_IN)
    if left is None:
        built.objects.remove(each)
    else:
        each.root = left


def _shell_of(made: ConfigMap) -> _Object:
    root: Any = None
    return _Object(root, "", made.kind, {made.name})


def _lay_over_generated(made: ConfigMap, root: Node, patch: _Patch, built: _Built) -> None:
    """A strategic merge adds entries to a generated map; what else is done to one is not computed."""
    if items(root) or text_of(member(root, "$patch")):
        built.doubt(patch.where, patch.text, every=bool(items(root)))
        return
    identity = parse_yaml_text(f"kind: {made.kind}", path=patch.path).roots[0]
    merged = merge_patch(identity, root, merges_lists=True)
    laid = Objects() if merged is None else objects_in(merged, patch.path)
    entries = tuple(entry for each in laid.maps.values() for entry in each.entries)
    gone = {entry.key for entry in made.entries} & _emptied(root)
    built.doubt(patch.where, " ".join(gone))
    built.made[made.kind, made.name] = replace(made, entries=(*made.entries, *entries))


def _emptied(root: Node) -> set[str]:
    parts = (member(root, part) for part in ("data", "stringData", "binaryData"))
    return {key for part in parts for key, value in merged_items(part).items() if text_of(value) is None}


def _without_identity(root: Node) -> Node:
    """A patch without the name by which it finds what it is for, which does not rename it."""
    from yaml.nodes import MappingNode

    held = [(key, value) for key, value in root.value if key.value not in ("metadata", "kind", "apiVersion")]
    return MappingNode(root.tag, held, root.start_mark, root.end_mark)


def _is_meant(each: _Object, patch: Node, target: Node | None, *, moved: bool = False) -> bool:
    """Whether a patch is for an object: by the target beside it, else by its own kind and name.

    Args:
        moved: Whether labels or annotations are set for many objects at once, which is not computed.

    Raises:
        UnclearPatchError: The target is chosen by labels or annotations in a way that is not computed.
    """
    if target is None:
        return text_of(member(patch, "kind")) == each.kind and name_of(patch) in each.names
    kind, name = text_of(member(target, "kind")), text_of(member(target, "name"))
    if not (_fits(kind, {each.kind}) and _fits(name, each.names)):
        return False
    for part, held in (("labelSelector", "labels"), ("annotationSelector", "annotations")):
        if (selector := text_of(member(target, part))) is None:
            if member(target, part) is not None:
                raise UnclearPatchError(f"its {part} is no text")
            continue
        if moved or each.root is None:
            raise UnclearPatchError("its target is chosen by labels that are set elsewhere")
        if not is_selected(selector, merged_items(member(member(each.root, "metadata"), held))):
            return False
    return True


def _fits(pattern: str | None, words: set[str]) -> bool:
    """Whether a word of a target fits, which is an expression for the whole of it."""
    if not pattern:
        return True
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UnclearPatchError("its target is no expression") from error
    return any(expression.fullmatch(word) for word in words)


def _look_at(path: Path, root: Node | None, part: str, built: _Built) -> None:
    """What is not computed: every flag that it names is a doubt, and where it reaches by place every flag is."""
    held = member(root, part)
    if held is None:
        return
    where = f"{part} of {path}"
    if part.startswith("helmChart"):
        built.unread.append(f"{where} is filled in by Helm, which is not run")
        return
    for text in _texts_of(path, held, built):
        built.doubt(where, text, every=bool(_BY_PLACE.search(text)))


def _texts_of(path: Path, held: Node, built: _Built) -> Iterator[str]:
    """The text of what stands there and of every file that it names."""
    start, end = held.start_mark, held.end_mark
    yield built.files.data(path).decode("utf-8", "replace")[start.index : end.index]
    for each in items(held):
        named = text_of(member(each, "path")) or text_of(each) or ""
        if not named or "\n" in named:
            continue
        if not built.files.is_there(path.parent / named):
            built.unread.append(f"{named[:100]} is not here")
            built.doubt(f"{named[:60]}, which is not here,", "", every=True)
        else:
            yield built.files.data(path.parent / named).decode("utf-8", "replace")


def _generate(path: Path, node: Node, kind: str, built: _Built) -> None:
    made = _generated(path, node, kind, built.files, built.unread)
    earlier = built.made.get((kind, made.name)) if text_of(member(node, "behavior")) == "merge" else None
    merged = replace(made, entries=(*earlier.entries, *made.entries)) if earlier else made
    built.made[kind, made.name] = merged


def _generated(path: Path, node: Node, kind: str, files: Files, unread: list[str]) -> ConfigMap:
    """The map that one generator makes, in the order in which kustomize lays its sources over each other."""
    name = text_of(member(node, "name")) or "(no name)"
    place = f"{'configMapGenerator' if kind == 'ConfigMap' else 'secretGenerator'} {name}"
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
    return ConfigMap(name, tuple(entries), kind)


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
