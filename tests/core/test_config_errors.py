"""Every mistake a configuration can hold, and the exact lines that name it."""

import textwrap
from pathlib import Path

import pytest

from trunkline.cli import load_roles
from trunkline.core.config.load import load
from trunkline.core.config.problems import ConfigError

ENVIRONMENT = {"HOST": "127.0.0.1", "SECRET": "s3cret-value"}

POOL = """
[lb.pools.app]
servers = ["127.0.0.1:9100"]
"""
FRONT = """
[lb.http.front]
listen = ["127.0.0.1:9200"]
pool = "app"
"""
ALGORITHMS = (
    '"consistent_hash", "hash", "least_connections", "peak_ewma", "power_of_two", "round_robin", '
    '"weighted_least_connections", "weighted_round_robin"'
)


def problems_of(folder: Path, text: str) -> list[str]:
    """The problems of a text as a file, with the folder left out of their names."""
    file = folder / "t.toml"
    file.write_text(text)
    try:
        load(file, load_roles(), environment=ENVIRONMENT)
    except ConfigError as refused:
        return str(refused).replace(f"{folder}/", "").split("\n")
    return []


def expect(folder: Path, text: str, expected: str) -> None:
    found = problems_of(folder, text)
    assert found == [line.strip() for line in expected.strip().split("\n")]


