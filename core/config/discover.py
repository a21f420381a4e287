"""Where a pool finds servers besides those that are written: a file, or DNS."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from trunkline.core.config.models import Model
from trunkline.core.config.problems import listing
from trunkline.core.config.values import Duration, parse_address, shown

_OF_DNS = {"name", "port", "type", "nameservers", "timeout"}
# The usual port of DNS (RFC 1035 §4.2).
DNS_PORT = 53


def _nameserver(text: str) -> str:
    host, port = nameserver_address(text)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def nameserver_address(text: str) -> tuple[str, int]:
    """`"10.0.0.53"` or `"10.0.0.53:5353"` as address and port.

    Raises:
        ValueError: It is neither, or a name: who resolves names cannot be found by one.
    """
    with_port = text if text.startswith("[") or text.count(":") == 1 else f"{_bracketed(text)}:53"
    address = parse_address(with_port if not with_port.endswith("]") else f"{with_port}:{DNS_PORT}")
    if not (":" in address.host or address.host.replace(".", "").isdigit()):
        raise ValueError(f'must be an IP address such as "10.0.0.53", not {shown(text)}')
    return address.host, address.port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


Nameserver = Annotated[str, AfterValidator(_nameserver)]


class Discover(Model):
    """Servers that are looked up while the process runs."""

    kind: Literal["file", "dns"]
    """`file` reads a list that something else writes; `dns` asks for addresses."""
    path: str | None = None
    """For file: a TOML or JSON file with `servers`, as in a pool; relative to the configuration's
    folder."""
    name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """For dns: what is asked for."""
    type: Literal["A", "AAAA", "SRV"] | None = None
    """For dns; SRV brings port, priority and weight along; default A."""
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """For A and AAAA: the port of every server."""
    nameservers: list[Nameserver] | None = None
    """For dns: whom to ask, `"10.0.0.53"` or `"10.0.0.53:5353"`; default: as the system does."""
    interval: Duration = 1_000
    """How often a file is looked at; the least time between two questions; default 1s."""
    timeout: Annotated[Duration, Field(gt=0)] = 5_000
    """For dns: how long one question may take, its repetitions included; default 5s."""

    @model_validator(mode="after")
    def _what_its_kind_needs(self) -> "Discover":
        given = self.model_fields_set
        unknown = given & (_OF_DNS if self.kind == "file" else {"path"})
        if unknown:
            raise ValueError(f'{listing(unknown)}: kind = "{self.kind}" does not know that')
        needed = {"path"} if self.kind == "file" else {"name"}
        if self.kind == "dns" and self.type != "SRV":
            needed.add("port")
        if self.type == "SRV" and self.port is not None:
            raise ValueError("port: an SRV record brings its own")
        if missing := needed - given:
            raise ValueError(f"needs {' and '.join(sorted(missing))}")
        if self.interval < 100:
            raise ValueError("interval must be at least 100ms")
        return self
