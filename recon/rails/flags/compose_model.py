"""The environment of each service of a Compose application, put together as the Compose specification says.

For one service, from what counts least: what it ``extends``, then its own ``env_file`` entries in order, then its own
``environment``; then the same of every further file, which overrides. A file's ``<<`` merges are resolved first.
``!reset`` takes away what earlier files said, ``!override`` replaces it. ``env_file`` never wins over ``environment``,
whichever file either stands in. Names in values are filled in from the ``.env`` of the project; what the shell sets is
not looked at, so a name that only the shell can set is a doubt. What an ``include`` brings has the ``.env`` of its own
folder, and ours wins over that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recon.core.errors import ReconError
from recon.rails.flags.commands import rail_options, said_in_command, split_command
from recon.rails.flags.envfile import said_in
from recon.rails.flags.errors import ManifestError
from recon.rails.flags.interpolate import fill
from recon.rails.flags.readings import Files, FlagSaid
from recon.rails.flags.yamltext import items, line_at, mapping, member, merged_items, scalar, spot_of, text_of

if TYPE_CHECKING:
    from yaml.nodes import Node

DEPTH_MAX: Final = 12
_TRUTHS: Final = {"true", "false"}


@dataclass(frozen=True, slots=True)
class EnvFile:
    """One entry of ``env_file``, in any of its forms."""

    path: Path
    is_required: bool = True
    reader: str = "compose"
    known: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Service:
    """One service as put together so far.

    Args:
        variables: What ``environment`` sets, by name.
        env_files: What ``env_file`` names, in order.
        unread: What could not be followed; one sentence each.
        profiles: The profiles that it starts with only.
        entrypoint, command: What it starts, where the files say it.
    """

    variables: Mapping[str, FlagSaid] = field(default_factory=dict)
    env_files: tuple[EnvFile, ...] = ()
    unread: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    entrypoint: Started | None = None
    command: Started | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """An ``entrypoint`` or a ``command``: its words with names filled in, and where it stands."""

    words: tuple[str, ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a Compose file is read with.

    Args:
        folder: What paths are relative to.
        known: Names that are filled in.
    """

    files: Files
    folder: Path
    known: Mapping[str, str | None]
    depth: int = 0

    def deeper(self, path: Path, **changed: object) -> _Scope:
        """The scope of a file that this one names. Raises ManifestError when files name each other without end."""
        if self.depth >= DEPTH_MAX:
            raise ManifestError(path=str(path), why="files name each other too deeply", remedy="Name the right file.")
        return replace(self, depth=self.depth + 1, **changed)  # type: ignore[arg-type]


def read_services(paths: Iterable[Path], files: Files) -> dict[str, Service]:
    """Every service of the files, of which later ones override earlier ones.

    Raises:
        ManifestError, FlagFileError: A named file cannot be read, or is no Compose file.
    """
    paths = list(paths)
    folder = paths[0].parent
    scope = _Scope(files, folder, project_env(folder, files))
    services: dict[str, Service] = {}
    for path in paths:
        for name, service in _services_of(path, scope).items():
            services[name] = service if name not in services else _merged(services[name], service)
    return {name: replace(service, variables=_without_resets(service.variables)) for name, service in services.items()}


def project_env(folder: Path, files: Files, *names: str) -> dict[str, str | None]:
    """What the ``.env`` of a project folder, or the files that are named instead, set for filling in."""
    known: dict[str, str | None] = {}
    for name in names or (".env",):
        if files.is_there(folder / name):
            text = files.data(folder / name).decode("utf-8", "surrogateescape")
            said, _ = said_in(text, reader="compose", file=str(folder / name), place="", known=known)
            known |= {key: each.value for key, each in said.items()}
    return known


def _services_of(path: Path, scope: _Scope) -> dict[str, Service]:
    """The services of one file with what it includes."""
    file = scope.files.yaml(path)
    root = file.roots[0] if len(file.roots) == 1 else None
    services = member(root, "services")
    if mapping(services) is None and member(root, "include") is None:
        raise ManifestError(
            path=str(path), why="it is no Compose file with services", remedy="Name the Compose file of the backend."
        )
    found: dict[str, Service] = {}
    for entry in items(member(root, "include")):
        found |= _included(entry, path, scope)
    for name in merged_items(services):
        own = _service(path, name, scope)
        found[name] = own if name not in found else _merged(found[name], own)
    return found