# One mistake in the last lines of a file that is sound without them: text, then the lines expected.
SINGLE = {
    "not TOML": ("[lb", "t.toml:1: not valid TOML: expected ']' at the end of a table declaration"),
    "TOML without value": ("a =", "t.toml:1: not valid TOML: invalid value"),
    "key twice": (
        "[admin]\nlisten = 1\nlisten = 2",
        "t.toml:3: not valid TOML: cannot overwrite a value",
    ),
    "unknown role": ("[lbb.http]", 't.toml:1: lbb: unknown key; did you mean "lb"?'),
    "unknown table": (
        "[zzz]",
        't.toml:1: zzz: unknown key; valid are "access_log", "acme", "admin", "dns", "gateway", '
        '"lb", "logging", "runtime"',
    ),
    "unknown key": (
        "[runtime]\nthreds = 1",
        't.toml:2: runtime.threds: unknown key; did you mean "threads"?',
    ),
    "a table that is none": ("runtime = 1", "t.toml:1: runtime: must be a table, not a number"),
    "a word for a number": (
        '[runtime]\nthreads = "2"',
        "t.toml:2: runtime.threads: must be a whole number, not a string",
    ),
    "a fraction": (
        "[runtime]\nthreads = 1.5",
        "t.toml:2: runtime.threads: must be a whole number, not a number",
    ),
    "a host that no name server could know": (
        f'[lb.pools.far]\nservers = ["127.0.0.1:1", "{"a" * 64}.example:80"]',
        f't.toml:2: lb.pools.far.servers[1]: "{"a" * 64}.example" does not resolve: '
        "a part of it is longer than 63 characters (RFC 1035 §2.3.4)",
    ),
    "no host": (
        f'{POOL}{FRONT}[[lb.http.front.routes]]\npool = "app"\nhost = []',
        "t.toml:10: lb.http.front.routes[0].host: must not be empty",
    ),
    "no method": (
        f'{POOL}{FRONT}[[lb.http.front.routes]]\npool = "app"\nmethods = []',
        "t.toml:10: lb.http.front.routes[0].methods: must not be empty",
    ),
    "too small": ("[runtime]\nthreads = 0", "t.toml:2: runtime.threads: must be at least 1, not 0"),
    "too large": (
        "[runtime]\nthreads = 2000",
        "t.toml:2: runtime.threads: must be at most 1024, not 2000",
    ),
    "duration without unit": (
        "[runtime]\ngrace = 5",
        't.toml:2: runtime.grace: must be a duration such as "250ms", "5s" or "1m", not 5',
    ),
    "duration with a strange unit": (
        '[runtime]\ngrace = "5 s"',
        't.toml:2: runtime.grace: must be a duration such as "250ms", "5s" or "1m", not "5 s"',
    ),
    "duration too long": (
        '[runtime]\ngrace = "400d"',
        't.toml:2: runtime.grace: must be whole milliseconds, at most 366 days, not "400d"',
    ),
    "duration too fine": (
        '[runtime]\ngrace = "0.5ms"',
        't.toml:2: runtime.grace: must be whole milliseconds, at most 366 days, not "0.5ms"',
    ),
    "not true or false": (
        '[admin]\nenabled = "yes"',
        "t.toml:2: admin.enabled: must be true or false, not a string",
    ),
    "unknown word": (
        '[logging]\nlevel = "warn"',
        't.toml:2: logging.level: must be one of "debug", "error", "info", "warning", not "warn"; '
        'did you mean "warning"?',
    ),
    "secret of the wrong kind stays secret": (
        "[admin]\ntoken = 12345678",
        "t.toml:2: admin.token: must be a string, not a number",
    ),
    "short secret stays secret": (
        '[admin]\ntoken = "hunter2"',
        "t.toml:2: admin.token: needs at least 8 characters",
    ),
    "two tokens": (
        '[admin]\ntoken = "${SECRET}"\ntoken_file = "x"',
        't.toml:1: admin: has "token" and "token_file"; keep one',
    ),
    "no token file": (
        '[admin]\ntoken_file = "none"',
        "t.toml:2: admin.token_file: cannot read none: No such file or directory",
    ),
    "a token file without a token": (
        '[admin]\ntoken_file = "/dev/null"',
        "t.toml:2: admin.token_file: the first line needs at least 8 characters",
    ),
    "a log without a folder": (
        '[access_log]\npath = "none/access.log"',
        "t.toml:2: access_log.path: there is no folder none",
    ),
    "a log that is a folder": (
        '[access_log]\npath = "/tmp"',
        "t.toml:2: access_log.path: /tmp is a folder",
    ),
    "a ready file without a folder": (
        '[runtime]\nready_file = "none/ready"',
        "t.toml:2: runtime.ready_file: there is no folder none",
    ),
    "true for a duration": (
        "[runtime]\ngrace = true",
        't.toml:2: runtime.grace: must be a duration such as "250ms", "5s" or "1m", not true',
    ),
    "keys in keys in keys": (
        "a" + ".a" * 5_000 + " = 1",
        "t.toml: tables and arrays are nested more than 32 deep",
    ),
    "arrays in arrays in arrays": (
        f"a = {'[' * 5_000}{']' * 5_000}",
        "t.toml: tables and arrays are nested more than 32 deep",
    ),
    "open admin": (
        '[admin]\nlisten = "0.0.0.0:9901"',
        "t.toml:2: admin.listen: not a loopback address: set a token, or listen on 127.0.0.1",
    ),
    "variable not set": (
        '[access_log]\npath = "${NONE}"',
        "t.toml:2: access_log.path: environment variable NONE is not set; set it, "
        "or write $$ for a plain $",
    ),
    "missing key": (
        "[access_log]\nsample = 2",
        "t.toml:1: access_log.path: is missing, and has no default",
    ),
    "no such include": (
        'include = ["more.toml"]',
        't.toml:1: include[0]: no file "more.toml" beside t.toml',
    ),
    "include of the wrong kind": (
        "include = 1",
        't.toml:1: include: must be a list of paths, e.g. ["conf.d/*.toml"]',
    ),
    "strange name": (
        '[lb.pools."a b"]\nservers = ["127.0.0.1:1"]',
        't.toml:1: lb.pools."a b": must be a name of letters, digits and _ . : -, not "a b"',
    ),
    "discovery of a kind that does not know a key": (
        '[lb.pools.app]\ndiscover = { kind = "file", path = "s.toml", port = 80, type = "A" }',
        't.toml:2: lb.pools.app.discover: "port", "type": kind = "file" does not know that',
    ),
    "discovery without a port": (
        '[lb.pools.app]\ndiscover = { kind = "dns", name = "app.internal" }',
        "t.toml:2: lb.pools.app.discover: needs port",
    ),
    "discovery by SRV with a port": (
        '[lb.pools.app]\ndiscover = { kind = "dns", name = "a", type = "SRV", port = 80 }',
        "t.toml:2: lb.pools.app.discover: port: an SRV record brings its own",
    ),
    "nameserver that is a name": (
        '[lb.pools.app]\n[lb.pools.app.discover]\nkind = "dns"\nname = "a"\nport = 80\n'
        'nameservers = ["10.0.0.53", "ns.example:53"]',
        "t.toml:6: lb.pools.app.discover.nameservers[1]: must be an IP address such as "
        '"10.0.0.53", not "ns.example:53"',
    ),
    "discovery without a pause": (
        '[lb.pools.app]\ndiscover = { kind = "file", path = "s.toml", interval = "0s" }',
        "t.toml:2: lb.pools.app.discover: interval must be at least 100ms",
    ),
    "no servers": (
        "[lb.pools.app]\nservers = []",
        "t.toml:2: lb.pools.app.servers: must not be empty",
    ),
    "server without port": (
        '[lb.pools.app]\nservers = ["127.0.0.1"]',
        't.toml:2: lb.pools.app.servers[0]: must be "host:port", e.g. "127.0.0.1:8080", '
        'not "127.0.0.1"',
    ),
    "IPv6 without brackets": (
        '[lb.pools.app]\nservers = ["::1:80"]',
        't.toml:2: lb.pools.app.servers[0]: must be "host:port", e.g. "127.0.0.1:8080", '
        'not "::1:80"',
    ),
    "impossible IPv4": (
        '[lb.pools.app]\nservers = ["127.0.0.300:80"]',
        't.toml:2: lb.pools.app.servers[0]: must be "host:port", e.g. "127.0.0.1:8080", '
        'not "127.0.0.300:80"',
    ),
    "port out of range": (
        '[lb.pools.app]\nservers = ["127.0.0.1:99999"]',
        "t.toml:2: lb.pools.app.servers[0]: port 99999 is out of range; valid are 1 to 65535",
    ),
    "port 0": (
        '[lb.pools.app]\nservers = ["127.0.0.1:0"]',
        "t.toml:2: lb.pools.app.servers[0]: port 0 is no fixed port; valid are 1 to 65535",
    ),
    "name that does not resolve": (
        '[lb.pools.app]\nservers = ["nowhere.invalid:80"]',
        't.toml:2: lb.pools.app.servers[0]: "nowhere.invalid" does not resolve: '
        "name or service not known",
    ),
    "server twice": (
        '[lb.pools.app]\nservers = [\n"127.0.0.1:80",\n"127.0.0.1:80"]',
        't.toml:4: lb.pools.app.servers[1]: the pool has "127.0.0.1:80" already; remove one',
    ),
    "server without address": (
        "[[lb.pools.app.servers]]\nweight = 1",
        "t.toml:1: lb.pools.app.servers[0].address: is missing, and has no default",
    ),
    "unknown algorithm": (
        '[lb.pools.app]\nservers = ["127.0.0.1:80"]\nalgorithm = "roundrobin"',
        f't.toml:3: lb.pools.app.algorithm: must be one of {ALGORITHMS}, not "roundrobin"; '
        'did you mean "round_robin"?',
    ),
    "strange hash key": (
        '[lb.pools.app]\nservers = ["127.0.0.1:80"]\nhash_key = "header"',
        "t.toml:3: lb.pools.app.hash_key: must be ip, path, uri, header:NAME, query:NAME or "
        'cookie:NAME, not "header"',
    ),
    "more than the whole": (
        '[lb.pools.app]\nservers = ["127.0.0.1:80"]\npanic_threshold = 50',
        "t.toml:3: lb.pools.app.panic_threshold: must be at most 1, not 50",
    ),
    "strange statuses": (
        '[lb.pools.app]\nservers = ["127.0.0.1:80"]\nhealth.kind="http"\nhealth.statuses = ["2xx"]',
        "t.toml:4: lb.pools.app.health.statuses[0]: must be a status such as 404 or a range "
        '"200-299", not "2xx"',
    ),
    "a ring that nothing asks": (
        '[lb.pools.app]\nservers = ["127.0.0.1:80"]\nring = "maglev"',
        't.toml:1: lb.pools.app: ring does nothing without algorithm = "consistent_hash"',
    ),
    "a hash key that nothing asks for": (
        '[lb.pools.app]\nservers = ["127.0.0.1:80"]\nhash_key = "path"',
        "t.toml:1: lb.pools.app: hash_key does nothing without algorithm = "
        '"consistent_hash" or "hash"',
    ),
    "a connection that is asked for a page": (
        '[lb.pools.app]\nservers = ["127.0.0.1:80"]\nhealth = { kind = "tcp", path = "/" }',
        't.toml:3: lb.pools.app.health: "path": only kind = "http" knows that',
    ),
    "health without kind": (
        '[lb.pools.app]\nservers = ["127.0.0.1:80"]\nhealth.path = "/"',
        "t.toml:3: lb.pools.app.health.kind: is missing, and has no default",
    ),
}


