"""Runs the admin API on the control plane's event loop, and leaves word where it is."""

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import socket
from collections.abc import Iterator

import uvicorn

from trunkline.core import state
from trunkline.core.admin.app import make_app
from trunkline.core.config.load import Loaded, read_token
from trunkline.core.config.values import Address
from trunkline.core.instance import Instance, relative_to_config

log = logging.getLogger("trunkline.admin")

DEFAULT_ADDRESS = Address("127.0.0.1", 9901)
_TOKEN_BYTES = 24


def open_admin(instance: Instance, listening: socket.socket) -> "AdminServer":
    """Serve on the socket, and write the state file.

    Raises:
        OSError: The token file cannot be read, or the state file not written.
    """
    token = choose_token(instance.loaded)
    host, port = listening.getsockname()[:2]
    running = state.Running(
        config=os.path.realpath(instance.loaded.file),
        pid=os.getpid(),
        url=f"http://{Address(_reachable(host), port)}",
        token=token,
    )
    server = AdminServer(_Uvicorn(_settings(instance, token)), listening, running)
    try:
        state.save(running)
    except OSError as error:
        folder = state.state_directory()
        raise OSError(f"the state folder {folder}: {error.strerror}") from error
    return server


class AdminServer:
    """The admin API while it runs."""

    def __init__(
        self, server: uvicorn.Server, listening: socket.socket, running: state.Running
    ) -> None:
        self.running = running
        self._server = server
        self._task = asyncio.create_task(server.serve(sockets=[listening]))

    async def stop(self) -> None:
        """Finish open requests and remove the state file."""
        state.forget(self.running)
        self._server.should_exit = True
        await self._task


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the life cycle."""
        yield


def _settings(instance: Instance, token: str) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(instance, token),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        # An idle keep-alive connection must not hold up the stop.
        timeout_graceful_shutdown=2,
    )


def bind(configured: Address | None) -> socket.socket:
    """A listening socket: where configured, else on the default port, else on any free one.

    Raises:
        OSError: The configured address cannot be bound.
    """
    if configured is not None:
        return _listen(configured)
    try:
        return _listen(DEFAULT_ADDRESS)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        log.warning("%s is in use: the admin API takes a free port", DEFAULT_ADDRESS)
        return _listen(Address(DEFAULT_ADDRESS.host, 0))


def _listen(address: Address) -> socket.socket:
    family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((address.host, address.port), family=family)


def choose_token(loaded: Loaded) -> str:
    """The configured token, or a new one.

    Raises:
        OSError: The token file cannot be read.
    """
    admin = loaded.config.admin
    if admin.token is not None:
        return admin.token.get_secret_value()
    if admin.token_file is not None:
        return read_token(relative_to_config(loaded, admin.token_file))
    return secrets.token_urlsafe(_TOKEN_BYTES)


def _reachable(host: str) -> str:
    """Where to connect to a socket that is bound to this host."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
