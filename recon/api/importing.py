"""``import``: exported files become a snapshot, without a database, a node or a provider's key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from recon.api.common import Config, Place, free_path, settings_if_there
from recon.sources.interface import Progress, no_progress

if TYPE_CHECKING:
    from recon.snapshots.sealed import Snapshot


def import_files(
    mapping: Place, *, out: Place | None = None, config: Config = None, progress: Progress = no_progress
) -> Snapshot:
    """Make a snapshot of CSV or Parquet files; see ``recon import``.

    What the files do not hold is a gap of the snapshot, unless the mapping says for which time they are complete.

    Args:
        mapping: The TOML file that says which column holds which field.
        out: The directory of the snapshot; one beside the mapping when not given.
        config: Whose policy, tokens and chains count; the usual ones without a configuration.

    Raises:
        MappingError: The mapping or a file cannot be used.
        BadRowsError: Cells cannot be read exactly; each is named by file and line, and nothing was written.
        SnapshotExistsError: ``out`` is not empty.
    """
    from recon.core.registry import load_registry
    from recon.setup.open_exports import ImportRules, open_exports
    from recon.snapshots.take import take_snapshot
    from recon.sources.exports.mapping import load_mapping
    from recon.sources.interface import Selection

    path, settings = Path(mapping), settings_if_there(config)
    given = load_mapping(path)
    rules = ImportRules(load_registry()) if settings is None else ImportRules(settings.registry(), settings.policy())
    target = Path(out) if out is not None else free_path(path.with_name(f"snapshot-{path.stem}"))
    opened = open_exports(given, home=path.parent, rules=rules)
    return take_snapshot(
        opened.sources,
        selection=Selection(),
        policy=opened.policy,
        registry=opened.registry,
        now=given.taken_at,
        out=target,
        progress=progress,
    )