@pytest.mark.parametrize("name", SINGLE)
def test_one_mistake(name: str, tmp_path: Path) -> None:
    text, expected = SINGLE[name]
    expect(tmp_path, text, expected)


# Mistakes in or between listeners, routes and APIs.
RELATIONS = {
    "listener that leads nowhere": (
        '[lb.http.front]\nlisten = ["127.0.0.1:9200"]',
        't.toml:1: lb.http.front: leads nowhere; give it a "pool" or "routes"',
    ),
    "unknown pool": (
        '[lb.http.front]\nlisten = ["127.0.0.1:9200"]\npool = "ap"' + POOL,
        't.toml:3: lb.http.front.pool: no pool is named "ap"; did you mean "app"?',
    ),
    "unknown pool without likeness": (
        '[lb.http.front]\nlisten = ["127.0.0.1:9200"]\npool = "zzz"' + POOL,
        't.toml:3: lb.http.front.pool: no pool is named "zzz"; there are: "app"',
    ),
    "listen address twice": (
        f'{FRONT}{POOL}[lb.http.back]\nlisten = ["127.0.0.1:9201", "127.0.0.1:9200"]\npool = "app"',
        "t.toml:9: lb.http.back.listen[1]: 127.0.0.1:9200 is already used in t.toml:3; "
        "give each its own",
    ),
    "every address beside one of them": (
        f'{FRONT}{POOL}[lb.http.all]\nlisten = "0.0.0.0:9200"\npool = "app"',
        "t.toml:9: lb.http.all.listen[0]: 127.0.0.1:9200 is already used in t.toml:3; "
        "give each its own",
    ),
    "one address by two names": (
        f'{FRONT}{POOL}[lb.http.local]\nlisten = "localhost:9200"\npool = "app"',
        "t.toml:9: lb.http.local.listen[0]: 127.0.0.1:9200 is already used in t.toml:3; "
        "give each its own",
    ),
    "admin on a listener's address": (
        f'{FRONT}{POOL}[admin]\nlisten = "127.0.0.1:9200"',
        "t.toml:3: lb.http.front.listen[0]: 127.0.0.1:9200 is already used in t.toml:9; "
        "give each its own",
    ),
    "two paths": (
        f'{FRONT}[[lb.http.front.routes]]\npath = "/a"\nprefix = "/b"\npool = "app"{POOL}',
        "t.toml:5: lb.http.front.routes[0]: has path and prefix; keep one",
    ),
    "path without slash": (
        f'{FRONT}[[lb.http.front.routes]]\npath = "a"\npool = "app"{POOL}',
        "t.toml:6: lb.http.front.routes[0].path: must be a path that begins with / and has no "
        'space, ? or #, not "a"',
    ),
    "host with port": (
        f'{FRONT}[[lb.http.front.routes]]\nhost = "a.example:80"\npool = "app"{POOL}',
        "t.toml:6: lb.http.front.routes[0].host: must be a host without port such as "
        '"shop.example" or "*.shop.example", not "a.example:80"',
    ),
    "strange method": (
        f'{FRONT}[[lb.http.front.routes]]\nmethods = ["GET POST"]\npool = "app"{POOL}',
        "t.toml:6: lb.http.front.routes[0].methods[0]: must be an HTTP token (letters, digits and "
        '!#$%&\'*+-.^_`|~), not "GET POST"',
    ),
    "a method in lower case": (
        f'{FRONT}[[lb.http.front.routes]]\nmethods = ["PUT", "get"]\npool = "app"{POOL}',
        "t.toml:6: lb.http.front.routes[0].methods[1]: methods are case-sensitive "
        '(RFC 9110 §9.1): write "GET"',
    ),
    "statuses that cause no retry": (
        f'{FRONT}[[lb.http.front.routes]]\npool = "app"\nretry.statuses = [503]{POOL}',
        't.toml:7: lb.http.front.routes[0].retry: on = ["status"] and statuses go together; '
        "give both or none",
    ),
    "retries by no status": (
        f'{FRONT}[[lb.http.front.routes]]\npool = "app"\nretry.on = ["status"]{POOL}',
        't.toml:7: lb.http.front.routes[0].retry: on = ["status"] and statuses go together; '
        "give both or none",
    ),
    "two tests of one header": (
        f'{FRONT}[[lb.http.front.routes]]\npool = "app"\n'
        f'headers.X-Env = {{ equals = "a", prefix = "b" }}{POOL}',
        "t.toml:7: lb.http.front.routes[0].headers.X-Env: must have exactly one of present, "
        "equals, prefix, suffix, contains, regex",
    ),
    "route name twice": (
        f'{FRONT}[[lb.http.front.routes]]\nname = "a"\npool = "app"\n'
        f'[[lb.http.front.routes]]\nname = "a"\npool = "app"{POOL}',
        't.toml:9: lb.http.front.routes[1].name: a route "a" stands above already',
    ),
    "parameter that the path has not": (
        f'{FRONT}[[lb.http.front.routes]]\npath = "/a/{{id}}"\npool = "app"\n'
        f'rewrite.path = "/b/{{ident}}"{POOL}',
        't.toml:8: lb.http.front.routes[0].rewrite.path: no parameter "{ident}" in the path; '
        'the path has: "id"',
    ),
    "parameter that neither path nor expression has": (
        f'{FRONT}[[lb.http.front.routes]]\npath = "/a/{{id}}"\npool = "app"\n'
        f'rewrite.regex = {{ pattern = "(x)(?P<y>z)", replace = "/{{id}}{{1}}{{y}}{{z}}" }}{POOL}',
        't.toml:8: lb.http.front.routes[0].rewrite.regex.replace: no parameter "{z}" in the path; '
        'the path has: "id"',
    ),
    "parameter of a redirect": (
        f'{FRONT}[[lb.http.front.routes]]\nredirect.host = "{{shop}}.example"{POOL}',
        't.toml:6: lb.http.front.routes[0].redirect.host: no parameter "{shop}" in the path; '
        "the path has: none",
    ),
    "route that leads nowhere": (
        f"{FRONT}[[lb.http.front.routes]]\nrewrite.add_prefix = '/a'{POOL}",
        't.toml:5: lb.http.front.routes[0]: leads nowhere; give it a "pool" or a "split"',
    ),
    "two redirects": (
        f"{FRONT}[[lb.http.front.routes]]\nhttps_redirect = true\nredirect.host = 'h'{POOL}",
        "t.toml:5: lb.http.front.routes[0]: has redirect and https_redirect; keep one",
    ),
    "path and expression in a rewrite": (
        f'{FRONT}[[lb.http.front.routes]]\npool = "app"\n'
        f'rewrite = {{ regex = {{ pattern = "a", replace = "b" }}, add_prefix = "/c" }}{POOL}',
        "t.toml:7: lb.http.front.routes[0].rewrite: has regex and add_prefix; regex stands alone",
    ),
    "path and prefix in a rewrite": (
        f'{FRONT}[[lb.http.front.routes]]\npool = "app"\n'
        f'rewrite = {{ path = "/b", add_prefix = "/c" }}{POOL}',
        "t.toml:7: lb.http.front.routes[0].rewrite: has path and add_prefix; path stands alone",
    ),
    "line end in a header value": (
        f'{FRONT}[[lb.http.front.routes]]\npool = "app"\n'
        f'rewrite.headers.set.X-A = "a\\nX-B: b"{POOL}',
        "t.toml:7: lb.http.front.routes[0].rewrite.headers.set.X-A: must be a header value on one "
        'line, not "a\\nX-B: b"',
    ),
    "trusted that is no network": (
        f'{FRONT}forwarding.trusted = ["10.0.0.1/8"]{POOL}',
        "t.toml:5: lb.http.front.forwarding.trusted[0]: must be an address or a network such as "
        '"10.0.0.0/8", not "10.0.0.1/8"',
    ),
    "size without unit": (
        f"{FRONT}limits.body = 1000{POOL}",
        't.toml:5: lb.http.front.limits.body: must be a size such as "16KB" or "10MB", not 1000',
    ),
}


