"""Every kind of place that flags live in, read and patched through one door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from recon.rails.flags.compose import patch_compose, read_compose
from recon.rails.flags.configmap import patch_configmap
from recon.rails.flags.dotenv_readers import DotenvReader
from recon.rails.flags.envfile import read_envfile
from recon.rails.flags.helm import read_helm
from recon.rails.flags.helm_templates import CHART, is_template
from recon.rails.flags.kubernetes import read_kubernetes
from recon.rails.flags.kustomize import NAMES, read_kustomize
from recon.rails.flags.patches import patch_reading
from recon.rails.flags.readings import Files, FlagReading
from recon.rails.flags.words import FlagWords
from recon.rails.flags.yamltext import mapping, member, text_of

PlaceKind = Literal["auto", "dotenv", "compose", "configmap", "kubernetes", "kustomize", "helm"]
KIND_NAMES: Final = {
    "dotenv": "dotenv", "compose": "Compose", "configmap": "Kubernetes", "kubernetes": "Kubernetes",
    "kustomize": "kustomize", "helm": "Helm",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlagHome:
    """Where the flags of one backend live, as a configuration says.

    Args:
        path: The file, or the folder of a kustomization or a chart.
        overrides: Further Compose, manifest or values files, each laid over those before it.
        service: The service, workload or container that is meant; None for the only one that sets flags.
        configmap: The ConfigMap that is meant; None for whatever the containers take.
        reader: Whose reading of a dotenv file counts.
    """

    path: Path
    words: FlagWords
    kind: PlaceKind = "auto"
    overrides: tuple[Path, ...] = ()
    service: str | None = None
    configmap: str | None = None
    reader: DotenvReader = "every"

    def real_kind(self) -> PlaceKind:
        """The kind, told from the file where it is not named.

        Raises:
            ManifestError, FlagFileError: The file must be looked into and cannot be read.
        """
        if self.kind != "auto":
            return self.kind
        if (told := self._kind_by_name()) is not None:
            return told
        roots = Files().yaml(self.path).roots
        if any(mapping(member(root, "services")) is not None or member(root, "include") is not None for root in roots):
            return "compose"
        return "kubernetes" if any(text_of(member(root, "kind")) for root in roots) else "helm"

    def _kind_by_name(self) -> PlaceKind | None:
        """The kind, where the name of the file or its braces tell it; None for YAML that must be looked into."""
        if (self.path / CHART).is_file():
            return "helm"
        if self.path.is_dir() or self.path.name in NAMES:
            return "kustomize"
        if self.path.suffix in (".yaml", ".yml", ".tpl"):
            return "helm" if is_template(self.path) else None
        return None if self.path.suffix == ".json" else "dotenv"

    def read(self, files: Files | None = None) -> FlagReading:
        """Every variable of the backend.

        Raises:
            ManifestError, FlagFileError: A file cannot be read, or which holder is meant is not clear.
        """
        reading = self._read(files or Files())
        held = {flag: reading.said[flag] for flag in self.words.known_flags() if flag in reading.said}
        blank = {
            flag: replace(each, value=None, doubt="it begins or ends with blank space, which a backend may keep")
            for flag, each in held.items()
            if each.value and each.value != each.value.strip()
        }
        return replace(reading, said={**reading.said, **blank}) if blank else reading

    def _read(self, files: Files) -> FlagReading:
        flags, paths = self.words.known_flags(), (self.path, *self.overrides)
        match self.real_kind():
            case "compose":
                return read_compose(
                    self.path, words=self.words, service=self.service, overrides=self.overrides, files=files
                )
            case "configmap" | "kubernetes":
                return read_kubernetes(
                    paths, flags=flags, name=self.configmap, container=self.service, reader=self.reader, files=files
                )
            case "kustomize":
                return read_kustomize(
                    self.path,
                    flags=flags,
                    name=self.configmap,
                    container=self.service,
                    reader=self.reader,
                    files=files,
                )
            case "helm":
                return read_helm(paths, flags=flags, reader=self.reader, files=files)
            case _:
                return read_envfile(self.path, files, flags=flags, reader=self.reader)

    def patch(self, wanted: Mapping[str, str]) -> str:
        """The patch that gives flags their values, for every kind but a dotenv file; empty when all is so already.

        Raises:
            ManifestError: A flag stands where it cannot be changed, or is not set where one could be added.
        """
        kind = self.real_kind()
        if kind == "compose":
            return patch_compose(self.path, wanted, words=self.words, service=self.service, overrides=self.overrides)
        reading = self.read()
        if kind in ("configmap", "kubernetes") and not self.overrides and self._is_plain_map(reading, wanted):
            return patch_configmap(
                self.path, wanted, words=self.words, name=reading.holder.removeprefix("ConfigMap ") or self.configmap
            )
        root = self.path if self.path.is_dir() else self.path.parent
        return patch_reading(self.read, wanted, root=root)

    def _is_plain_map(self, reading: FlagReading, wanted: Mapping[str, str]) -> bool:
        """Whether the flags that are there are plain keys of one map, so that others can be put beside them."""
        held = [reading.said[flag] for flag in wanted if flag in reading.said]
        plain = all(each.spot is not None and each.place == f"{reading.holder} data" for each in held)
        return reading.holder.startswith("ConfigMap") and plain if held else not reading.holder.startswith("container")
