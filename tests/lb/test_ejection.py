"""Passive checks: which failures put a server out, how many servers, for how long, and panic."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from time import monotonic

import pytest

from testkit.ports import free_port
from testkit.site import Program, Site, server
from testkit.upstream import (
    WELL_BEHAVED,
    Script,
    Upstream,
    forever,
    hang,
    read_request,
    reset,
    response,
    send,
)
from testkit.waiting import wait_until

# Long beside the requests of a test, so that none of them comes after the return.
OUT = 'outlier = { consecutive_failures = 3, base_ejection = "30s" }'
ONE_TRY = "retry.attempts = 1"
FAILING: Script = [forever(read_request, send(response(b"", "500 Oops")))]
Start = Callable[..., list[Upstream]]


@pytest.fixture
def start(program: Program) -> Iterator[Start]:
    """Starts an upstream for each script; nobody checks them any more when they are closed."""
    with ExitStack() as stack:
        yield lambda *scripts: [stack.enter_context(Upstream(script)) for script in scripts]
        program.serve()


def serve(program: Program, *servers: int | str, pool: str = OUT, route: str = ONE_TRY) -> Site:
    site = Site(servers, route=route, pool=pool)
    program.serve(site)
    return site


def states(program: Program, site: Site) -> list[str]:
    return [server["state"] for server in program.servers(site)]


def wait_for(program: Program, site: Site, expected: list[str]) -> None:
    """The servers' states become these: an answer is judged when it is on its way already."""
    wait_until(lambda: states(program, site) == expected, timeout_s=5, what=f"states {expected}")


def statuses(site: Site, count: int) -> list[int]:
    return [site.get().status for _ in range(count)]


