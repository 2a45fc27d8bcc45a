"""Flags in a Docker Compose file: read from one service's ``environment``, changed only as a patch to apply by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from recon.rails.flags.compose_model import environment_of, project_env, read_services
from recon.rails.flags.dotenv import check_value
from recon.rails.flags.errors import ManifestError
from recon.rails.flags.patches import file_text, patched_text
from recon.rails.flags.readings import Files, FlagReading, FlagSaid
from recon.rails.flags.words import FlagWords
from recon.rails.flags.yamltext import (
    Replacement,
    YamlFile,
    member,
    merged_items,
    parse_yaml_text,
    replace_stretches,
    scalar,
    spell_scalar,
    unified_patch,
)

if TYPE_CHECKING:
    from yaml.nodes import MappingNode, Node, SequenceNode


def read_compose(
    path: Path,
    *,
    words: FlagWords,
    service: str | None = None,
    overrides: Iterable[Path] = (),
    files: Files | None = None,
) -> FlagReading:
    """Read the flags of a service; without a name, of the only service that sets any, or of several that agree.

    Args:
        overrides: Further Compose files, each laid over those before it.

    Raises:
        ManifestError: The file is no Compose file, or which service is meant is not clear.
        FlagFileError: A file cannot be read.
    """
    files = files or Files()
    paths = [path, *overrides] if overrides else _own_paths(path, files)
    services = read_services(paths, files)
    flags = words.known_flags()
    found = {name: environment_of(each, files, flags=flags) for name, each in services.items()}
    name, notes = _holder(path, found, flags, service)
    if name is None:
        unread = tuple(dict.fromkeys(sentence for _, missing in found.values() for sentence in missing))
        return FlagReading({}, looked=_looked(files), unread=unread, notes=_shell_notes(paths[0], files))
    said, unread = found[name]
    notes += [f"Service {name} starts only with profile {' or '.join(services[name].profiles)}."] * bool(
        services[name].profiles
    )
    notes += [f"{sentence[0].upper()}{sentence[1:]}." for sentence in unread]
    through = sorted({each.file for flag, each in said.items() if flag in flags and each.file != str(path)})
    if services[name].env_files:
        notes.append(f"Service {name} also reads an env_file; what stands under environment wins over it.")
    notes += [f"Some flags of service {name} stand in {', '.join(through)}."] * bool(through)
    notes += _shell_notes(paths[0], files)
    return FlagReading(said, f"service {name}", _looked(files), unread, tuple(notes))


def _own_paths(path: Path, files: Files) -> list[Path]:
    """The files that Compose reads together by itself: those of ``COMPOSE_FILE`` in its ``.env``, else an override."""
    known = project_env(path.parent, files)
    named = known.get("COMPOSE_FILE")
    if not named:
        return [path, *_own_override(path, files)]
    parts = named.split(known.get("COMPOSE_PATH_SEPARATOR") or ":")
    paths = [path.parent / part for part in parts if part]
    if path not in paths:
        why = f"COMPOSE_FILE in the .env beside it names {named[:200]}, and not this file"
        raise ManifestError(path=str(path), why=why, remedy="Name the first of them in [flags] file, or all of them.")
    return paths


def _own_override(path: Path, files: Files) -> list[Path]:
    """The override file that Compose reads by itself beside a file with one of its usual names."""
    if path.name not in ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"):
        return []
    names = (f"{path.stem}.override.yaml", f"{path.stem}.override.yml")
    return [path.with_name(name) for name in names if files.is_there(path.with_name(name))][:1]


def _looked(files: Files) -> tuple[str, ...]:
    return tuple(dict.fromkeys(files.looked))


def _shell_notes(path: Path, files: Files) -> tuple[str, ...]:
    """What wins over everything read here and cannot be looked at."""
    if "$" not in files.yaml(path).text:
        return ()
    return ("The shell that runs docker compose wins over the .env beside it; what it sets is not looked at.",)


def _holder(
    path: Path,
    found: Mapping[str, tuple[dict[str, FlagSaid], tuple[str, ...]]],
    flags: Iterable[str],
    service: str | None,
) -> tuple[str | None, list[str]]:
    """The service whose flags are meant; None where none sets a flag."""
    if service is not None:
        if service not in found:
            raise ManifestError(
                path=str(path), why=f"it has no service {service!r}", remedy=f"It has {', '.join(found)[:200]}."
            )
        return service, []
    wanted = set(flags)
    setting = {name: {f: said[f].value for f in sorted(wanted & set(said))} for name, (said, _) in found.items()}
    names = [name for name, values in setting.items() if values]
    if not names:
        return None, []
    if any(setting[name] != setting[names[0]] for name in names):
        raise ManifestError(
            path=str(path),
            why=f"services {', '.join(names)} set flags and differ",
            remedy="Name the service in [flags] service.",
        )
    return names[0], [f"Services {', '.join(names)} set the flags alike; the first is shown."] * (len(names) > 1)


def patch_compose(
    path: Path,
    wanted: Mapping[str, str],
    *,
    words: FlagWords,
    service: str | None = None,
    overrides: Iterable[Path] = (),
) -> str:
    """The patch that gives the service these flags; no file is ever written. Empty when all is so already.

    A flag is changed in the file where it stands: an ``env_file``, a merged or extended service, an override. One that
    is set nowhere goes where the others stand.

    Raises:
        ManifestError: A value is shared through an anchor, interpolated, set twice, or cannot be changed in its place.
    """
    files, overrides = Files(), tuple(overrides)
    reading = read_compose(path, words=words, service=service, overrides=overrides, files=files)
    name = reading.holder.removeprefix("service ") or _service_name(files.yaml(path), service)
    mine, elsewhere = _split(path, name, wanted, reading, files)
    texts = {path: _own_patched(path, name, mine, files)} if mine else {}
    for place, flags in elsewhere.items():
        texts[place] = patched_text(place, flags, reading=reading, files=files)
    _check_reading(path, name, wanted, texts, words=words, overrides=overrides)
    root = path.parent
    return "".join(
        unified_patch(file_text(files, place), text, path=place.relative_to(root).as_posix())
        if place.is_relative_to(root)
        else unified_patch(file_text(files, place), text, path=place.as_posix())
        for place, text in texts.items()
    )


def _split(
    path: Path, name: str, wanted: Mapping[str, str], reading: FlagReading, files: Files
) -> tuple[dict[str, str], dict[Path, dict[str, str]]]:
    """Which flags are changed in the service's own environment of the first file, and which in what other file."""
    body = member(member(files.yaml(path).roots[0], "services"), name)
    own = {key for key, _, _ in _entries(files.yaml(path), member(body, "environment"))}
    others = [each for flag, each in reading.said.items() if flag in wanted and each.file != str(path)]
    mine: dict[str, str] = {}
    elsewhere: dict[Path, dict[str, str]] = {}
    for flag, value in wanted.items():
        check_value(flag, value)
        held = reading.said.get(flag)
        if held is not None and held.file != str(path):
            elsewhere.setdefault(Path(held.file), {})[flag] = value
        elif held is None and not own and others:
            elsewhere.setdefault(Path(others[0].file), {})[flag] = value
        else:
            mine[flag] = value
    return mine, elsewhere


