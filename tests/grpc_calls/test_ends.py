"""Streams under way while the configuration, a server or the whole process goes: they end well."""

import signal
from pathlib import Path

from testkit.grpcclient import Channel, Outcome, outcome
from testkit.grpcserver import H2, GrpcServer
from testkit.ports import is_listening
from testkit.site import Program, Site
from testkit.trunkline import Trunkline
from testkit.waiting import wait_until

# For a stop whose grace period was too short (docs/concepts/cli.md).
CUT_SHORT = 4


def test_a_reload(program: Program, server: GrpcServer) -> None:
    """A stream keeps the configuration that it began with, whether it knows its pool or not."""
    site = Site([server.port], pool=H2)
    program.serve(site)
    with Channel(site.port) as channel, channel.talk() as talk:
        site.change([server.port], pool=H2, route='path = "/nothing"')
        program.serve(site)
        assert talk.say(b"after") == b"after"
        assert outcome(channel.echo) == Outcome(12, "route_not_found")
        assert talk.finish() == []


def test_a_server_that_drains(program: Program, server: GrpcServer) -> None:
    with GrpcServer(name="other") as other:
        site = Site([other.port], pool=H2)
        program.serve(site)
        with Channel(site.port) as channel, channel.talk() as talk:
            site.change([other.port, server.port], pool=H2)
            program.serve(site)
            program.change_server(site, other.port, draining=True)
            assert {channel.served_by() for _ in range(8)} == {"one"}
            assert talk.say(b"after") == b"after"
            assert talk.finish() == []
        program.serve()


def test_a_stop_waits_for_streams(tmp_path: Path, server: GrpcServer) -> None:
    site = Site([server.port], pool=H2)
    with (
        Trunkline(tmp_path, site.config) as trunkline,
        Channel(site.port) as channel,
        channel.talk() as talk,
    ):
        trunkline.send(signal.SIGTERM)
        wait_until(lambda: not is_listening(site.port), timeout_s=10, what="the listener to close")
        assert talk.say(b"after") == b"after"
        assert talk.finish() == []
        assert trunkline.process.wait(10) == 0


def test_a_stop_does_not_wait_for_ever(tmp_path: Path, server: GrpcServer) -> None:
    """The grace period is over: streams are told."""
    site = Site([server.port], pool=H2)
    server.forget()
    with (
        Trunkline(tmp_path, site.config) as trunkline,
        Channel(site.port) as channel,
        channel.talk() as talk,
    ):
        hanging = channel.one_to_one("Hang").future(b"")
        server.wait_for_call(2)
        trunkline.send(signal.SIGTERM)
        assert outcome(hanging.result) == Outcome(14, "shutdown")
        assert outcome(lambda: next(talk.call)) == Outcome(14, "shutdown")
        assert trunkline.process.wait(10) == CUT_SHORT
