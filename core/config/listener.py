"""HTTP listeners: where clients connect, what they may send, and what they speak.

Fields without a description of their own mean what the field of the same name means in the plan.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from trunkline.core.config.http import Token
from trunkline.core.config.models import Count, Model, Positive, in_plan
from trunkline.core.config.tls import ListenerTls
from trunkline.core.config.values import (
    Duration,
    Networks,
    Short,
    Size,
    SocketAddress,
    one_or_more,
)

# RFC 9113 §6.9.1: the largest window; §6.9.2: where a connection's begins.
_MOST_WINDOW_BYTES = 2**31 - 1
_FIRST_WINDOW_BYTES = 65_535
# RFC 9113 §4.2: a frame that every endpoint takes; with less, none could be filled.
_FRAME_BYTES = 16_384

StreamWindow = Annotated[Size, Field(ge=_FRAME_BYTES, le=_MOST_WINDOW_BYTES)]
ConnectionWindow = Annotated[Size, Field(ge=_FIRST_WINDOW_BYTES, le=_MOST_WINDOW_BYTES)]


class ClientTimeouts(Model):
    """What a client may take; `"0s"` switches one off."""

    request_head: Duration | None = in_plan("request_head_ms")
    """From the first byte of a request to the end of its head; default 10s."""
    body_idle: Duration | None = in_plan("body_idle_ms")
    """Between two reads of a request body or writes of a response; default 30s."""
    keep_alive: Duration | None = in_plan("keep_alive_ms")
    """Between two requests; default 75s."""
    tunnel_idle: Duration | None = in_plan("tunnel_idle_ms")
    """Without a byte either way after an upgrade; default 1h."""


class ClientLimits(Model):
    """How much a client may send."""

    connections: Count | None = None
    """Open connections of this listener; default 100000."""
    requests_per_connection: Count | None = None
    """0 = no limit; default 0."""
    head: Size | None = in_plan("head_bytes")
    """Request line and headers; default 16KB."""
    headers: Positive | None = None
    """Number of header lines; default 100."""
    target: Size | None = in_plan("target_bytes")
    """Path and query; default 8KB."""
    body: Size | None = in_plan("body_bytes")
    """0B = no limit; default 0B."""


class Forwarding(Model):
    """What servers are told of the client."""

    style: Literal["x_forwarded", "forwarded", "off"] | None = None
    """X-Forwarded-For/-Proto/-Host, or Forwarded (RFC 7239); default x_forwarded."""
    trusted: Networks | None = None
    """Networks whose forwarding headers are believed; default none."""
    via: Token | None = None
    """Name of this proxy for the Via header; default: no Via."""
    request_id: bool | None = None
    """Make or pass on X-Request-Id; default false."""


class Http2(Model):
    """HTTP/2 with clients: by TLS if they ask for it (`tls.alpn`), else if they begin with it."""

    cleartext: bool | None = None
    """Whether a listener without TLS speaks it (h2c with prior knowledge); default true."""
    max_concurrent_streams: Positive | None = None
    """Requests at a time on one connection; default 128."""
    stream_window: StreamWindow | None = in_plan("stream_window_bytes")
    """What one request may send before it is passed on; default 256KB."""
    connection_window: ConnectionWindow | None = in_plan("connection_window_bytes")
    """What all requests of a connection may send together; default 1MB."""
    extended_connect: bool | None = None
    """WebSocket over HTTP/2 (RFC 8441); default true."""


class ProxyProtocol(Model):
    """Takes the client's address from a PROXY header; `true` alone means the defaults."""

    trusted: Annotated[Networks, Field(min_length=1)] | None = None
    """Networks whose connections begin with one, others are taken as they come; default: all
    connections must."""
    timeout: Annotated[Duration, Field(gt=0)] | None = in_plan("timeout_ms")
    """Until the header is complete; default 3s."""


class HttpListener(Model):
    """Where HTTP clients connect."""

    listen: Annotated[list[SocketAddress], one_or_more(SocketAddress), Field(min_length=1)]
    """One or more `host:port`."""
    tls: ListenerTls | None = None
    """Certificates; default: no TLS."""
    http2: Http2 | None = None
    proxy_protocol: Annotated[ProxyProtocol, Short] | None = None
    """Connections begin with a header, v1 or v2, that says who the client is; default: none does.
    """
    timeouts: ClientTimeouts | None = None
    limits: ClientLimits | None = None
    forwarding: Forwarding | None = None
    reason_header: bool | None = None
    """Tell clients why they were refused, in X-Trunkline-Reason; default false."""
    access_log: bool | None = None
    """Whether requests of this listener are logged; default true."""

    @model_validator(mode="after")
    def _http2_where_it_is_spoken(self) -> "HttpListener":
        if self.tls is None or self.http2 is None:
            return self
        if self.http2.cleartext is not None:
            raise ValueError("http2.cleartext does nothing with tls; tls.alpn decides")
        if self.tls.alpn is not None and "h2" not in self.tls.alpn:
            raise ValueError('http2 does nothing: tls.alpn does not have "h2"')
        return self