def _own_patched(path: Path, name: str, wanted: Mapping[str, str], files: Files) -> str:
    """The text of the first file with the service's own environment changed."""
    file = files.yaml(path)
    environment = member(member(member(file.roots[0], "services"), name), "environment")
    if environment is None:
        raise _refusal(file, f"service {name} has no environment of its own", "Add one by hand.")
    if id(environment) in file.shared:
        raise _refusal(
            file, f"the environment of service {name} is shared through an anchor", "Change it there by hand."
        )
    found = _entries(file, environment)
    parts = []
    for flag, value in wanted.items():
        mine = [(old, node) for key, old, node in found if key == flag]
        if len(mine) > 1:
            raise _refusal(file, f"service {name} sets {flag} {len(mine)} times", "Leave one of them.")
        if mine and mine[0][0] == value:
            continue
        parts.append(_changed(file, flag, value, mine[0]) if mine else _added(file, environment, flag, value))
    after = replace_stretches(file.text, parts)
    _check(file, after, name, wanted)
    return after


def _check_reading(
    path: Path,
    name: str,
    wanted: Mapping[str, str],
    texts: Mapping[Path, str],
    *,
    words: FlagWords,
    overrides: tuple[Path, ...],
) -> None:
    """Read everything again as it would be: the service has the wanted flags, and everything else is as it was."""
    before, after = (
        read_compose(path, words=words, service=name, overrides=overrides, files=Files(over)).values
        for over in (None, texts)
    )
    if {**before, **wanted} != after:
        raise ManifestError(
            path=str(path), why="the change cannot be written without changing something else", remedy="Do it by hand."
        )


def _service_name(file: YamlFile, service: str | None) -> str:
    if service is not None:
        return service
    raise _refusal(file, "no service sets a flag", "Name the service in [flags] service.")


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
    """Read the result: the wanted values differ in this service, and only in others that share its environment."""
    again = parse_yaml_text(after, path=file.path)
    for name in merged_items(member(file.roots[0], "services")):
        was, now = (
            {
                key: value
                for key, value, _ in _entries(
                    each, member(member(member(each.roots[0], "services"), name), "environment")
                )
            }
            for each in (file, again)
        )
        if now not in (was, was | dict(wanted)) or (name == service and now != was | dict(wanted)):
            raise _refusal(file, "the change cannot be written without changing something else", "Do it by hand.")


def _refusal(file: YamlFile, why: str, remedy: str) -> ManifestError:
    return ManifestError(path=file.path, why=why, remedy=remedy)
