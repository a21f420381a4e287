"""The kinds of value a configuration is written in: durations, sizes, addresses, networks.

Each is a string in the file and a plain Python value in the model: milliseconds, bytes,
an `Address`.
"""

import ipaddress
import json
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

_MS_PER_UNIT = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_BYTES_PER_UNIT = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
# Both fit the native side's u64 with room, and nobody means more.
_MOST_MS = 366 * 86_400_000
_MOST_BYTES = 1 << 50

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(B|KB|MB|GB)")
# Python finds it when it encodes the name, with an error that is none of the system's.
LONG_LABEL = "a part of it is longer than 63 characters (RFC 1035 §2.3.4)"
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?")


def parse_duration(value: Any) -> int:
    """`"250ms"`, `"1.5s"`, `"1m"`, `"2h"`, `"1d"` as milliseconds.

    Raises:
        ValueError: It is none of these.
    """
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'must be a duration such as "250ms", "5s" or "1m", not {shown(value)}')
    duration_ms = Fraction(match[1]) * _MS_PER_UNIT[match[2]]
    if duration_ms > _MOST_MS or duration_ms.denominator > 1:
        raise ValueError(f"must be whole milliseconds, at most 366 days, not {shown(value)}")
    return int(duration_ms)


def parse_whole_seconds(value: Any) -> int:
    """A duration as seconds.

    Raises:
        ValueError: It is no duration, or not whole seconds.
    """
    duration_ms = parse_duration(value)
    if duration_ms % 1_000:
        raise ValueError(f"must be whole seconds, not {shown(value)}")
    return duration_ms // 1_000


def parse_size(value: Any) -> int:
    """`"512B"`, `"16KB"`, `"10MB"`, `"1GB"` as bytes (1 KB = 1 024 B).

    Raises:
        ValueError: It is none of these.
    """
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'must be a size such as "16KB" or "10MB", not {shown(value)}')
    size_bytes = Fraction(match[1]) * _BYTES_PER_UNIT[match[2]]
    if size_bytes > _MOST_BYTES or size_bytes.denominator > 1:
        raise ValueError(f"must be whole bytes, at most 2^50, not {shown(value)}")
    return int(size_bytes)


def duration_text(duration_ms: int) -> str:
    """Milliseconds as people write them: the largest unit that leaves a whole number."""
    return _largest_unit(duration_ms, _MS_PER_UNIT)


def size_text(size_bytes: int) -> str:
    """Bytes as people write them: the largest unit that leaves a whole number."""
    return _largest_unit(size_bytes, _BYTES_PER_UNIT)


def _largest_unit(value: int, units: dict[str, int]) -> str:
    unit = max((u for u in units if value % units[u] == 0), key=units.__getitem__)
    if value == 0:
        unit = min(units, key=units.__getitem__)
    return f"{value // units[unit]}{unit}"


@dataclass(frozen=True)
class Address:
    """Host (name or IP, IPv6 without brackets) and port."""

    host: str
    port: int

    @property
    def name(self) -> str | None:
        """The host if it is a name, without a final dot: as SNI has it (RFC 6066 §3)."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return self.host.rstrip(".")
        return None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(value: Any) -> Address:
    """`"10.0.0.1:80"`, `"[::1]:80"`, `"app.internal:80"`.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(value, Address):
        return value
    wanted = f'must be "host:port", e.g. "127.0.0.1:8080", not {shown(value)}'
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not colon or not host or not re.fullmatch(r"[0-9]{1,5}", port):
        raise ValueError(wanted)
    if int(port) > 65_535:
        raise ValueError(f"port {port} is out of range; valid are 1 to 65535")
    return Address(_host(host, wanted), int(port))


def _host(host: str, wanted: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            raise ValueError(wanted) from None
    if re.fullmatch(r"[0-9.]+", host):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise ValueError(wanted) from None
    if not _HOST.fullmatch(host) or len(host) > 253:
        raise ValueError(wanted)
    return host.lower()


def _fixed_port(address: Address) -> Address:
    if address.port == 0:
        raise ValueError("port 0 is no fixed port; valid are 1 to 65535")
    return address


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        message = f'must be an address or a network such as "10.0.0.0/8", not {shown(value)}'
        raise ValueError(message) from None


def as_list(value: Any) -> Any:
    """A single string as a list of one, so that `host = "a"` and `host = ["a"]` say the same."""
    return [value] if isinstance(value, str) else value


def one_or_more(item: Any, *, least: int = 0) -> BeforeValidator:
    """For a list of `item`: one alone may stand without its brackets, if it is written as text.

    `least` is what the schema says of the list's length; the type itself has to say it, too.
    """
    many = Annotated[list[item], Field(min_length=least)] if least else list[item]
    return BeforeValidator(as_list, json_schema_input_type=many | item)


def _defaults(value: Any) -> Any:
    return {} if value is True else value


# For a table: `true` alone means one in which everything is left out.
Short = BeforeValidator(_defaults)


def parse_statuses(value: Any) -> tuple[int, int]:
    """`404` or `"200-299"` as an inclusive range.

    Raises:
        ValueError: It is neither.
    """
    text = str(value) if isinstance(value, int | str) else ""
    match = re.fullmatch(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if first > last:
        raise ValueError(f'must be a status such as 404 or a range "200-299", not {shown(value)}')
    return first, last


def shown(value: Any) -> str:
    """A value for a message: on one line, texts in quotes, true and false as TOML spells them."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else str(value)


_DURATION_SCHEMA = {"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["5s"]}
# The model holds milliseconds.
Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(duration_text, when_used="json"),
    WithJsonSchema(_DURATION_SCHEMA),
]
# The model holds seconds.
WholeSeconds = Annotated[
    int,
    BeforeValidator(parse_whole_seconds),
    PlainSerializer(lambda value: duration_text(value * 1_000), when_used="json"),
    WithJsonSchema(_DURATION_SCHEMA),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(size_text, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{_SIZE.pattern}$", "examples": ["16KB"]}),
]
AnyPortAddress = Annotated[
    Address,
    BeforeValidator(parse_address),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["127.0.0.1:8080", "app.internal:80"]}),
]
SocketAddress = Annotated[AnyPortAddress, AfterValidator(_fixed_port)]
Network = Annotated[str, AfterValidator(_network)]
Networks = Annotated[list[Network], one_or_more(Network)]
Strings = Annotated[list[str], one_or_more(str)]
# Where none written means all: an empty list, of which one could think that it means nobody, would
# mean all as well.
SomeNetworks = Annotated[list[Network], Field(min_length=1), one_or_more(Network, least=1)]
SomeStrings = Annotated[list[str], Field(min_length=1), one_or_more(str, least=1)]
StatusRange = Annotated[
    tuple[int, int],
    BeforeValidator(parse_statuses),
    PlainSerializer(lambda pair: f"{pair[0]}-{pair[1]}", when_used="json"),
    WithJsonSchema({"type": ["integer", "string"], "examples": [200, "200-299"]}),
]
