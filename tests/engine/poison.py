"""Handlers for pools of processes: the well-behaved, and those that try to take something down with them.

They stand in a module of their own because worker processes import them.
"""

from __future__ import annotations

import asyncio
import collections
import ctypes
import dataclasses
import itertools
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

import gqm

if "GQM_TEST_SLOW_IMPORT_S" in os.environ:
    time.sleep(float(os.environ["GQM_TEST_SLOW_IMPORT_S"]))

log = logging.getLogger("app.poison")


def echo(job: gqm.Job) -> object:
    return job.payload.get("value")


async def aecho(job: gqm.Job) -> object:
    await asyncio.sleep(0)
    return job.payload.get("value")


def pid(job: gqm.Job) -> int:
    return os.getpid()


async def apid(job: gqm.Job) -> int:
    return os.getpid()


def facts(job: gqm.Job) -> dict[str, object]:
    running = gqm.current_job.get()
    return {
        "id": job.id,
        "queue": job.queue,
        "attempt": job.attempt,
        "status": job.status,
        "worker": job.worker_id,
        "same": running is job,
    }


def huge_result(job: gqm.Job) -> str:
    return "x" * 1_100_000


def odd_result(job: gqm.Job) -> object:
    return object()


def coroutine_result(job: gqm.Job) -> object:
    return asyncio.sleep(0)


# ------------------------------------------------------------------------------------- exceptions


class Plain(Exception):
    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class NeedsTwo(Exception):
    """Comes back from a pickle with a ``TypeError``."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    reason: str


class Sealed(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name} cannot be set")


class Broken(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def raises(job: gqm.Job) -> None:
    class Local(Exception):
        """Cannot be found by a pickle."""

    errors: dict[object, BaseException] = {
        "plain": Plain("oops", 7),
        "two": NeedsTwo("a", "b"),
        "frozen": Frozen("cold"),
        "sealed": Sealed("tight"),
        "broken": Broken(),
        "local": Local("here"),
        "exit": SystemExit(3),
        "interrupt": KeyboardInterrupt(),
        "stop": StopIteration("end"),
        "generator": GeneratorExit(),
        "cancelled": asyncio.CancelledError("by myself"),
        "timeout": TimeoutError("mine"),
        "memory": MemoryError(),
        "large": Plain("x" * 3_000_000),
    }
    raise errors[job.payload["what"]]


async def araises(job: gqm.Job) -> None:
    raises(job)


def skips(job: gqm.Job) -> None:
    try:
        raise gqm.SkipRetry("the address does not exist")
    except gqm.SkipRetry as exc:
        raise ValueError("cannot be sent") from exc


def skips_plainly(job: gqm.Job) -> None:
    raise gqm.SkipRetry("no use")


def retries(job: gqm.Job) -> None:
    raise gqm.Retry(120, count=bool(job.payload.get("count", True)), reason="come again")


def bad_payload(job: gqm.Job) -> None:
    class Mail(msgspec.Struct):
        to: str

    job.decode(Mail)


# ----------------------------------------------------------------------------------------- deaths


def segfault(job: gqm.Job) -> None:
    ctypes.string_at(0)


def exit7(job: gqm.Job) -> None:
    sys.stderr.write("last words\n")
    os._exit(7)


def killed(job: gqm.Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hog(job: gqm.Job) -> None:
    """Take 2 GB; a limit on the address space stands in for a machine without that much."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, before[1]))
    try:
        bytearray(2_000_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def fat(job: gqm.Job) -> None:
    block = bytearray(300_000_000)
    os._exit(len(block) % 7 + 1)


# ------------------------------------------------------------------------------------------ hangs


def endless_python(job: gqm.Job) -> None:
    while True:
        job.payload.get("x")


def dies_late(job: gqm.Job) -> None:
    while not job.cancelled:
        time.sleep(0.01)
    os._exit(7)


def endless_c(job: gqm.Job) -> None:
    collections.deque(itertools.repeat(None), maxlen=0)


async def ignores_cancel(job: gqm.Job) -> None:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            log.debug("not me")


def ignores_signals(job: gqm.Job) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(60)


def polite(job: gqm.Job) -> str:
    mark(job, "running")
    while not job.cancelled:
        time.sleep(0.01)
    return "stopped"


async def asleep(job: gqm.Job) -> None:
    mark(job, "running")
    await asyncio.sleep(60)


def sleeps(job: gqm.Job) -> str:
    mark(job, "running")
    time.sleep(float(str(job.payload.get("s", 60))))
    return "slept"


async def blocks(job: gqm.Job) -> None:
    """Block the event loop; nothing but the end of its process ends this."""
    mark(job, "running")
    endless_c(job)


def reports(job: gqm.Job) -> None:
    for step in range(1, 51):
        job.progress(step, 50, f"step {step}")
    while not job.cancelled:
        time.sleep(0.01)


def logs(job: gqm.Job) -> None:
    log.debug("too fine")
    log.info("hello %s", job.payload["name"], extra={"mail": 5, "thing": object()})
    try:
        raise ValueError("logged, not raised")
    except ValueError:
        log.exception("something went wrong")


# ------------------------------------------------------------------------------ stderr, descendants


def ugly_stderr(job: gqm.Job) -> None:
    sys.stderr.write("\x1b[2Jred\x07 \x9b31m\u202egnp.exe\rlf\ttab ünï\n")
    sys.stderr.buffer.write(b"\xff\xfe\n")
    sys.stderr.flush()
    os._exit(1)


def noisy_stderr(job: gqm.Job) -> None:
    for number in range(5000):
        sys.stderr.write(f"line {number}\n")


def has_a_child(job: gqm.Job) -> None:
    """Start a program that would run for an hour, then hang or die."""
    child = subprocess.Popen(["sleep", "3600"])
    mark(job, str(child.pid))
    if job.payload.get("die"):
        os._exit(7)
    endless_python(job)


def leaves_a_fork(job: gqm.Job) -> None:
    """Fork a process that leaves the group and keeps everything open, then hang."""
    # The one of the C library calls none of Python's hooks.
    child = ctypes.PyDLL(None).fork() if job.payload.get("how") == "c" else os.fork()
    if child == 0:
        os.setsid()
        time.sleep(20)
        os._exit(0)
    mark(job, str(child))
    if job.payload.get("die"):
        os._exit(7)
    endless_python(job)


def mark(job: gqm.Job, text: str) -> None:
    """Tell the test that the handler has come so far."""
    if "mark" in job.payload:
        path = Path(str(job.payload["mark"]))
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)


ALL = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and not isinstance(value, type)
}
del ALL["mark"]
