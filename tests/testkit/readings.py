"""What a server has understood of a request, and what it should have, in one comparable form."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

# Between the proxy and one server only, or made anew from the framing by some: how a server reads
# them shows in the body and in the number of requests.
OF_THE_CONNECTION = {"CONNECTION", "CONTENT_LENGTH", "EXPECT", "TRANSFER_ENCODING"}


@dataclass(frozen=True)
class Reading:
    """A request as one server has understood it.

    Attributes:
        method: As it was sent.
        target: Path and query, not decoded, without an empty query.
        fields: Name as CGI writes it → value, of repeated ones a list.
        body: Without framing, as Latin-1.
        connection: Tells the server's connections apart.
    """

    method: str
    target: str
    fields: Mapping[str, str]
    body: str
    connection: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Some write lists with a space after the comma, some without."""
        kept = {
            name: value.replace(", ", ",")
            for name, value in self.fields.items()
            if name not in OF_THE_CONNECTION
        }
        object.__setattr__(self, "fields", kept)


@dataclass(frozen=True)
class Forwarded:
    """A request as the proxy has sent it.

    Attributes:
        method: Of the request line.
        target: Of the request line.
        fields: Name and value of each line.
        body: Without framing, as Latin-1.
        trailers: As ``fields``.
    """

    method: str
    target: str
    fields: list[tuple[str, str]]
    body: str
    trailers: list[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for found, value in self.fields if found.lower() == name.lower()]

    def reading(self) -> Reading:
        """The only right one."""
        fields = joined(self.fields)
        return Reading(self.method, self.target.removesuffix("?"), fields, self.body)


def joined(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One value for each name, as CGI does (RFC 3875 §4.1.18): names with ``_``, values listed."""
    values: dict[str, list[str]] = {}
    for name, value in fields:
        values.setdefault(name.upper().replace("-", "_"), []).append(value)
    return {name: ", ".join(listed) for name, listed in values.items()}


def all_forwarded(requests: Iterable[bytes]) -> list[Forwarded]:
    """Parse what the kit's upstream has recorded: a well-formed request each."""
    return [_forwarded(raw) for raw in requests]


def _forwarded(raw: bytes) -> Forwarded:
    head, _, body = raw.decode("latin-1").partition("\r\n\r\n")
    request_line, *lines = head.split("\r\n")
    method, target, _ = request_line.split(" ")
    fields = _pairs(lines)
    trailers: list[tuple[str, str]] = []
    if ("Transfer-Encoding", "chunked") in fields:
        body, trailers = _dechunked(body)
    return Forwarded(method, target, fields, body, trailers)


def _pairs(lines: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


def _dechunked(rest: str) -> tuple[str, list[tuple[str, str]]]:
    body = ""
    while True:
        line, _, rest = rest.partition("\r\n")
        size = int(line, 16)
        if size == 0:
            return body, _pairs(rest.split("\r\n")[:-2])
        body, rest = body + rest[:size], rest[size + 2 :]