def _included(entry: Node, path: Path, scope: _Scope) -> dict[str, Service]:
    """The services of one entry of ``include``, short or long."""
    short = text_of(entry)
    parts = [short] if short else _texts(member(entry, "path"))
    places = [scope.folder / fill(part, scope.known).text for part in parts]
    if not places:
        raise ManifestError(path=str(path), why="an include names no file", remedy="Correct it first.")
    folder_text = text_of(member(entry, "project_directory"))
    folder = scope.folder / folder_text if folder_text else places[0].parent
    names = _texts(member(entry, "env_file"))
    own = project_env(scope.folder if names else folder, scope.files, *names)
    inner = scope.deeper(path, folder=folder, known={**own, **scope.known})
    found: dict[str, Service] = {}
    for place in places:
        for name, service in _services_of(place, inner).items():
            found[name] = service if name not in found else _merged(found[name], service)
    return found


def _texts(node: Node | None) -> list[str]:
    """One text, or a list of them."""
    return [text for each in ([node] if scalar(node) is not None else items(node)) if (text := text_of(each))]


def _service(path: Path, name: str, scope: _Scope) -> Service:
    """One service of one file, with what it extends."""
    file = scope.files.yaml(path)
    body = member(member(file.roots[0], "services"), name)
    environment = member(body, "environment")
    own = Service(
        variables=_variables(path, name, environment, scope),
        env_files=tuple(_env_files(member(body, "env_file"), scope)),
        profiles=tuple(word for each in items(member(body, "profiles")) if (word := text_of(each))),
        entrypoint=_started(path, member(body, "entrypoint"), scope),
        command=_started(path, member(body, "command"), scope),
    )
    own = replace(own, unread=_label_files(body))
    extended = member(body, "extends")
    if extended is None:
        return own
    return _merged(_extended(path, extended, scope), own, tags=False)


def _started(path: Path, node: Node | None, scope: _Scope) -> Started | None:
    """What a service starts, as one text that is split into words or as a list of them; None where nothing is said."""
    if node is None or str(node.tag).endswith(":null"):
        return None
    text = text_of(node)
    words = split_command(text) if text is not None else tuple(_texts(node))
    filled = [(word, fill(word, scope.known)) for word in words]
    # What only the shell can fill in stays as it is written.
    return Started(tuple(word if each.doubt else each.text for word, each in filled), str(path), line_at(node))


def _label_files(body: Node | None) -> tuple[str, ...]:
    """What of a service this module does not follow and that may set variables."""
    return ("the service is made by a provider, which may set more",) if member(body, "provider") is not None else ()


def _extended(path: Path, node: Node, scope: _Scope) -> Service:
    """The service that another one extends: of the same file, or of one that is named."""
    target = text_of(node) or text_of(member(node, "service"))
    named = text_of(member(node, "file"))
    if target is None:
        raise ManifestError(path=str(path), why="an extends names no service", remedy="Correct it first.")
    other = path if named is None else scope.folder / fill(named, scope.known).text
    inner = scope.deeper(path) if named is None else scope.deeper(path, folder=other.parent)
    file = scope.files.yaml(other)
    if target not in keys_of_services(file.roots):
        raise ManifestError(path=str(other), why=f"it has no service {target[:60]!r}", remedy="Correct the extends.")
    return _service(other, target, inner)


def keys_of_services(roots: Iterable[Node]) -> tuple[str, ...]:
    """The names of the services of a file."""
    return tuple(name for root in roots for name in merged_items(member(root, "services")))


def _merged(base: Service, over: Service, *, tags: bool = True) -> Service:
    """A service with another one laid over it; a later ``environment`` adds to an earlier one, name by name."""
    variables = {**base.variables, **over.variables}
    if tags and (mark := over.variables.get(_WHOLE)) is not None:
        variables = dict(over.variables) if mark.raw == "!override" else {}
    env_files = (*base.env_files, *over.env_files)
    if over.env_files and over.env_files[0].reader in ("!override", "!reset"):
        env_files = over.env_files[1:]
    return Service(
        variables,
        env_files,
        unread=(*base.unread, *over.unread),
        profiles=over.profiles or base.profiles,
        entrypoint=over.entrypoint or base.entrypoint,
        command=over.command or base.command,
    )


_WHOLE: Final = "\0whole"
"""The name under which a mark on the whole ``environment`` travels until the files are merged."""


def _without_resets(variables: Mapping[str, FlagSaid]) -> dict[str, FlagSaid]:
    return {name: each for name, each in variables.items() if name != _WHOLE and each.raw != "!reset"}


