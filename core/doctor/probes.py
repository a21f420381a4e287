"""What no file tells: it is tried."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from trunkline.core import state
from trunkline.core.config.values import Address
from trunkline.core.doctor.finding import Finding


def native() -> Iterator[Finding]:
    """Whether the native module is there, and is the right one."""
    try:
        from trunkline.core.native import native_version
    except ImportError as error:
        why = "nothing runs without it"
        remedy = "pip install --force-reinstall trunkline"
        yield Finding("native module", str(error), "look", why, remedy)
    else:
        yield Finding("native module", native_version())


def shared_ports() -> Iterator[Finding]:
    """Each worker thread has a socket of its own for each address."""
    try:
        with socket.socket() as first, socket.socket() as second:
            for each in (first, second):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            first.bind(("127.0.0.1", 0))
            second.bind(first.getsockname())
    except OSError as error:
        why = "worker threads cannot share an address: there can be only one"
        remedy = "[runtime] threads = 1"
        yield Finding("SO_REUSEPORT", str(error.strerror), "look", why, remedy)
    else:
        yield Finding("SO_REUSEPORT", "works")


def state_folder() -> Iterator[Finding]:
    """Where a running trunkline leaves word for `status`, `reload` and the others."""
    folder = state.state_directory()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        yield Finding("state folder", str(folder))
        return
    why = "trunkline does not start: commands would not find it"
    remedy = "export TRUNKLINE_STATE_DIR=/run/trunkline   (systemd: RuntimeDirectory=trunkline)"
    yield Finding("state folder", f"{existing} cannot be written to", "look", why, remedy)


def port(address: Address, config: Path) -> Finding:
    """Whether an address can be listened on, or is by the trunkline of this configuration."""
    subject = f"listen {address}"
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except PermissionError:
            setting = "net.ipv4.ip_unprivileged_port_start"
            remedy = f"sysctl -w {setting}={address.port}   (systemd: CAP_NET_BIND_SERVICE)"
            why = "ports below that setting are not for everybody"
            return Finding(subject, "not permitted", "look", why, remedy)
        except OSError as error:
            return _taken(subject, address, config, str(error.strerror))
    return Finding(subject, "free")


def _taken(subject: str, address: Address, config: Path, reason: str) -> Finding:
    # Another user's state folder tells us nothing.
    with contextlib.suppress(PermissionError):
        running = state.find(config)
        if running is not None:
            return Finding(subject, f"in use; process {running.pid} runs with this file")
    remedy = f"ss -ltnp 'sport = :{address.port}'   shows who has it"
    return Finding(subject, reason, "look", "trunkline would not start", remedy)