FAILURES: dict[str, tuple[Script | None, int]] = {
    # what the server does, and what the client sees of it
    "refuses": (None, 502),
    "closes": ([read_request], 502),
    "resets": ([read_request, reset], 502),
    "hangs": ([read_request, hang], 504),
    "speaks nonsense": ([read_request, send(b"220 smtp\r\n\r\n"), hang], 502),
    "has an error": (FAILING, 500),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_three_failures_in_a_row(program: Program, start: Start, failure: str) -> None:
    """Two servers take turns: after three failures the good one gets all."""
    script, status = FAILURES[failure]
    good, bad = start(WELL_BEHAVED, script or WELL_BEHAVED)
    if script is None:
        bad.die()
    times = f'{ONE_TRY}\ntimeouts.response_head = "50ms"'
    site = serve(program, good.port, bad.port, route=times)
    assert sorted(statuses(site, 6)) == [200] * 3 + [status] * 3
    wait_for(program, site, ["eligible", "ejected"])
    asked = bad.connection_count
    assert statuses(site, 10) == [200] * 10
    assert bad.connection_count == asked
    out = program.servers(site)[1]
    assert out["healthy"]  # the verdict of the active checks, of which there are none
    assert out["active"] == 0
    if status != 500:
        assert out["failures"] == program.failures(site) == 3


def test_clients_see_nothing_of_it_with_retries(program: Program, start: Start) -> None:
    (good,) = start(WELL_BEHAVED)
    site = serve(program, good.port, free_port(), route="")
    assert statuses(site, 10) == [200] * 10
    wait_for(program, site, ["eligible", "ejected"])
    assert program.failures(site) == 0
    assert sum(entry.get("retries", 0) for entry in program.log(site, 10)) == 3


def closing(status: str) -> Script:
    """One answer a connection, so that the next connection takes the next script."""
    return [read_request, send(response(b"", status, "Connection: close"))]


def test_a_good_answer_in_between(program: Program, start: Start) -> None:
    """Two failures, again and again, are not three in a row; an error of the client's is none."""
    (mixed, _) = upstreams = start(WELL_BEHAVED, WELL_BEHAVED)
    mixed.script(*[closing("500 Oops"), closing("500 Oops"), closing("404 Yours")] * 3)
    site = serve(program, *[upstream.port for upstream in upstreams])
    assert sorted(statuses(site, 16)) == [200] * 8 + [404] * 2 + [500] * 6
    wait_for(program, site, ["eligible", "eligible"])


def test_it_returns(program: Program, start: Start) -> None:
    """After its time, to its full share; the second time out in a row is twice as long."""
    good, bad = start(WELL_BEHAVED, FAILING)
    site = serve(program, good.port, bad.port, pool=OUT.replace("30s", "400ms"))
    times_s = []
    for _ in range(2):
        assert sorted(statuses(site, 6)) == [200] * 3 + [500] * 3
        began_s = monotonic()
        wait_for(program, site, ["eligible", "ejected"])
        wait_for(program, site, ["eligible"] * 2)
        times_s.append(monotonic() - began_s)
    # The clock of this test starts a few milliseconds late: after the third failure was seen.
    assert times_s[0] > 0.35
    assert times_s[1] > 0.75
    bad.script(WELL_BEHAVED)
    bad.die()
    bad.come_back()
    assert statuses(site, 6) == [200] * 6


SHARES = {
    # servers, most that may be out, and how many then are
    "half of four": (4, "max_ejected = 0.5", 2),
    "half of three": (3, "", 1),
    "a tenth of two": (2, "max_ejected = 0.1", 1),
    "one alone": (1, "", 0),
    "none": (3, "max_ejected = 0.0", 0),
}


@pytest.mark.parametrize("case", SHARES)
def test_the_share_that_may_be_out(program: Program, start: Start, case: str) -> None:
    """All fail; some stay in, so that clients get the servers' own answers."""
    count, setting, out = SHARES[case]
    upstreams = start(*[FAILING] * count)
    pool = OUT.replace(" }", f", {setting} }}") if setting else OUT
    site = serve(program, *[upstream.port for upstream in upstreams], pool=pool)
    assert statuses(site, count * 8) == [500] * count * 8
    wait_until(
        lambda: states(program, site).count("ejected") == out, timeout_s=5, what="the ejections"
    )
    assert states(program, site).count("eligible") == count - out


ALL_OUT = OUT.replace(" }", ", max_ejected = 1.0 }")


def test_all_are_out(program: Program, start: Start) -> None:
    upstreams = start(FAILING, FAILING)
    site = serve(program, *[upstream.port for upstream in upstreams], pool=ALL_OUT)
    assert statuses(site, 6) == [500] * 6
    refused = site.get()
    assert (refused.status, refused.body) == (503, b'{"error":"no_server","status":503}')
    wait_for(program, site, ["ejected"] * 2)
    assert program.log(site, 7)[-1]["reason"] == "no_server"
    assert program.failures(site) == program.failures(site, reason="no_server") == 1


def test_panic(program: Program, start: Start) -> None:
    """Below the threshold ejections are ignored: all get requests again."""
    upstreams = start(*[FAILING] * 4)
    ports = [upstream.port for upstream in upstreams]
    site = serve(program, *ports, pool=f"{ALL_OUT}\npanic_threshold = 0.5")
    assert statuses(site, 20) == [500] * 20
    wait_for(program, site, ["panic"] * 4)
    before = [len(upstream.requests) for upstream in upstreams]
    assert statuses(site, 8) == [500] * 8
    assert all(
        len(upstream.requests) > count for upstream, count in zip(upstreams, before, strict=True)
    )


CHECKS = 'health = { kind = "tcp", interval = "30ms", fall = 1, rise = 1 }'


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(0.5, ["eligible", "panic", "panic"]), (0.3, ["eligible", "unhealthy", "unhealthy"])],
)
def test_panic_by_active_checks(
    program: Program, start: Start, threshold: float, expected: list[str]
) -> None:
    """One of three is healthy: too few for one half, enough for three tenths."""
    (good,) = start(WELL_BEHAVED)
    pool = f"{CHECKS}\npanic_threshold = {threshold}"
    site = serve(program, good.port, free_port(), free_port(), pool=pool)
    wait_for(program, site, expected)
    assert statuses(site, 6).count(200) == (2 if "panic" in expected else 6)


def test_a_backup_serves_meanwhile(program: Program, start: Start) -> None:
    bad, backup = start(FAILING, WELL_BEHAVED)
    site = serve(program, bad.port, server(backup.port, backup=True), pool=ALL_OUT)
    wait_for(program, site, ["eligible", "standby"])
    assert statuses(site, 6) == [500] * 3 + [200] * 3
    wait_for(program, site, ["ejected", "eligible"])


def test_it_stays_out_over_reloads(program: Program, start: Start) -> None:
    """Of something else, and of its own pool, as long as it is the same server."""
    good, bad, third = start(WELL_BEHAVED, FAILING, WELL_BEHAVED)
    site = serve(program, good.port, bad.port)
    statuses(site, 6)
    program.serve(site, Site([third.port]))
    wait_for(program, site, ["eligible", "ejected"])
    site.change([third.port, bad.port, good.port], pool=OUT, route=ONE_TRY)
    program.serve(site)
    wait_for(program, site, ["eligible", "ejected", "eligible"])
    assert statuses(site, 6) == [200] * 6
