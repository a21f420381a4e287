"""Connections to servers of HTTP/2: shared, counted, and left without losing a request."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hyperframe.frame import (
    DataFrame,
    GoAwayFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from testkit.faultproxy import Fault, FaultProxy, Then
from testkit.http2 import Code, raw_frame
from testkit.http2_client import Http2Client, head, until_stuck
from testkit.http2_upstream import (
    WELL_BEHAVED,
    Http2Upstream,
    Request,
    ServerConnection,
    answer_with,
    silent,
)
from testkit.site import Program, Site, server
from testkit.waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
STREAMS = SettingsFrame.MAX_CONCURRENT_STREAMS
Serve = Callable[..., Site]


async def all_of(connection: ServerConnection, count: int) -> list[Request]:
    """So many requests, none of them answered yet."""
    return [await connection.next_request() for _ in range(count)]


async def all_heads(connection: ServerConnection, count: int) -> list[Request]:
    """So many requests, whose bodies may be still to come."""
    return [await connection.next_head() for _ in range(count)]


class TestSharing:
    def test_clients_share_a_connection(self, site2: Site, upstream2: Http2Upstream) -> None:
        """Of both versions."""
        with ExitStack() as stack:
            plain = [stack.enter_context(site2.client()) for _ in range(5)]
            framed = [stack.enter_context(Http2Client(site2.port)) for _ in range(5)]
            for _ in range(3):
                assert [client.request(GET).status for client in plain] == [200] * 5
                assert [client.request().status for client in framed] == [200] * 5
        assert upstream2.connection_count == 1

    def test_requests_go_side_by_side(self, site2: Site, upstream2: Http2Upstream) -> None:
        """Fifty are there before one is answered, and answers come in any order."""

        async def script(connection: ServerConnection) -> None:
            for request in reversed(await all_of(connection, 50)):
                await connection.respond(request, request.value(":path").encode())
            await connection.until(lambda: False)

        upstream2.script(script)
        with Http2Client(site2.port) as client:
            streams = [client.open(head("GET", f"/{number}")) for number in range(50)]
            bodies = [bytes(client.response(stream).body) for stream in streams]
        assert bodies == [b"/%d" % number for number in range(50)]
        assert upstream2.connection_count == 1

    def test_counted_as_reuse(self, program: Program, site2: Site) -> None:
        with site2.client() as client:
            assert [client.request(GET).status for _ in range(3)] == [200] * 3
        pool = f"lb.{site2.name}"
        assert program.trunkline.metric("trunkline_server_connects_total", pool=pool) == 1
        assert program.trunkline.metric("trunkline_server_reuses_total", pool=pool) >= 2

    def test_idle_connections_end(self, serve2: Serve, upstream2: Http2Upstream) -> None:
        site = serve2(pool='keep_alive.idle_timeout = "100ms"')
        assert site.get().status == 200
        wait_until(lambda: upstream2.open_count == 0, timeout_s=5, what="the connection to end")
        assert site.get().status == 200

    def test_a_reload_keeps_it(
        self, program: Program, site2: Site, upstream2: Http2Upstream
    ) -> None:
        with site2.client() as client:
            for _ in range(3):
                assert client.request(GET).status == 200
                program.serve(site2)
        assert upstream2.connection_count == 1


class TestConnecting:
    """One connection is made for all who wait, and each waits for its own time."""

    @pytest.fixture
    def mute(self, program: Program) -> Iterator[tuple[Site, Http2Upstream, FaultProxy]]:
        """A site whose server gets nothing until the line before it is healed."""
        with Http2Upstream() as upstream2, FaultProxy(upstream2.port) as line:
            line.set_uplink(Fault(then=Then.FREEZE))
            site = Site([line.port], pool='protocol = "h2"', route="retry.attempts = 1")
            hasty = f'[[lb.http.{site.name}.routes]]\nname = "hasty"\nprefix = "/hasty"\n'
            times = f'pool = "{site.name}"\ntimeouts.total = "200ms"'
            route = f"retry.attempts = 1\n{hasty}{times}"
            site.change([line.port], pool='protocol = "h2"', route=route)
            program.serve(site)
            yield site, upstream2, line

    def test_the_first_ones_time_is_its_own(
        self, mute: tuple[Site, Http2Upstream, FaultProxy]
    ) -> None:
        site, upstream2, line = mute
        with Http2Client(site.port) as client:
            hasty, patient = client.open(head("GET", "/hasty")), client.open(head("GET", "/"))
            assert client.response(hasty).status == 504
            line.heal()
            assert client.response(patient).status == 200
        assert upstream2.connection_count == 1

    def test_who_comes_later_has_its_own_time(
        self, mute: tuple[Site, Http2Upstream, FaultProxy]
    ) -> None:
        site, _, line = mute
        with Http2Client(site.port) as client:
            patient, hasty = client.open(head("GET", "/")), client.open(head("GET", "/hasty"))
            assert client.response(hasty).status == 504
            assert not client.message(patient).fields
            line.heal()
            assert client.response(patient).status == 200

    def test_the_first_one_may_leave(self, mute: tuple[Site, Http2Upstream, FaultProxy]) -> None:
        site, upstream2, line = mute
        with Http2Client(site.port) as first, Http2Client(site.port) as second:
            stream = first.open()
            first.ping()
            patient = second.open()
            second.ping()
            first.reset(stream, Code.CANCEL)
            first.ping()
            line.heal()
            assert second.response(patient).status == 200
        assert upstream2.connection_count == 1


class TestStreamsAtATime:
    """What the server allows (RFC 9113 §5.1.2)."""

    @pytest.mark.parametrize("allowed", [1, 3])
    def test_no_more_than_it_allows(
        self, program: Program, site2: Site, upstream2: Http2Upstream, allowed: int
    ) -> None:
        """The others get a further connection, or wait; what a new one refuses is sent again."""
        most: dict[int, int] = {}

        async def script(connection: ServerConnection) -> None:
            waiting: list[Request] = []
            while True:
                while connection.open:
                    request = await connection.next_head()
                    if len(waiting) == allowed:
                        refusal = RstStreamFrame(request.stream, Code.REFUSED_STREAM)
                        await connection.send(refusal)
                    else:
                        waiting.append(request)
                most[connection.number] = max(most.get(connection.number, 0), len(waiting))
                if waiting:
                    await asyncio.sleep(0.005)
                    await connection.respond(waiting.pop(0))
                else:
                    await connection.step()

        upstream2.settings[STREAMS] = allowed
        upstream2.script(script)
        with Http2Client(site2.port) as client:
            assert client.request().status == 200
            streams = [client.open() for _ in range(20)]
            assert [client.response(stream).status for stream in streams] == [200] * 20
        assert most[1] <= allowed
        assert program.failures(site2) == 0

    def test_a_limit_that_falls(self, site2: Site, upstream2: Http2Upstream) -> None:
        async def script(connection: ServerConnection) -> None:
            await connection.respond(await connection.next_request())
            await connection.send(SettingsFrame(settings={STREAMS: 1}))
            first = await connection.next_head()
            await connection.respond(first)
            await answer_with()(connection)

        upstream2.script(script)
        with Http2Client(site2.port) as client:
            assert client.request().status == 200
            streams = [client.open() for _ in range(10)]
            assert [client.response(stream).status for stream in streams] == [200] * 10

    def test_none_at_all(self, serve2: Serve, upstream2: Http2Upstream) -> None:
        """A server that allows nothing is not asked again and again."""
        upstream2.settings[STREAMS] = 0
        upstream2.script(silent)
        site = serve2(route='timeouts.total = "500ms"')
        answer = site.get()
        assert answer.status in (502, 503, 504)
        assert upstream2.connection_count < 20


class TestGoAway:
    """RFC 9113 §6.8: streams above the last one were not looked at, and are sent again."""

    @pytest.mark.parametrize("raw", [GET, POST], ids=["GET", "POST"])
    def test_a_request_that_was_not_looked_at(
        self, program: Program, site2: Site, upstream2: Http2Upstream, raw: bytes
    ) -> None:
        """Whatever its method, as nothing has been done about it."""

        async def leave(connection: ServerConnection) -> None:
            await connection.next_request()
            await connection.send(GoAwayFrame(0, last_stream_id=0, error_code=Code.NO_ERROR))
            await connection.until(lambda: False)

        upstream2.script(leave, WELL_BEHAVED)
        with site2.client() as client:
            assert client.request(raw).status == 200
        assert [request.connection_number for request in upstream2.requests] == [1, 2]
        assert program.failures(site2) == 0

    def test_those_that_were_looked_at_are_finished(
        self, site2: Site, upstream2: Http2Upstream
    ) -> None:
        async def leave(connection: ServerConnection) -> None:
            requests = await all_of(connection, 6)
            last = requests[2].stream
            await connection.send(GoAwayFrame(0, last_stream_id=last, error_code=Code.NO_ERROR))
            for request in requests[:3]:
                await connection.respond(request, b"old")

        upstream2.script(leave, answer_with(b"new"))
        with Http2Client(site2.port) as client:
            streams = [client.open() for _ in range(6)]
            bodies = [bytes(client.response(stream).body) for stream in streams]
        assert sorted(bodies) == [b"new"] * 3 + [b"old"] * 3
        assert upstream2.connection_count == 2

    def test_a_warning_first(self, site2: Site, upstream2: Http2Upstream) -> None:
        """The largest number, then the true one: as nginx, Envoy and we do."""

        async def leave(connection: ServerConnection) -> None:
            request = await connection.next_request()
            warning = GoAwayFrame(0, last_stream_id=2**31 - 1, error_code=Code.NO_ERROR)
            await connection.send(warning)
            await connection.respond(request, b"old")
            last = GoAwayFrame(0, last_stream_id=request.stream, error_code=Code.NO_ERROR)
            await connection.send(last)

        upstream2.script(leave, answer_with(b"new"))
        with site2.client() as client:
            assert [client.request(GET).body for _ in range(3)] == [b"old", b"new", b"new"]
        assert upstream2.connection_count == 2

    def test_a_goaway_between_requests(self, site2: Site, upstream2: Http2Upstream) -> None:
        """Requests that come later go to a new connection."""

        async def leave(connection: ServerConnection) -> None:
            request = await connection.next_request()
            await connection.respond(request)
            last = GoAwayFrame(0, last_stream_id=request.stream, error_code=Code.NO_ERROR)
            await connection.send(last)
            await connection.until(lambda: False)

        upstream2.script(leave)
        with site2.client() as client:
            assert [client.request(GET).status for _ in range(5)] == [200] * 5
        wait_until(lambda: upstream2.open_count <= 1, timeout_s=5, what="the old ones to end")

    def test_a_body_that_was_begun_is_not_lost(self, site2: Site, upstream2: Http2Upstream) -> None:
        """What is gone cannot be sent again: the client is told, or the body was kept."""

        async def leave(connection: ServerConnection) -> None:
            request = await connection.next_head()
            await connection.until(lambda: len(request.message.body) > 100_000)
            await connection.send(GoAwayFrame(0, last_stream_id=0, error_code=Code.NO_ERROR))
            await connection.until(lambda: False)

        upstream2.script(leave, WELL_BEHAVED)
        with Http2Client(site2.port) as client:
            stream = client.open(head("POST", "/", ("content-length", "200000")), end=False)
            client.send_data(stream, b"x" * 150_000)
            message = client.message(stream)
            client.run_until(lambda: bool(message.fields) or message.is_over)
            assert message.status in (502, 503)
        assert all(not request.message.ended for request in upstream2.requests)

    def test_servers_that_only_leave(
        self, program: Program, serve2: Serve, upstream2: Http2Upstream
    ) -> None:
        """Tries are bounded."""

        async def leave(connection: ServerConnection) -> None:
            await connection.next_request()
            await connection.send(GoAwayFrame(0, last_stream_id=0, error_code=Code.NO_ERROR))

        upstream2.script(leave)
        site = serve2()
        assert site.get().status == 503
        assert upstream2.connection_count <= 4
        program.wait_for_failures(site, "upstream_refused")


class TestRefused:
    """REFUSED_STREAM (RFC 9113 §8.7): nothing was done about the request."""

    @pytest.mark.parametrize("raw", [GET, POST], ids=["GET", "POST"])
    def test_is_sent_again(
        self, program: Program, site2: Site, upstream2: Http2Upstream, raw: bytes
    ) -> None:
        async def refuse_once(connection: ServerConnection) -> None:
            request = await connection.next_request()
            await connection.send(RstStreamFrame(request.stream, Code.REFUSED_STREAM))
            await WELL_BEHAVED(connection)

        upstream2.script(refuse_once)
        with site2.client() as client:
            assert client.request(raw).status == 200
        assert len(upstream2.requests) == 2
        assert upstream2.connection_count == 1
        assert program.failures(site2) == 0

    @pytest.mark.parametrize("route", ["", 'hedge = { after = "10s" }'], ids=["", "hedged"])
    def test_who_refuses_everything_is_put_out(
        self, program: Program, serve2: Serve, upstream2: Http2Upstream, route: str
    ) -> None:
        """The second time of a request counts, and costs no further connection."""

        async def refuse(connection: ServerConnection) -> None:
            while True:
                request = await connection.next_head()
                await connection.send(RstStreamFrame(request.stream, Code.REFUSED_STREAM))

        upstream2.script(refuse)
        out = 'outlier = { consecutive_failures = 3, base_ejection = "30s", max_ejected = 1.0 }'
        site = serve2(pool=out, route=f"retry.attempts = 1\n{route}")
        assert [site.get().status for _ in range(3)] == [503] * 3
        assert len(upstream2.requests) == 6
        assert upstream2.connection_count == 1
        (told,) = program.servers(site)
        assert (told["state"], told["failures"]) == ("ejected", 3)

    @pytest.fixture
    def pair(
        self, program: Program, upstream2: Http2Upstream
    ) -> Iterator[tuple[Site, Http2Upstream]]:
        """A site with two servers; the second gets what the first has failed."""
        with Http2Upstream() as second:
            servers: list[int | str] = [upstream2.port, server(second.port, backup=True)]
            site = Site(servers, pool='protocol = "h2"')
            program.serve(site)
            yield site, second

    @pytest.mark.parametrize(
        ("raw", "status", "tries"), [(GET, 200, 2), (POST, 502, 1)], ids=["GET", "POST"]
    )
    def test_other_resets_may_have_done_something(
        self,
        *,
        pair: tuple[Site, Http2Upstream],
        upstream2: Http2Upstream,
        raw: bytes,
        status: int,
        tries: int,
    ) -> None:
        """So only methods that may be repeated are."""

        async def reset(connection: ServerConnection) -> None:
            request = await connection.next_request()
            await connection.send(RstStreamFrame(request.stream, Code.INTERNAL_ERROR))
            await connection.until(lambda: False)

        site, second = pair
        upstream2.script(reset)
        with site.client() as client:
            assert client.request(raw).status == status
        assert len(upstream2.requests) + len(second.requests) == tries

    def test_a_reset_stream_is_no_stale_connection(
        self, serve2: Serve, upstream2: Http2Upstream
    ) -> None:
        """What goes again for free does so because the server never saw it."""

        async def script(connection: ServerConnection) -> None:
            await connection.respond(await connection.next_request())
            request = await connection.next_request()
            await connection.send(RstStreamFrame(request.stream, Code.INTERNAL_ERROR))
            await connection.until(lambda: False)

        upstream2.script(script)
        with serve2(route="retry.attempts = 1").client() as client:
            assert client.request(GET).status == 200
            assert client.request(GET).status == 502
        assert len(upstream2.requests) == 2
        assert upstream2.connection_count == 1

    def test_a_lost_connection(
        self, pair: tuple[Site, Http2Upstream], upstream2: Http2Upstream
    ) -> None:
        """All requests on it are concerned."""

        async def leave(connection: ServerConnection) -> None:
            await all_of(connection, 6)

        site, second = pair
        upstream2.script(leave, WELL_BEHAVED)
        with Http2Client(site.port) as client:
            methods = ["GET", "GET", "PUT", "PUT", "POST", "POST"]
            streams = [client.open(head(method)) for method in methods]
            statuses = [client.response(stream).status for stream in streams]
        assert statuses == [200] * 4 + [502] * 2
        assert len(upstream2.requests) + len(second.requests) == 6 + 4


class TestMisbehaviour:
    """Servers that break the rules lose the connection; the next request gets a new one."""

    @pytest.mark.parametrize(
        ("said", "code"),
        [
            (raw_frame(0, b"x", stream=2), Code.PROTOCOL_ERROR),
            (raw_frame(5, b"\0\0\0\2\x82", flags=4, stream=1), Code.PROTOCOL_ERROR),
            (raw_frame(4, b"\0\2\0\0\0\1"), Code.PROTOCOL_ERROR),
            (raw_frame(8, b"\x7f\xff\xff\xff"), Code.FLOW_CONTROL_ERROR),
            (raw_frame(6, bytes(7)), Code.FRAME_SIZE_ERROR),
            (
                raw_frame(1, b"\xff\xff\xff\xff\xff\xff\xff", flags=5, stream=1),
                Code.COMPRESSION_ERROR,
            ),
            (PingFrame(0, b"12345678").serialize() * 10_000, Code.ENHANCE_YOUR_CALM),
            (SettingsFrame().serialize() * 2_000, Code.ENHANCE_YOUR_CALM),
            (PriorityFrame(1).serialize() * 10_000, Code.ENHANCE_YOUR_CALM),
            (WindowUpdateFrame(0, 1).serialize() * 60_000, Code.ENHANCE_YOUR_CALM),
        ],
        ids=[
            "data",
            "push",
            "enable push",
            "window",
            "ping",
            "hpack",
            "pings",
            "settings",
            "priorities",
            "windows",
        ],
    )
    def test_errors_of_the_connection(
        self, site2: Site, upstream2: Http2Upstream, said: bytes, code: Code
    ) -> None:
        told: list[int] = []

        async def misbehave(connection: ServerConnection) -> None:
            await connection.next_request()
            await connection.send(said)
            try:
                await connection.until(lambda: connection.endpoint.goaway is not None)
            except ConnectionError:
                return
            assert connection.endpoint.goaway is not None
            told.append(connection.endpoint.goaway.error_code)

        upstream2.script(misbehave, WELL_BEHAVED)
        with site2.client() as client:
            assert client.request(GET).status in (200, 502)
            assert client.request(GET).status == 200
        assert upstream2.connection_count == 2
        wait_until(lambda: told or upstream2.open_count == 1, timeout_s=5, what="the end of it")
        assert told in ([], [code])

    def test_a_ping_ack_that_nobody_asked_for(self, site2: Site, upstream2: Http2Upstream) -> None:
        async def script(connection: ServerConnection) -> None:
            await connection.send(PingFrame(0, b"whatever", flags=["ACK"]))
            await WELL_BEHAVED(connection)

        upstream2.script(script)
        with site2.client() as client:
            assert [client.request(GET).status for _ in range(3)] == [200] * 3
        assert upstream2.connection_count == 1

    def test_a_server_that_never_answers(
        self, program: Program, serve2: Serve, upstream2: Http2Upstream
    ) -> None:
        """The request is cancelled, the connection is kept for others."""
        resets: list[int | None] = []

        async def script(connection: ServerConnection) -> None:
            request = await connection.next_request()
            await connection.until(lambda: request.message.reset is not None)
            resets.append(request.message.reset)
            await WELL_BEHAVED(connection)

        upstream2.script(script)
        site = serve2(route='timeouts.response_head = "200ms"\nretry.attempts = 1')
        with site.client() as client:
            assert client.request(GET).status == 504
            assert client.request(GET).status == 200
        assert resets == [Code.CANCEL]
        assert upstream2.connection_count == 1

    def test_a_silence_that_lasts(self, serve2: Serve, upstream2: Http2Upstream) -> None:
        """Nothing at all was heard for a second: the next request does not wait on that path."""

        async def fall_silent(connection: ServerConnection) -> None:
            await connection.respond(await connection.next_request())
            await silent(connection)

        upstream2.script(fall_silent, WELL_BEHAVED)
        site = serve2(route='timeouts.response_head = "1100ms"\nretry.attempts = 1')
        with site.client() as client:
            assert [client.request(GET).status for _ in range(4)] == [200, 504, 200, 200]
        assert upstream2.connection_count == 2

    def test_a_server_that_takes_nothing(self, site2: Site, upstream2: Http2Upstream) -> None:
        """Once so much waits for it, others get a further connection."""

        async def deaf(connection: ServerConnection) -> None:
            await all_heads(connection, 3)
            await connection.send(WindowUpdateFrame(0, 2**30))
            await asyncio.Event().wait()

        upstream2.settings[SettingsFrame.INITIAL_WINDOW_SIZE] = 2**30
        upstream2.script(deaf, WELL_BEHAVED)
        with Http2Client(site2.port) as client:
            streams = [client.open(client.head("POST"), end=False) for _ in range(3)]
            upstream2.wait_for_requests(3)
            for stream in streams:
                until_stuck(client, stream)
            assert [client.request().status for _ in range(3)] == [200] * 3
        assert upstream2.connection_count == 2

    def test_a_client_that_leaves(self, site2: Site, upstream2: Http2Upstream) -> None:
        """CANCEL, on a connection that goes on."""
        resets: list[int | None] = []

        async def script(connection: ServerConnection) -> None:
            request = await connection.next_request()
            await connection.until(lambda: request.message.reset is not None)
            resets.append(request.message.reset)
            await WELL_BEHAVED(connection)

        upstream2.script(script)
        client = site2.client()
        client.send(GET)
        upstream2.wait_for_requests(1)
        client.reset()
        wait_until(lambda: resets == [Code.CANCEL], timeout_s=5, what="the request to be cancelled")
        assert site2.get().status == 200
        assert upstream2.connection_count == 1


class TestFloods:
    """What one client in a hurry may not do, a server does for many: its connection goes on."""

    def test_resets(self, site2: Site, upstream2: Http2Upstream) -> None:
        """As many as it was asked: a thousand at once would be a flood of a client's."""

        async def script(connection: ServerConnection) -> None:
            first = await connection.next_head()
            for _ in range(1_500):
                request = await connection.next_head()
                await connection.send(RstStreamFrame(request.stream, Code.INTERNAL_ERROR))
            await connection.respond(first)
            await connection.until(lambda: False)

        upstream2.script(script)
        with Http2Client(site2.port) as client:
            first = client.open()
            upstream2.wait_for_requests(1)
            for _ in range(30):
                streams = [client.open(client.head("POST")) for _ in range(50)]
                assert {client.response(stream).status for stream in streams} == {502}
            assert client.response(first).status == 200
        assert upstream2.connection_count == 1

    def test_empty_data(self, site2: Site, upstream2: Http2Upstream) -> None:
        async def script(connection: ServerConnection) -> None:
            request = await connection.next_request()
            await connection.send_head(request, (":status", "200"), end=False)
            await connection.send(*[DataFrame(request.stream)] * 3_000)
            await connection.send_data(request, b"ok", end=True)
            await connection.until(lambda: False)

        upstream2.script(script)
        with Http2Client(site2.port) as client:
            assert bytes(client.request().body) == b"ok"