@pytest.mark.parametrize("name", RELATIONS)
def test_relations(name: str, tmp_path: Path) -> None:
    text, expected = RELATIONS[name]
    expect(tmp_path, text, expected)


def test_all_at_once(tmp_path: Path) -> None:
    text = """\
        [runtime]
        threads = "x"
        [lb.http.front]
        listen = ["127.0.0.1"]
        pool = "ap"
        [[lb.http.front.routes]]
        pool = "second"
        colour = "red"
        [lb.pools.app]
        servers = ["127.0.0.1:9100", "nowhere.invalid:80"]
        [lb.pools.second]
        algorithm = "hash"
    """
    expected = """
        t.toml:2: runtime.threads: must be a whole number, not a string
        t.toml:4: lb.http.front.listen[0]: must be "host:port", e.g. "127.0.0.1:8080", not "127.0.0.1"
        t.toml:5: lb.http.front.pool: no pool is named "ap"; did you mean "app"?
        t.toml:8: lb.http.front.routes[0].colour: unknown key; valid are "buffer_request", "compression", "concurrency", "cookies", "grpc_web", "headers", "hedge", "host", "https_redirect", "maintenance", "methods", "mirror", "name", "path", "pool", "prefix", "priority", "query", "redirect", "regex", "respond", "response_headers", "retry", "rewrite", "split", "split_by", "timeouts"
        t.toml:10: lb.pools.app.servers[1]: "nowhere.invalid" does not resolve: name or service not known
        t.toml:11: lb.pools.second: has no servers; give it "servers" or "discover"
    """  # noqa: E501
    expect(tmp_path, textwrap.dedent(text), expected)


