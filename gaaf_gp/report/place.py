"""Where a run is: its folder, or its archive alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaaf_gp import outputs, resuming
from gaaf_gp.errors import GaafError


@dataclass(frozen=True)
class Place:
    """Where a run is.

    Attributes:
        folder: of its files; that of the archive if there is nothing but that.
        archive: the file of its trainings.
        config: what ``config.json`` holds, empty without one.
        key: of the run in the archive, or the beginning of it; None for the one that began last.
    """

    folder: Path
    archive: Path
    config: Mapping[str, Any]
    key: str | None

    @property
    def files(self) -> tuple[Path, ...]:
        """What changes when the run goes on."""
        log = self.archive.with_name(self.archive.name + "-wal")
        return self.archive, log, self.folder / outputs.CONFIG, self.folder / outputs.RESULT


def find_run(path: Path, key: str | None = None) -> Place:
    """Return where a run is.

    Args:
        path: its folder, or an archive.
        key: of the run, or enough of its beginning; by default that of ``config.json``, or the last of the archive.

    Raises:
        GaafError: there is neither, or no archive yet.
    """
    if path.is_file():
        return Place(path.parent, path, {}, key)
    if not path.is_dir():
        raise GaafError(f"there is no folder {path}: give that of a run, which gaaf-gp evolve --out makes")
    config = resuming.read_config(path) if (path / outputs.CONFIG).exists() else {}
    named, own = config.get("archive"), config.get(resuming.RUN)
    candidates = [Path(named), path / named, path / Path(named).name] if isinstance(named, str) and named else []
    archive = next((one for one in (*candidates, path / outputs.ARCHIVE) if one.is_file()), None)
    if archive is None:
        raise GaafError(
            f"a run must have its archive, and {path} has no {outputs.ARCHIVE} (yet): wait until it has begun, or give "
            "the path of the archive"
        )
    return Place(path, archive, config, key or (own if isinstance(own, str) else None))
