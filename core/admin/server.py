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
from trunkline.core.admin.actions import Upgrade
from trunkline.core.admin.app import make_app
from trunkline.core.config.load import Loaded, read_token
from trunkline.core.config.values import Address
from trunkline.core.instance import Instance, relative_to_config
from trunkline.core.upgrade.predecessor import Inherited

log = logging.getLogger("trunkline.admin")

DEFAULT_ADDRESS = Address("127.0.0.1", 9901)
_TOKEN_BYTES = 24


def open_admin(
    instance: Instance, listening: socket.socket, token: str, upgrade: Upgrade
) -> "AdminServer":
    """Serve on the socket, and write the state file.

    Raises:
        OSError: The state file cannot be written.
    """
    host, port = listening.getsockname()[:2]
    running = state.Running(
        config=os.path.realpath(instance.loaded.file),
        pid=os.getpid(),
        url=f"http://{Address(_reachable(host), port)}",
        token=token,
    )
    server = AdminServer(_Uvicorn(_settings(instance, token, upgrade)), listening, running)
    server.leave_word()
    return server


class AdminServer:
    """The admin API while it runs."""

    def __init__(
        self, server: uvicorn.Server, listening: socket.socket, running: state.Running
    ) -> None:
        self.running = running
        self._server = server
        self._task = asyncio.create_task(server.serve(sockets=[listening]))

    def leave_word(self) -> None:
        """Write the state file.

        Raises:
            OSError: It cannot be written.
        """
        try:
            state.save(self.running)
        except OSError as error:
            folder = state.state_directory()
            raise OSError(f"the state folder {folder}: {error.strerror}") from error

    def forget_word(self) -> None:
        """Remove the state file, unless another process has written it since."""
        state.forget(self.running)

    def stop_accepting(self) -> None:
        """Leave new connections to another process that holds the socket too."""
        if self._server.started:
            for server in self._server.servers:
                server.close()

    async def stop(self) -> None:
        """Finish open requests."""
        self._server.should_exit = True
        await self._task


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the life cycle."""
        yield


def _settings(instance: Instance, token: str, upgrade: Upgrade) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(instance, token, upgrade),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        # An idle keep-alive connection must not hold up the stop.
        timeout_graceful_shutdown=2,
    )


def wanted_address(loaded: Loaded) -> Address | None:
    """Where the admin API is to be; None for the default address if that is free.

    It is bound before the listeners: it must not take what the configuration gives to one of them.
    """
    written = loaded.config.admin.listen
    if written is None and loaded.builder.is_claimed(DEFAULT_ADDRESS):
        return Address(DEFAULT_ADDRESS.host, 0)
    return written


def choose_socket(configured: Address | None, inherited: Inherited) -> socket.socket:
    """A listening socket: an inherited one, or where configured, or on the default port, or free.

    Raises:
        OSError: The configured address cannot be bound.
    """
    if (given := _inherited_socket(configured, inherited)) is not None:
        return given
    if configured is not None:
        return _listen(configured)
    try:
        return _listen(DEFAULT_ADDRESS)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        log.warning("%s is in use: the admin API takes a free port", DEFAULT_ADDRESS)
        return _listen(Address(DEFAULT_ADDRESS.host, 0))


def _inherited_socket(configured: Address | None, inherited: Inherited) -> socket.socket | None:
    """The admin API's of the process before, or one among those that the service manager gave."""
    if inherited.admin is not None:
        # Without a configured address that process may have taken any free port.
        if _is_at(inherited.admin, configured or Address(DEFAULT_ADDRESS.host, 0)):
            return inherited.admin
        inherited.admin.close()
    wanted = configured or DEFAULT_ADDRESS
    for given in inherited.listeners:
        # Any port will do for us, but then the socket is somebody else's.
        if wanted.port and _is_at(given, wanted):
            inherited.listeners.remove(given)
            return given
    return None


def _is_at(given: socket.socket, address: Address) -> bool:
    host, port = given.getsockname()[:2]
    hosts = socket.getaddrinfo(address.host, None, type=socket.SOCK_STREAM)
    return address.port in {0, port} and host in {place[0] for *_, place in hosts}


def _listen(address: Address) -> socket.socket:
    family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((address.host, address.port), family=family)


def choose_token(loaded: Loaded, known: str | None) -> str:
    """The configured token, or the one that its clients know from the process before, or a new one.

    Raises:
        OSError: The token file cannot be read.
    """
    admin = loaded.config.admin
    if admin.token is not None:
        return admin.token.get_secret_value()
    if admin.token_file is not None:
        return read_token(relative_to_config(loaded, admin.token_file))
    return known or secrets.token_urlsafe(_TOKEN_BYTES)


def _reachable(host: str) -> str:
    """Where to connect to a socket that is bound to this host."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
