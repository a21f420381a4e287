"""A list of servers in a file that something else writes.

TOML or JSON by its name: `servers = [...]` as in a pool, JSON also as a bare list. A writer should
replace the file (write another, rename it): one that is read half written is refused as a whole.
"""

import asyncio
import json
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from trunkline.core.config.pool import AnyServer, Server
from trunkline.core.discovery.resolve import resolved
from trunkline.core.discovery.source import DiscoveryError, Found

_SERVERS = TypeAdapter(list[AnyServer])
# What tells one content of a file from another without reading it.
Stamp = tuple[int, int, int]


class FileSource:
    """Looks at a file again and again, and reads it if it is another one.

    Args:
        path: The file.
        interval_s: Seconds between two looks.
    """

    def __init__(self, path: Path, interval_s: float) -> None:
        self._path = path
        self._interval_s = interval_s
        self._seen: tuple[Stamp, tuple[Server, ...]] | None = None

    def __str__(self) -> str:
        return f"file {self._path}"

    async def find(self) -> Found:
        """The servers of the file.

        Raises:
            DiscoveryError: It cannot be read, or holds no list of servers.
        """
        try:
            # Files may be far away: on a network that hangs, only this thread does.
            stamp = await asyncio.to_thread(_stamp, self._path)
            if self._seen is None or self._seen[0] != stamp:
                written = await asyncio.to_thread(read_servers, self._path)
                self._seen = (stamp, await resolved(written))
        except OSError as error:
            raise DiscoveryError(f"cannot read {self._path}: {error.strerror}") from error
        return Found(self._seen[1], self._interval_s)


def read_servers(path: Path) -> list[Server]:
    """The servers of a file, as written.

    Raises:
        OSError: It cannot be read.
        DiscoveryError: It holds no list of servers.
    """
    content = path.read_bytes()
    try:
        data: Any = json.loads(content) if path.suffix == ".json" else _toml(content)
    except ValueError as error:
        raise DiscoveryError(f"{path}: {error}") from error
    servers = data.get("servers") if isinstance(data, dict) else data
    try:
        return _SERVERS.validate_python(servers, strict=True)
    except ValidationError as refused:
        first = refused.errors(include_url=False)[0]
        place = "".join(f"[{part}]" if isinstance(part, int) else "" for part in first["loc"])
        raise DiscoveryError(f"{path}: servers{place}: {first['msg']}") from refused


def _toml(content: bytes) -> dict[str, Any]:
    return tomllib.loads(content.decode())


def _stamp(path: Path) -> Stamp:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size, status.st_ino
