"""Files that are whole at every moment: written beside their place, flushed to the disk, and renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` when the block ends well; if not, what was there stays.

    A crash at any moment leaves the whole earlier file or the whole new one.

    Args:
        path: the file; its folder must be there.

    Raises:
        OSError: it cannot be written; nothing has changed then.
    """
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
