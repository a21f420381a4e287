"""Kernel settings of the network."""

from collections.abc import Iterator

from trunkline.core.doctor.finding import Finding, Host, at_least
from trunkline.core.doctor.needs import Needs

# native/crates/engine/src/acceptor.rs: what the listeners ask for.
_BACKLOG = 4_096
# Outgoing connections to one server address that the port range must allow.
_ENOUGH_PORTS = 20_000
_PORTS = "net.ipv4.ip_local_port_range"
_RESERVED = "net.ipv4.ip_local_reserved_ports"


def network(host: Host, needs: Needs) -> Iterator[Finding]:
    """Everything that connections pass on their way."""
    yield from _queues(host)
    yield from _ports(host, needs)
    yield from _reuse_of_ports(host, needs)
    yield from _connection_tracking(host, needs)


def _queues(host: Host) -> Iterator[Finding]:
    why = "a burst of new connections overflows the queue: clients wait a second and try again"
    yield from at_least(host, "net.core.somaxconn", _BACKLOG, why)
    if host.number("net.ipv4.tcp_syncookies") == 0:
        # The other settings of the queue count only without cookies.
        why = "a flood of half-open connections fills the queue, and nobody else gets in"
        remedy = "sysctl -w net.ipv4.tcp_syncookies=1"
        yield Finding("net.ipv4.tcp_syncookies", "0", "look", why, remedy)
    why = (
        "if a new process fails after it has begun to accept, connections that wait in the queues "
        "of its additional threads are reset; with 1 the kernel moves them to the others"
    )
    yield from at_least(host, "net.ipv4.tcp_migrate_req", 1, why, "hint")


def _ports(host: Host, needs: Needs) -> Iterator[Finding]:
    text = host.setting(_PORTS)
    if text is None:
        return
    low, high = map(int, text.split())
    subject, state = "ports for connections to servers", f"{low} to {high}"
    if high - low >= _ENOUGH_PORTS:
        yield Finding(subject, state)
    else:
        why = f"at most {high - low + 1} connections to one server address at a time"
        yield Finding(subject, state, "look", why, f'sysctl -w {_PORTS}="10240 65535"')
    yield from _in_the_way(host, needs, low, high)


def _in_the_way(host: Host, needs: Needs, low: int, high: int) -> Iterator[Finding]:
    """A listener's port that an outgoing connection of anybody may take while we do not run."""
    reserved = host.setting(_RESERVED) or ""
    listen = sorted({address.port for address in needs.listen})
    inside = [port for port in listen if low <= port <= high and not _is_within(port, reserved)]
    if not inside:
        return
    ports = ",".join(map(str, inside))
    why = "the kernel may give such a port to an outgoing connection: the next start then fails"
    remedy = f'sysctl -w {_RESERVED}="{f"{reserved},{ports}" if reserved else ports}"'
    yield Finding("listening ports", f"{ports} within {low} to {high}", "hint", why, remedy)


def _is_within(port: int, ranges: str) -> bool:
    """`8080,9000-9100`."""
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        if int(first) <= port <= int(last or first):
            return True
    return False


def _reuse_of_ports(host: Host, needs: Needs) -> Iterator[Finding]:
    """1: always, 2: on loopback, which is the default."""
    name = "net.ipv4.tcp_tw_reuse"
    value = host.number(name)
    if value is None:
        return
    if value == 1 or (value == 2 and not needs.reaches_out):
        yield Finding(name, str(value))
        return
    why = (
        "a port that we have closed is not used for another connection to a server for a minute; "
        "it matters for pools that keep few connections alive"
    )
    yield Finding(name, str(value), "hint", why, f"sysctl -w {name}=1")


def _connection_tracking(host: Host, needs: Needs) -> Iterator[Finding]:
    """Only with a firewall that tracks connections; each one of ours is two of its."""
    why = "when the table is full the kernel drops packets of new connections"
    yield from at_least(host, "net.netfilter.nf_conntrack_max", 2 * needs.connections, why)