class TestLimits:
    """Limits of the pool hold as with HTTP/1.1."""

    def test_open_requests_of_a_server(self, program: Program, upstream2: Http2Upstream) -> None:
        most: list[int] = []

        async def script(connection: ServerConnection) -> None:
            while True:
                request = await connection.next_head()
                most.append(len(connection.open) + 1)
                await connection.respond(request)

        upstream2.script(script)
        site = Site(
            [f'{{ address = "127.0.0.1:{upstream2.port}", max_connections = 2 }}'],
            pool='protocol = "h2"',
        )
        program.serve(site)
        with Http2Client(site.port) as client:
            streams = [client.open() for _ in range(20)]
            assert [client.response(stream).status for stream in streams] == [200] * 20
        assert max(most) <= 2

    def test_requests_of_a_connection(self, serve2: Serve, upstream2: Http2Upstream) -> None:
        """`keep_alive.requests`: after so many a new connection is made."""
        site = serve2(pool="keep_alive.requests = 2")
        with site.client() as client:
            assert [client.request(GET).status for _ in range(6)] == [200] * 6
        assert upstream2.connection_count == 3

    def test_health_checks(self, program: Program, upstream2: Http2Upstream) -> None:
        """They speak as the pool does."""
        health = 'health = { kind = "http", path = "/healthz", interval = "50ms", rise = 1 }'
        site = Site([upstream2.port], pool=f'protocol = "h2"\n{health}')
        program.serve(site)
        requests = upstream2.wait_for_requests(2)
        assert {request.value(":path") for request in requests} == {"/healthz"}
        assert program.servers(site)[0]["healthy"]
        assert site.get().status == 200