def _variables(path: Path, service: str, node: Node | None, scope: _Scope) -> dict[str, FlagSaid]:
    """What an ``environment`` sets, as a mapping or as a list."""
    place = f"services.{service}.environment"
    found: dict[str, FlagSaid] = {}
    if node is None:
        return found
    if node.tag in ("!reset", "!override"):
        found[_WHOLE] = FlagSaid(_WHOLE, None, str(path), place, line_at(node), raw=node.tag)
        if node.tag == "!reset":
            return found
    if mapping(node) is None and text_of(node) is not None:
        raise ManifestError(
            path=str(path), why="an environment is neither a mapping nor a list", remedy="Correct it first."
        )
    for name, value, held in _entries(node):
        raw = "!reset" if held.tag == "!reset" else value or ""
        said = _valued(name, value, scope.known)
        spot = (
            None
            if value is None or "$" in value
            else spot_of(held, prefix=f"{name}=" if scalar(held) in items(node) else "")
        )
        found[name] = replace(said, file=str(path), place=place, line=line_at(held), raw=raw, spot=spot)
    return found


def _entries(node: Node) -> Iterator[tuple[str, str | None, Node]]:
    for key, held in merged_items(node).items():
        value = text_of(held)
        if value is not None and held.tag.endswith(":bool") and value.lower() in _TRUTHS:
            value = value.lower()
        yield key, value, held
    for item in items(node):
        name, equals, rest = (text_of(item) or "").partition("=")
        if name.strip():
            yield name.strip(), rest if equals else None, item


def _valued(name: str, value: str | None, known: Mapping[str, str | None]) -> FlagSaid:
    """What a variable becomes: its text with names filled in; without a value, what the project or the shell has."""
    if value is None:
        if (held := known.get(name)) is not None:
            return FlagSaid(name, held, "", "", 0)
        return FlagSaid(name, None, "", "", 0, doubt="it is passed on from the shell that runs docker compose")
    filled = fill(value, known)
    return FlagSaid(name, None if filled.doubt else filled.text, "", "", 0, doubt=filled.doubt)


def _env_files(node: Node | None, scope: _Scope) -> Iterator[EnvFile]:
    """The entries of ``env_file``: one text, or a list of texts and of mappings with path, required and format."""
    if node is None:
        return
    if node.tag in ("!reset", "!override"):
        yield EnvFile(scope.folder, reader=node.tag)
    for each in items(node) or ([node] if node.tag != "!reset" else []):
        named = text_of(each) or text_of(member(each, "path"))
        if named:
            required = text_of(member(each, "required")) or "true"
            reader = "docker" if text_of(member(each, "format")) == "raw" else "compose"
            place = scope.folder / fill(named, scope.known).text
            yield EnvFile(place, required.lower() != "false", reader, scope.known)


def environment_of(
    service: Service, files: Files, *, flags: Collection[str] = ()
) -> tuple[dict[str, FlagSaid], tuple[str, ...]]:
    """The variables of a service, its files read, and over them what its command sets; and what could not be read."""
    found: dict[str, FlagSaid] = {}
    unread = list(service.unread)
    for each in service.env_files:
        if each.reader.startswith("!"):
            continue
        if not files.is_there(each.path):
            files.looked.append(str(each.path))
            if each.is_required:
                unread.append(f"env_file {each.path} is not there")
            continue
        try:
            text = files.data(each.path).decode("utf-8", "surrogateescape")
        except ReconError as error:
            unread.append(f"env_file {each.path} cannot be read: {error}")
            continue
        said, problem = said_in(text, reader=each.reader, file=str(each.path), place="env_file", known=each.known)
        if problem:
            unread.append(f"env_file {each.path} cannot be read: {problem}")
        found |= said
    found |= service.variables
    found |= _by_command(service, flags, unread, has_any=any(flag in found for flag in flags))
    return found, tuple(unread)


def _by_command(service: Service, flags: Collection[str], unread: list[str], *, has_any: bool) -> dict[str, FlagSaid]:
    """What the entry point and the command of a service set.

    Args:
        unread: Takes an option that may switch a rail, of a service that has to do with no flag (a proxy, a worker).
        has_any: Whether the service has to do with any flag.
    """
    started = [each for each in (service.entrypoint, service.command) if each is not None]
    words = [word for each in started for word in each.words]
    if not has_any and (options := rail_options(words, flags)):
        unread.append(f"the command of a service has {options[0][:60]!r}, which may switch a rail")
        words = [word for word in words if word not in options]
    if not started:
        return {}
    return said_in_command(words, flags=flags, file=started[-1].file, line=started[-1].line)
