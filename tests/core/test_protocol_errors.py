"""Mistakes with TLS, HTTP/2, PROXY protocol, gRPC, traffic management and issuers, line by line."""

from pathlib import Path

import pytest

from testkit.certificates import Authority
from trunkline.cli import load_roles
from trunkline.core.config.load import load
from trunkline.core.config.problems import ConfigError

# Listener, route and pool stay open: what is added below belongs to the pool.
BASE = """\
[lb.http.front]
listen = "127.0.0.1:9200"
{listener}
[[lb.http.front.routes]]
pool = "app"
{route}
[lb.pools.next]
servers = ["127.0.0.1:9101"]
[lb.pools.app]
servers = ["127.0.0.1:9100"]
{pool}
"""
LISTENER, ROUTE, POOL = (
    "t.toml:3: lb.http.front",
    "t.toml:6: lb.http.front.routes[0]",
    "t.toml:11: lb.pools.app",
)
KEY = "a-key-that-has-32-characters-or-more"


def problems_of(folder: Path, text: str) -> list[str]:
    file = folder / "t.toml"
    file.write_text(text)
    try:
        load(file, load_roles(), environment={}, state=folder / "state")
    except ConfigError as refused:
        return str(refused).replace(f"{folder}/", "").split("\n")
    return []


def filled(listener: str = "", route: str = "", pool: str = "", more: str = "") -> str:
    return BASE.format(listener=listener, route=route, pool=pool) + more