def test_included_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a.toml").write_text(f'{POOL}algorithm = "x"\n[runtime]\nthreads = 2')
    (tmp_path / "conf.d/b.toml").write_text('[lb.pools.app]\nservers = ["127.0.0.1:1"]')
    text = 'include = ["conf.d/*.toml"]\n[runtime]\nthreads = 1' + FRONT
    expected = f"""
        conf.d/a.toml:4: lb.pools.app.algorithm: must be one of {ALGORITHMS}, not "x"
        conf.d/a.toml:6: runtime.threads: defined twice; the first stands in t.toml:3; keep one
        conf.d/b.toml:2: lb.pools.app.servers: defined twice; the first stands in conf.d/a.toml:3; keep one
    """  # noqa: E501
    expect(tmp_path, text, expected)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "none.toml", load_roles())
    assert str(refused.value) == f"{tmp_path}/none.toml: cannot read it: No such file or directory"


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_bytes(b"# first\n# caf\xe9\n")
    with pytest.raises(ConfigError) as refused:
        load(file, load_roles())
    assert str(refused.value) == f"{file}:2: not UTF-8 text; save it as UTF-8"


SOUND = {
    "a byte order mark": f"\ufeff{FRONT}{POOL}",
    "one port, two families": (
        f'{FRONT}{POOL}[lb.http.six]\nlisten = ["[::]:9200", "[::1]:9201"]\npool = "app"'
    ),
    "methods of one's own": (
        f'{FRONT}[[lb.http.front.routes]]\nmethods = ["purge", "M-SEARCH"]\npool = "app"{POOL}'
    ),
    "a network without brackets": f'{FRONT}forwarding.trusted = "10.0.0.0/8"{POOL}',
}


@pytest.mark.parametrize("name", SOUND)
def test_sound(name: str, tmp_path: Path) -> None:
    assert problems_of(tmp_path, SOUND[name]) == []
