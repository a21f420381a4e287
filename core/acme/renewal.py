"""Keeps certificates there and fresh, for as long as the process runs.

Each issuer has a task that makes one attempt at a time, in a thread. What is served is only ever
replaced by something better: after a failure the old certificate stays, and the log and `status()`
say why. When to try is decided in `schedule`.
"""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from trunkline.core.acme.attempt import AttemptError, attempt, due_s
from trunkline.core.acme.front import AnswerBoard, Front
from trunkline.core.acme.schedule import Attempts, Backoff, next_attempt_s
from trunkline.core.acme.wanted import Wanted
from trunkline.core.config.acme import ChallengeType

log = logging.getLogger("trunkline.acme")

Result = TypeVar("Result")
# So that a changed clock, a machine that slept and another process's renewal are noticed.
_LONGEST_WAIT_S = 3_600.0

Install = Callable[[], Awaitable[object]]


class Renewal:
    """Belongs to the event loop that makes it.

    Args:
        front: Answers the issuers' looks.
        install: Lets the data plane read the certificates' files again.
        backoff: Pauses after failures.
    """

    def __init__(self, front: Front, install: Install, backoff: Backoff | None = None) -> None:
        self._board = AnswerBoard(front)
        self._install = install
        self._backoff = backoff or Backoff()
        self._workers: dict[str, _Worker] = {}

    def update(self, wanted: Sequence[Wanted]) -> None:
        """Care for exactly these from now on: after the start and after each reload."""
        by_issuer: dict[str, list[Wanted]] = {}
        for one in wanted:
            by_issuer.setdefault(one.issuer_name, []).append(one)
        for name in self._workers.keys() - by_issuer.keys():
            self._workers.pop(name).cancel()
        for name, ones in by_issuer.items():
            if name not in self._workers:
                self._workers[name] = _Worker(self._board, self._install, self._backoff)
            self._workers[name].update(ones)

    def status(self) -> list[dict[str, Any]]:
        """Each certificate: names, issuer, state, times in seconds since the epoch, last error.

        A next attempt of None is one that is under way, or waits for another one of its issuer.
        """
        return [job.status() for worker in self._workers.values() for job in worker.jobs.values()]

    def retry(self, name: str) -> None:
        """Do not wait any longer with the certificates of this host name.

        Raises:
            LookupError: None has it.
        """
        found = [worker for worker in self._workers.values() if worker.retry(name)]
        if not found:
            raise LookupError(f'no certificate is wanted for "{name}"')

    async def stop(self) -> None:
        """End the tasks. An order under way is left to itself: it writes whole files or none."""
        tasks = [worker.cancel() for worker in self._workers.values()]
        self._workers.clear()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Job:
    """One certificate, and what is known of it."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.bundle = wanted.store.read()
        # The data plane has just read the same file.
        self._installed = self.bundle
        self.attempts = wanted.store.read_attempts().plausible(time.time())

    def read_again(self) -> None:
        """Another process may have written, or somebody tidied up."""
        self.bundle = self.wanted.store.read()

    def note_installed(self) -> None:
        self._installed = self.bundle

    def due_s(self) -> float:
        """When the next attempt is due."""
        is_installed = self.bundle == self._installed
        certificate_s = due_s(self.bundle, self.wanted) if is_installed else 0.0
        return max(certificate_s, self.attempts.not_before_s)

    async def set_attempts(self, attempts: Attempts) -> None:
        """Here it holds, whatever becomes of the file."""
        self.attempts = attempts
        store = self.wanted.store
        try:
            # A busy disk takes seconds to be sure.
            await _in_daemon_thread(lambda: store.write_attempts(attempts))
        except OSError as error:
            log.warning("cannot keep the outcome of an attempt: %s", error)

    def fields(self) -> dict[str, Any]:
        """For log lines."""
        return {"names": sorted(self.wanted.names), "issuer": self.wanted.issuer_name}

    def serving(self) -> str:
        """What clients get at the moment."""
        bundle = self._installed
        if bundle is None or bundle.is_self_signed:
            return "a self-signed stand-in"
        verb = "valid until" if bundle.not_after_s > time.time() else "expired since"
        return f"the old certificate, {verb} {_text(bundle.not_after_s)}"

    def status(self) -> dict[str, Any]:
        key_type = self.wanted.issuer.key_type
        good = self.bundle is not None and self.bundle.is_good_for(self.wanted.names, key_type)
        return {
            **self.fields(),
            "file": str(self.wanted.store.path),
            "state": "issued" if good else "stand_in",
            "not_before": self.bundle and self.bundle.not_before_s,
            "not_after": self.bundle and self.bundle.not_after_s,
            "next_attempt": self.due_s() or None,
            "failures": self.attempts.failures,
            "last_error": self.attempts.last_error,
        }


class _Worker:
    """The task of one issuer."""

    def __init__(self, board: AnswerBoard, install: Install, backoff: Backoff) -> None:
        self.jobs: dict[Path, _Job] = {}
        self._board = board
        self._install = install
        self._backoff = backoff
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def update(self, wanted: list[Wanted]) -> None:
        known = self.jobs
        self.jobs = {one.store.path: known.get(one.store.path) or _Job(one) for one in wanted}
        for one in wanted:
            # The issuer's settings may be others than before.
            self.jobs[one.store.path].wanted = one
        self._changed.set()

    def retry(self, name: str) -> bool:
        found = [job for job in self.jobs.values() if name in job.wanted.names]
        for job in found:
            job.attempts = replace(job.attempts, not_before_s=0.0)
        self._changed.set()
        return bool(found)

    def cancel(self) -> asyncio.Task[None]:
        self._task.cancel()
        return self._task

    async def _run(self) -> None:
        while True:
            job = min(self.jobs.values(), key=_Job.due_s, default=None)
            wait_s = _LONGEST_WAIT_S if job is None else job.due_s() - time.time()
            if job is None or wait_s > 0:
                await self._wait(min(wait_s, _LONGEST_WAIT_S))
                for each in self.jobs.values():
                    each.read_again()
            else:
                await self._attempt(job)

    async def _wait(self, wait_s: float) -> None:
        # Not `asyncio.wait_for`, which in Python 3.11 swallows a cancellation that comes with the
        # event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
        self._changed.clear()

    async def _attempt(self, job: _Job) -> None:
        log.info("ordering a certificate", extra=job.fields())
        wanted, attempts = job.wanted, job.attempts
        try:
            challenge = await _in_daemon_thread(lambda: attempt(wanted, attempts, self._board))
            job.read_again()
            await self._install()
        except AttemptError as error:
            await self._failed(job, str(error), error.retry_after_s)
        except Exception as error:
            # Whatever it was, it must not end the care for the other certificates.
            log.debug("attempt failed", exc_info=True)
            await self._failed(job, f"{type(error).__name__}: {error}", None)
        else:
            await self._succeeded(job, challenge)

    async def _succeeded(self, job: _Job, challenge: ChallengeType | None) -> None:
        job.note_installed()
        await job.set_attempts(job.attempts.succeeded(challenge))
        until = _text(job.bundle.not_after_s) if job.bundle else "unknown"
        proof = {"challenge": challenge} if challenge else {}
        log.info("certificate installed", extra={**job.fields(), "not_after": until, **proof})

    async def _failed(self, job: _Job, error: str, retry_after_s: float | None) -> None:
        failures = job.attempts.failures + 1
        jitter = random.random()
        at_s = next_attempt_s(time.time(), failures, retry_after_s, self._backoff, jitter)
        log.error(
            "no new certificate: %s",
            error,
            extra={
                **job.fields(),
                "failures": failures,
                "next_attempt": _text(at_s),
                "serving": job.serving(),
            },
        )
        await job.set_attempts(job.attempts.failed(error, at_s))


def _text(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds")


async def _in_daemon_thread(function: Callable[[], Result]) -> Result:
    """Run it in a thread that does not hold up the end of the process, as the loop's own would."""
    outcome: Future[Result] = Future()
    outcome.set_running_or_notify_cancel()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="acme", daemon=True).start()
    return await asyncio.wrap_future(outcome)