SOUND = {
    "nothing": filled(),
    "TLS": filled('tls.certificate = "a.pem"\nhttp2.extended_connect = false'),
    "HTTP/1.1 alone": filled('tls = { certificate = "a.pem", alpn = "http/1.1" }'),
    "a plain listener without HTTP/2": filled("http2.cleartext = false"),
    "no buffering": filled(route='buffer_request = "0B"'),
    "gRPC-Web to HTTP/2": filled(route="grpc_web = true", pool='protocol = "h2"'),
    "a hedge in time": filled(route='hedge.after = "50ms"\ntimeouts.total = "0s"'),
    "TLS for some servers' names": filled(
        pool='tls = true\n[lb.pools.b]\nservers = [{ address = "127.0.0.1:1", host = "a.b" }]'
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound(name: str, tmp_path: Path) -> None:
    assert problems_of(tmp_path, SOUND[name]) == []


# What is written into the listener, and the line that it gets.
LISTENERS = {
    "cleartext beside TLS": (
        'tls.certificate = "a.pem"\nhttp2.cleartext = true',
        "t.toml:1: lb.http.front: http2.cleartext does nothing with tls; tls.alpn decides",
    ),
    "HTTP/2 that is not offered": (
        'tls = { certificate = "a.pem", alpn = "http/1.1" }\nhttp2.max_concurrent_streams = 1',
        't.toml:1: lb.http.front: http2 does nothing: tls.alpn does not have "h2"',
    ),
    "a window below a frame": (
        'http2.stream_window = "1KB"',
        f'{LISTENER}.http2.stream_window: must be at least 16384, not "1KB"',
    ),
    "a window beyond the protocol": (
        'http2.connection_window = "2GB"',
        f'{LISTENER}.http2.connection_window: must be at most 2147483647, not "2GB"',
    ),
    "no streams": (
        "http2.max_concurrent_streams = 0",
        f"{LISTENER}.http2.max_concurrent_streams: must be at least 1, not 0",
    ),
    "headers from nobody": (
        "proxy_protocol.trusted = []",
        f"{LISTENER}.proxy_protocol.trusted: must not be empty",
    ),
    "a header that may take for ever": (
        'proxy_protocol.timeout = "0s"',
        f'{LISTENER}.proxy_protocol.timeout: must be more than 0, not "0s"',
    ),
    "TLS that is switched off": (
        "tls = false",
        f"{LISTENER}.tls: must be a table, not false; to do without, leave it out",
    ),
    "a version where clients choose": (
        'proxy_protocol = "v2"',
        f"{LISTENER}.proxy_protocol: must be a table, not a string",
    ),
    "an issuer that is not there": (
        'tls.acme = { names = ["a.example"] }',
        f"{LISTENER}.tls.acme.issuer: no issuer is given; add [acme.NAME]",
    ),
}


@pytest.mark.parametrize("name", LISTENERS)
def test_listener(name: str, tmp_path: Path) -> None:
    text, expected = LISTENERS[name]
    assert problems_of(tmp_path, filled(listener=text)) == [expected]


LEADS = "t.toml:4: lb.http.front.routes[0]"
ROUTES = {
    "pool and split": (
        'split = [{ pool = "next", weight = 1 }]',
        f'{LEADS}: has "pool" and "split"; move the pool into the split',
    ),
    "a mirror of an unknown pool": (
        'mirror.pool = "nxt"',
        f'{ROUTE}.mirror.pool: no pool is named "nxt"; did you mean "next"?',
    ),
    "a mirror that doubles": (
        'mirror.pool = "app"',
        f"{LEADS}: mirror: its pool would get each request twice",
    ),
    "a hedge after the end": (
        'hedge.after = "2s"\ntimeouts.total = "1s"',
        f"{LEADS}: hedge.after must be less than timeouts.total",
    ),
    "a hedge after the answer must be there": (
        'hedge.after = "1s"\ntimeouts.response_head = "1s"',
        f"{LEADS}: hedge.after must be less than timeouts.response_head",
    ),
    "a buffer that is no size": (
        "buffer_request = false",
        f'{ROUTE}.buffer_request: must be a size such as "16KB" or "10MB", not false',
    ),
    "gRPC-Web to HTTP/1.1": (
        "grpc_web = true",
        f'{ROUTE}.grpc_web: the pool "app" needs protocol = "h2"',
    ),
    "a limit of nothing": (
        "concurrency.queue = 3",
        f"{ROUTE}.concurrency.max: is missing, and has no default",
    ),
    "a level beyond": (
        "compression.levels.zstd = 22",
        f"{ROUTE}.compression.levels.zstd: must be at most 8, not 22",
    ),
    "a type that is none": (
        'compression.types = ["text/html", "html"]',
        f"{ROUTE}.compression.types[1]: must be a media type such as text/html, text/* or *+json, "
        'not "html"',
    ),
}


@pytest.mark.parametrize("name", ROUTES)
def test_route(name: str, tmp_path: Path) -> None:
    text, expected = ROUTES[name]
    assert problems_of(tmp_path, filled(route=text)) == [expected]


def route(text: str) -> str:
    return filled().replace('pool = "app"\n', f"{text}\n")


SPLITS = {
    "a redirect to where it is": (
        'https_redirect = true\n[lb.http.front.tls]\ncertificate = "a.pem"',
        "t.toml:1: lb.http.front: routes[0]: https_redirect does nothing with tls",
    ),
    "a split over an unknown pool": (
        'split = [{ pool = "app", weight = 9 }, { pool = "nekst", weight = 1 }]',
        't.toml:5: lb.http.front.routes[0].split[1].pool: no pool is named "nekst"; '
        'did you mean "next"?',
    ),
    "a mirror to a side of the split": (
        'mirror.pool = "app"\nsplit = [{ pool = "app", weight = 1 }]',
        f"{LEADS}: mirror: its pool would get each request twice",
    ),
    "a side of gRPC-Web that speaks HTTP/1.1": (
        'grpc_web = true\nsplit = [{ pool = "next", weight = 1 }]',
        't.toml:5: lb.http.front.routes[0].grpc_web: the pool "next" needs protocol = "h2"',
    ),
    "what needs a server, and none": (
        'respond.body = "no"\nhedge.after = "1s"\nbuffer_request = true',
        f'{LEADS}: "buffer_request", "hedge": without a pool there is nothing to send',
    ),
}


@pytest.mark.parametrize("name", SPLITS)
def test_split(name: str, tmp_path: Path) -> None:
    text, expected = SPLITS[name]
    assert problems_of(tmp_path, route(text)) == [expected]


def test_a_hedge_that_no_budget_allows(tmp_path: Path) -> None:
    pool = "retry_budget = { ratio = 0, min_per_second = 0 }"
    expected = f'{ROUTE}.hedge: does nothing: the retry_budget of the pool "app" allows no try'
    text = filled(route='hedge.after = "50ms"', pool=pool)
    assert problems_of(tmp_path, text) == [expected]


OWNER = "t.toml:9: lb.pools.app"
POOLS = {
    "one client's header for many": (
        'protocol = "h2"\nproxy_protocol = "v1"',
        f'{OWNER}: proxy_protocol does not go with protocol = "h2": its connections are shared by '
        "many clients",
    ),
    "connections that are not kept": (
        'keep_alive.idle = 5\nproxy_protocol = "v1"',
        f"{OWNER}: keep_alive does nothing with proxy_protocol: its connections serve one request",
    ),
    "a protocol that is none": (
        'protocol = "http/2"',
        f'{POOL}.protocol: must be one of "h2", "http/1.1", not "http/2"; did you mean "http/1.1"?',
    ),
    "a gRPC check of HTTP/1.1": (
        'health.kind = "grpc"',
        f'{OWNER}: health.kind = "grpc" needs protocol = "h2"',
    ),
    "a page of a gRPC check": (
        'protocol = "h2"\nhealth = { kind = "grpc", path = "/" }',
        't.toml:12: lb.pools.app.health: "path": only kind = "http" knows that',
    ),
    "a service of an HTTP check": (
        'health = { kind = "http", service = "a.B" }',
        f'{POOL}.health: "service": only kind = "grpc" knows that',
    ),
    "an empty name": (
        'tls.server_name = ""',
        f"{POOL}.tls.server_name: must not be empty",
    ),
    "a key without certificate": (
        'tls.key = "a.key"',
        f"{POOL}.tls: key without certificate",
    ),
    "a key file that is not there": (
        'sticky.key_file = "none.keys"',
        f"{POOL}.sticky.key_file: cannot read none.keys: No such file or directory",
    ),
    "a key file without keys": (
        'sticky.key_file = "/dev/null"',
        f"{POOL}.sticky.key_file: needs a key of at least 32 characters on each line",
    ),
    "a short key stays secret": (
        'sticky.key = "hunter2"',
        f"{POOL}.sticky.key: needs at least 32 characters",
    ),
    "a cookie with two keys": (
        f'sticky = {{ key = "{KEY}", key_file = "a" }}',
        f"{POOL}.sticky: needs exactly one of key, key_file",
    ),
}


@pytest.mark.parametrize("name", POOLS)
def test_pool(name: str, tmp_path: Path) -> None:
    text, expected = POOLS[name]
    assert problems_of(tmp_path, filled(pool=text)) == [expected]


def test_a_host_that_is_none(tmp_path: Path) -> None:
    text = '[lb.pools.b]\nservers = [{ address = "127.0.0.1:1", host = "a.example:443" }]\n'
    assert problems_of(tmp_path, text) == [
        't.toml:2: lb.pools.b.servers[0].host: must be a host name such as "app.internal", '
        'not "a.example:443"'
    ]


ISSUER = "[acme.{}]\naccept_terms = true\n"
ASKS = 'tls.acme = [{ names = ["a.example"] }, { names = ["b.example"], issuer = "lets" }]'
# Text beside the base, whose listener asks for two certificates.
ISSUERS = {
    "one of two": (
        ISSUER.format("letsencrypt") + ISSUER.format("other"),
        f'{LISTENER}.tls.acme[0].issuer: no issuer is given; name one: "letsencrypt", "other"',
        f'{LISTENER}.tls.acme[1].issuer: no issuer is named "lets"; there are: '
        '"letsencrypt", "other"',
    ),
    "terms that are not accepted": (
        "[acme.lets]\naccept_terms = false\n",
        "t.toml:13: acme.lets.accept_terms: must be true: issuers serve only those who accept "
        "their terms",
    ),
    "an authority that is not there": (
        ISSUER.format("lets") + 'ca = "none.pem"\n',
        "t.toml:14: acme.lets.ca: cannot read none.pem: No such file or directory",
    ),
    "an authority that is none": (
        ISSUER.format("lets") + 'ca = "t.toml"\n',
        "t.toml:14: acme.lets.ca: no certificates in PEM in t.toml",
    ),
    "a proof that nothing can give": (
        ISSUER.format("lets") + 'challenges = ["http-01"]\n',
        't.toml:14: acme.lets.challenges: "http-01" needs a listener without tls; '
        'or add "tls-alpn-01"',
    ),
}


@pytest.mark.parametrize("name", ISSUERS)
def test_issuers(name: str, tmp_path: Path) -> None:
    text, *expected = ISSUERS[name]
    assert problems_of(tmp_path, filled(listener=ASKS, more=text)) == expected


def test_an_issuer_whose_authority_is_read(tmp_path: Path) -> None:
    Authority(tmp_path, "ca")
    text = ISSUER.format("lets") + 'ca = "ca.pem"\n'
    assert problems_of(tmp_path, filled(listener=ASKS, more=text)) == []


def test_a_state_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    (problem, *_) = problems_of(tmp_path, filled(listener=ASKS, more=ISSUER.format("lets")))
    assert problem.startswith("t.toml:3: lb.http.front.tls.acme[0]: cannot write state")
