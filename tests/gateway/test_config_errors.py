"""The mistakes that only a gateway's configuration can hold, and the exact lines that name them."""

from pathlib import Path

import pytest

from trunkline.cli import load_roles
from trunkline.core.config.load import load
from trunkline.core.config.problems import ConfigError

BASE = """\
[gateway.http.edge]
listen = "127.0.0.1:9300"
[gateway.consumers.alice]
keys = ["one-key"]
[gateway.pools.shop]
servers = ["127.0.0.1:9100"]
[gateway.apis.items]
path = "/items/{id}"
pool = "shop"
"""
TYPES = (
    '"api_key", "circuit_breaker", "cors", "headers", "https_redirect", "ip_access", "jwt", '
    '"maintenance", "rate_limit", "redirect", "request_id", "respond", "size_limit"'
)
FILTER = "t.toml:10: gateway.apis.items.filters[0]"

# Added to the sound base, from line 10 on: text, then the lines expected.
MISTAKES = {
    "api of no listener": (
        "listeners = []",
        "t.toml:10: gateway.apis.items.listeners: must not be empty",
    ),
    "api key of nobody": (
        'filters = [{ type = "api_key", consumers = [] }]',
        f"{FILTER}.consumers: must not be empty",
    ),
    "list of nobody beside a refusal": (
        'filters = [{ type = "ip_access", allow = [], deny = ["10.0.0.0/8"] }]',
        f"{FILTER}.allow: must not be empty",
    ),
    "unknown filter": (
        'filters = [{ type = "ratelimit" }]',
        f'{FILTER}: must be one of {TYPES}, not "ratelimit"; did you mean "rate_limit"?',
    ),
    "filter without type": ("filters = [{ limit = 1 }]", f'{FILTER}: is missing its "type"'),
    "filter that is a word": (
        'filters = ["cors"]',
        f"{FILTER}: must be a table, not a string",
    ),
    "unknown key of a filter": (
        'filters = [{ type = "cors", orgins = ["*"], origins = ["*"] }]',
        f'{FILTER}.orgins: unknown key; did you mean "origins"?',
    ),
    "missing keys of a filter": (
        'filters = [{ type = "rate_limit", key = "ip" }]',
        f"{FILTER}.limit: is missing, and has no default\n"
        f"{FILTER}.period: is missing, and has no default",
    ),
    "strange limit key": (
        'filters = [{ type = "rate_limit", key = "user", limit = 1, period = "1s" }]',
        f'{FILTER}.key: must be ip, consumer, api or header:NAME, not "user"',
    ),
    "algorithm that is none": (
        'filters = [{ type = "jwt", algorithms = ["none"], secret = "x" }]',
        f'{FILTER}.algorithms[0]: must be one of "ES256", "HS256", "RS256", not "none"',
    ),
    "jwt without key": (
        'filters = [{ type = "jwt", algorithms = ["RS256"] }]',
        f"{FILTER}: needs exactly one of secret, public_key_file, jwks_file",
    ),
    "secret for a public key algorithm": (
        'filters = [{ type = "jwt", algorithms = ["RS256"], secret = "x" }]',
        f'{FILTER}: a secret goes with algorithms = ["HS256"] only',
    ),
    "algorithm confusion": (
        'filters = [{ type = "jwt", algorithms = ["RS256", "HS256"], public_key_file = "k" }]',
        f"{FILTER}: a public key must not verify HS256: anybody could sign with it",
    ),
    "no key file": (
        'filters = [{ type = "jwt", algorithms = ["ES256"], public_key_file = "none.pem" }]',
        f"{FILTER}.public_key_file: cannot read none.pem: No such file or directory",
    ),
    "credentials for everybody": (
        'filters = [{ type = "cors", origins = ["*"], credentials = true }]',
        f'{FILTER}: credentials = true does not go with the origin "*"; name the origins',
    ),
    "access rule without rule": (
        'filters = [{ type = "ip_access" }]',
        f'{FILTER}: decides nothing; give it "allow" or "deny"',
    ),
    "breaker that never opens": (
        'filters = [{ type = "circuit_breaker", open = "1s" }]',
        f"{FILTER}: would never open; give it consecutive_failures, failure_ratio or slow_ratio",
    ),
    "half of a slow rule": (
        'filters = [{ type = "circuit_breaker", slow_ratio = 0.5 }]',
        f"{FILTER}: slow_ratio and slow go together; give both or none",
    ),
    "redirect to where it is": (
        'filters = [{ type = "redirect", status = 301 }]',
        f"{FILTER}: leads nowhere else; give it scheme, host, port or path",
    ),
    "redirect with another status": (
        'filters = [{ type = "redirect", host = "h", status = 304 }]',
        f"{FILTER}.status: must be 301, 302, 303, 307 or 308, not 304",
    ),
    "two ways to a path": (
        'filters = [{ type = "redirect", path = "/", strip_prefix = "/a" }]',
        f"{FILTER}: has path and strip_prefix; path stands alone",
    ),
    "two bodies": (
        'filters = [{ type = "respond", body = "", body_file = "x" }]',
        f'{FILTER}: has "body" and "body_file"; keep one',
    ),
    "no page": (
        'filters = [{ type = "maintenance", page_file = "none.html" }]',
        f"{FILTER}.page_file: cannot read none.html: No such file or directory",
    ),
    "unknown consumer": (
        'filters = [{ type = "api_key", consumers = ["alice", "alcie"] }]',
        f'{FILTER}.consumers[1]: no consumer is named "alcie"; did you mean "alice"?',
    ),
    "unknown consumer in a single word": (
        'filters = [{ type = "api_key", consumers = "zoe" }]',
        f'{FILTER}.consumers: no consumer is named "zoe"; there are: "alice"',
    ),
    "unknown listener": (
        'listeners = ["edg"]',
        't.toml:10: gateway.apis.items.listeners[0]: no listener is named "edg"; '
        'did you mean "edge"?',
    ),
    "parameter in a query that the path has not": (
        'backend.query.set.item = "{item}"',
        't.toml:10: gateway.apis.items.backend.query.set.item: no parameter "{item}" in the path; '
        'the path has: "id"',
    ),
    "the same key for two": (
        '[gateway.consumers.bob]\nkeys = ["other", "one-key"]',
        't.toml:11: gateway.consumers.bob.keys[1]: the same key belongs to "alice"; '
        "give each its own",
    ),
    "a key that is empty": (
        '[gateway.consumers.bob]\nkeys = ["other", ""]',
        "t.toml:11: gateway.consumers.bob.keys[1]: must not be empty",
    ),
    "a key that is no text": (
        "[gateway.consumers.bob]\nkeys = [12345]",
        "t.toml:11: gateway.consumers.bob.keys[0]: must be a string, not a number",
    ),
    "seconds in parts": (
        'filters = [{ type = "cors", origins = ["*"], max_age = "1500ms" }]',
        f'{FILTER}.max_age: must be whole seconds, not "1500ms"',
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name: str, tmp_path: Path) -> None:
    text, expected = MISTAKES[name]
    file = tmp_path / "t.toml"
    file.write_text(BASE + text)
    with pytest.raises(ConfigError) as refused:
        load(file, load_roles(), environment={})
    assert str(refused.value).replace(f"{tmp_path}/", "") == expected


def test_an_api_that_nothing_offers(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text(BASE.split("\n", 2)[2])
    with pytest.raises(ConfigError) as refused:
        load(file, load_roles(), environment={})
    expected = "t.toml:5: gateway.apis.items: no listener offers it; add [gateway.http.NAME]"
    assert str(refused.value).replace(f"{tmp_path}/", "") == expected


def test_the_base_is_sound(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text(BASE)
    assert load(file, load_roles(), environment={}).plan
