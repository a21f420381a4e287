"""A file that exists while the process is ready for traffic, if the configuration names one."""

import os
from pathlib import Path

from trunkline.core.config.load import Loaded
from trunkline.core.instance import relative_to_config


class ReadyFile:
    """Holds the process id of whoever is ready."""

    def __init__(self, loaded: Loaded) -> None:
        name = loaded.config.runtime.ready_file
        self._path: Path | None = relative_to_config(loaded, name) if name else None
        self._content = f"{os.getpid()}\n"

    def write(self) -> None:
        """Write it in one step, over another process's.

        Raises:
            OSError: It cannot be written.
        """
        if self._path is not None:
            fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
            fresh.write_text(self._content)
            fresh.replace(self._path)

    def remove(self) -> None:
        """Remove it, unless another process is ready in our place."""
        if self._path is not None and self._is_ours(self._path):
            self._path.unlink(missing_ok=True)

    def _is_ours(self, path: Path) -> bool:
        try:
            return path.read_text() == self._content
        except OSError:
            return False
