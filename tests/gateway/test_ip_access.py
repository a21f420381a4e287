"""Allow and deny lists: by the true client's address, behind proxies that are trusted."""

import pytest

from testkit.gateway import Gateway
from testkit.upstream import Upstream

TRUSTING = 'forwarding.trusted = ["127.0.0.0/8"]'
CASES = {
    # keys of the filter, client → passes
    "deny": ('deny = ["192.0.2.0/24", "2001:db8::/32"]', "192.0.2.255", False),
    "deny, another": ('deny = "192.0.2.0/24"', "192.0.3.0", True),
    "deny IPv6": ('deny = ["192.0.2.0/24", "2001:db8::/32"]', "2001:db8:ffff::1", False),
    "IPv4 within IPv6": ('deny = "192.0.2.0/24"', "::ffff:192.0.2.1", False),
    "allow": ('allow = "203.0.113.7"', "203.0.113.7", True),
    "allow, another": ('allow = "203.0.113.7"', "203.0.113.8", False),
    "allow, the other family": ('allow = "203.0.113.0/24"', "2001:db8::1", False),
    "deny wins": ('allow = "10.0.0.0/8", deny = "10.1.0.0/16"', "10.1.2.3", False),
    "within allow": ('allow = "10.0.0.0/8", deny = "10.1.0.0/16"', "10.2.2.3", True),
    "everyone of one family": ('deny = "0.0.0.0/0"', "2001:db8::1", True),
}


@pytest.mark.parametrize("name", CASES)
def test_who_may(gateway: Gateway, upstream: Upstream, name: str) -> None:
    keys, client, passes = CASES[name]
    gateway.serve({"it": f'filters = [{{ type = "ip_access", {keys} }}]'}, listener=TRUSTING)
    before = len(upstream.requests)
    answer = gateway.ask("/", f"X-Forwarded-For: {client}")
    assert answer.status == (200 if passes else 403)
    assert len(upstream.requests) == before + passes
    assert gateway.failures(reason="ip_denied") == (not passes)
    entry = gateway.log()[0]
    assert entry["client"] == client.removeprefix("::ffff:")
    assert entry.get("reason") == (None if passes else "ip_denied")


@pytest.mark.parametrize(
    ("listener", "status"),
    [("", 403), (TRUSTING, 200), ('forwarding.trusted = ["10.0.0.0/8"]', 403)],
)
def test_nobody_can_name_himself(gateway: Gateway, listener: str, status: int) -> None:
    """What a client says of itself counts only if it is a trusted proxy."""
    keys = 'allow = "203.0.113.7"'
    gateway.serve({"it": f'filters = [{{ type = "ip_access", {keys} }}]'}, listener=listener)
    assert gateway.ask("/", "X-Forwarded-For: 203.0.113.7").status == status
