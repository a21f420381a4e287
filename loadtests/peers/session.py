"""One benchmark session: start, check, measure, check, stop, for every case, round and subject.

The subjects of a round run one after the other, and each round starts with another one, so that
drift of the machine and the place in the order fall on all alike. A subject is started afresh for
every measurement; a wrong answer ends the session.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from loadtests.peers.backend import Backend, grpc_message
from loadtests.peers.cases import Case
from loadtests.peers.generator import Target, run_wrk
from loadtests.peers.measurements import Run, measure
from loadtests.peers.results import OURS, Record
from loadtests.peers.subjects import Setup, Subject
from loadtests.peers.subjects.trunkline import API_KEY_HEADER
from loadtests.peers.verify import verify
from testkit.certificates import Authority
from testkit.ports import free_port

PROXY_CORES, OTHER_CORES = {0}, {1}
_CALIBRATION_S = 3
# RAM: the large body and the logs of the generator must not wait for a disk.
_SCRATCH = "/dev/shm"
# gRPC over HTTP/2: what a call must carry beside what HTTP/2 does.
_GRPC_HEADERS = {"Content-Type": "application/grpc", "TE": "trailers"}


@dataclass(frozen=True)
class Session:
    """What to run.

    Attributes:
        cases: In this order.
        subjects: By name, in the order of the first round.
        rounds: How often each.
        seconds: Measured time of each.
    """

    cases: list[Case]
    subjects: dict[str, type[Subject]]
    rounds: int
    seconds: float

    def run(self) -> Iterator[Record]:
        """Yield each record as soon as it is measured.

        Raises:
            WrongAnswerError: If a subject answered wrongly.
            RuntimeError: If a program did not start or failed.
        """
        with TemporaryDirectory(dir=_SCRATCH) as scratch:
            directory, backend = Path(scratch), Backend.on_free_ports()
            (directory / "message").write_bytes(grpc_message())
            with backend.running(directory, OTHER_CORES):
                for case in self.cases:
                    yield from _CaseRun(case, self, directory, backend).records()


@dataclass(frozen=True)
class _CaseRun:
    case: Case
    session: Session
    scratch: Path
    backend: Backend

    def records(self) -> Iterator[Record]:
        names = self._subject_names()
        half_load = self._half_load(names) if self.case.kind == "half_load" else 0.0
        for round_number in range(self.session.rounds):
            start = round_number % len(names)
            for name in names[start:] + names[:start]:
                yield Record(self.case.name, name, round_number, self._measure(name, half_load))

    def _subject_names(self) -> list[str]:
        """Those the case has a comparison for; all where there is no target."""
        names = self.session.subjects.keys()
        wanted = self.case.targets.keys() | {OURS} if self.case.targets else names
        return [name for name in names if name in wanted]

    def _measure(self, name: str, half_load: float) -> dict[str, float]:
        with TemporaryDirectory(dir=self.scratch) as own, self._start(name, Path(own)) as subject:
            self._verify(subject)
            run = Run(
                subject=subject,
                case=self.case,
                target=self._target(subject),
                seconds=self.session.seconds,
                half_load=half_load,
                log=self.scratch / "h2load.log",
            )
            figures = measure(run)
            self._verify(subject)
            return figures

    def _half_load(self, names: list[str]) -> float:
        """Half of what the slowest subject can do: the same absolute rate for all."""
        return min(map(self._full_speed, names)) / 2

    def _full_speed(self, name: str) -> float:
        with TemporaryDirectory(dir=self.scratch) as own, self._start(name, Path(own)) as subject:
            return run_wrk(self._target(subject), _CALIBRATION_S).requests_per_second

    def _start(self, name: str, directory: Path) -> Subject:
        case, subject = self.case, self.session.subjects[name]
        authority = Authority(directory) if case.tls else None
        setup = Setup(
            directory=directory,
            port=free_port(),
            backend=self.backend,
            authority=authority,
            certificate=authority.issue("bench", ["127.0.0.1"]) if authority else None,
            http2=case.http2,
            grpc=case.grpc,
            websocket=case.kind == "messages",
            route_count=case.route_count,
            gateway_chain=case.gateway_chain and subject.has_gateway_chain,
        )
        return subject(setup, PROXY_CORES)

    def _headers(self) -> dict[str, str]:
        if self.case.grpc:
            return _GRPC_HEADERS
        return dict([API_KEY_HEADER]) if self.case.gateway_chain else {}

    def _path(self) -> str:
        return f"/r/{self.case.route_count - 1}" if self.case.route_count else self.case.body

    def _target(self, subject: Subject) -> Target:
        return Target(
            url=subject.url(self._path()),
            connections=self.case.connections,
            cores=OTHER_CORES,
            headers=self._headers(),
            route_count=self.case.route_count,
            upload=self.scratch / "message" if self.case.grpc else None,
        )

    def _verify(self, subject: Subject) -> None:
        verify(subject, self.case, self._path(), self._target(subject))
