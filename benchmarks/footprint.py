"""What GQM takes while it does nothing, for each job that it keeps, over many jobs, and to start."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import gqm
from benchmarks.drain import fill
from benchmarks.harness import Figure, Goal, Server, repeat, server
from benchmarks.workers import Pool, cpu_s, rss_mb, until, worker

STEPS = (20_000, 100_000, 500_000)
IDLE_S = 10.0
KEPT = 10_000
HANDLERS = """
import gqm

@gqm.handler("bench.first")
def first(job: gqm.Job) -> None:
    pass
"""


def memory(runs: int) -> Iterator[Figure]:
    """Run 500,000 jobs in one worker process and look at its memory on the way."""
    with server() as redis:
        figure = Figure("worker RSS after 100,000 jobs", "MB", goal=Goal("P13", 60, 45, higher=False))
        for _ in range(min(runs, 2)):
            figure.add(*_grow(redis))
        yield figure
        # Python's allocator takes whole arenas, so a growth below one or two of them is none.
        for last, goal in ((100_000, Goal("P13", 2.0, 1.0, higher=False)), (500_000, None)):
            growth = [
                big - small
                for big, small in zip(
                    figure.details[f"at {last:,}"], figure.details["at 20,000"], strict=True
                )
            ]
            yield Figure(f"growth of RSS from 20,000 to {last:,} jobs", "MB", growth, goal=goal)


def _reached(redis: Server, jobs: int) -> bool:
    return redis.processed() >= jobs


def _grow(redis: Server) -> tuple[float, Mapping[str, float]]:
    redis.clear()
    at: dict[str, float] = {}
    threads = set()
    with worker(redis, Pool(10)) as hand:
        done = 0
        for step in STEPS:
            while done < step:
                fill(redis, 10_000)
                done += 10_000
                until(partial(_reached, redis, done))
            at[f"at {step:,}"] = rss_mb(hand.pid)
            threads.add(hand.account().threads)
    return at["at 100,000"], {**at, "threads": max(threads)}


# --------------------------------------------------------------------------------------------- idle


def idle(runs: int) -> Iterator[Figure]:
    """Look at a worker process that has nothing to do for 10 s."""
    with server() as redis, worker(redis, Pool(10)) as hand:
        figure = Figure("idle worker, commands", "1/s", goal=Goal("P14", 5, 2, higher=False))
        time.sleep(3)  # what belongs to the start is over
        for _ in range(min(runs, 3)):
            figure.add(*_idle(redis, hand.pid))
        yield figure
        cpu = Goal("P14", 0.5, 0.2, higher=False)
        yield figure.detail("CPU %", "idle worker, CPU of one core", "%", cpu)


def _idle(redis: Server, pid: int) -> tuple[float, Mapping[str, float]]:
    redis.reset()
    cpu, begun = cpu_s(pid), time.perf_counter()
    time.sleep(IDLE_S)
    took = time.perf_counter() - begun
    share = (cpu_s(pid) - cpu) / took
    # What scripts call inside is counted by the server too; a client sends only the script.
    stats = redis.raw.info("commandstats")
    sent = sum(int(row["calls"]) for name, row in stats.items() if name in SENT)
    return sent / took, {"CPU %": share * 100}


SENT = {
    f"cmdstat_{name}"
    for name in ("evalsha", "eval", "blmove", "ping", "subscribe", "client|setinfo", "get", "hgetall", "mget")
}


# ------------------------------------------------------------------------------------ retained jobs


def retained(runs: int) -> Iterator[Figure]:
    """Measure what 10,000 completed jobs take in Redis: their hashes and their place in the set."""
    with server() as redis:
        goal = Goal("P15", 1.3, 1.0, higher=False)
        yield repeat(
            Figure("memory of a completed job", "KB", goal=goal), min(runs, 2), partial(_keep, redis)
        )


def _keep(redis: Server) -> tuple[float, Mapping[str, float]]:
    redis.clear()
    used = int(redis.raw.info("memory")["used_memory"])
    with worker(redis, Pool(10)) as hand:
        fill(redis, KEPT)
        until(lambda: redis.processed() >= KEPT)
        hand.stop()
    grown = int(redis.raw.info("memory")["used_memory"]) - used
    pipe = redis.raw.pipeline(transaction=False)
    for key in redis.raw.scan_iter(match="gqm:job:*", count=5000):
        pipe.memory_usage(key, samples=0)
    hashes = sum(pipe.execute()) / KEPT
    sets = int(redis.raw.memory_usage("gqm:queue:default:completed", samples=0) or 0) / KEPT
    return (hashes + sets) / 1000, {"hash B": hashes, "set B": sets, "used_memory B": grown / KEPT}


# -------------------------------------------------------------------------------------------- start


def start(runs: int) -> Iterator[Figure]:
    """Measure the import, the help of the command line, and `gqm run` up to its first job."""
    probe = "import time; t = time.perf_counter(); import gqm; print((time.perf_counter() - t) * 1000)"
    goal = Goal("P16", 60, 30, higher=False)
    yield repeat(Figure("import gqm", "ms", goal=goal), runs, lambda: (float(_output("-c", probe)), {}))
    goal = Goal("P16", 250, 125, higher=False)
    yield repeat(Figure("gqm --help", "ms", goal=goal), runs, partial(_timed, "-m", "gqm_cli", "--help"))
    with server() as redis:
        goal = Goal("P16", 700, 350, higher=False)
        yield repeat(Figure("gqm run to the first job", "ms", goal=goal), runs, partial(_first_job, redis))


def _output(*words: str) -> str:
    return subprocess.run([sys.executable, *words], check=True, capture_output=True, text=True).stdout


def _timed(*words: str) -> tuple[float, Mapping[str, float]]:
    begun = time.perf_counter()
    _output(*words)
    return (time.perf_counter() - begun) * 1000, {}


def _first_job(redis: Server) -> tuple[float, Mapping[str, float]]:
    redis.clear()
    with tempfile.TemporaryDirectory(prefix="gqm-bench-") as folder:
        Path(folder, "bench_handlers.py").write_text(HANDLERS)
        config = {
            "redis": {"addr": redis.address},
            "app": {"handlers": ["bench_handlers"]},
            "queues": [{"name": "default"}],
            "pools": [{"name": "default", "job_types": ["*"], "queues": ["default"], "concurrency": 4}],
        }
        Path(folder, "gqm.yaml").write_text(json.dumps(config))
        with gqm.Client(redis.address) as client:
            client.enqueue("bench.first")
        return _spawned(redis, [sys.executable, "-m", "gqm_cli", "run", "gqm.yaml"], folder)


def _spawned(redis: Server, command: Sequence[str], folder: str) -> tuple[float, Mapping[str, float]]:
    root = str(Path(__file__).parent.parent)
    begun = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": folder, "PYTHONPATH": f"{root}:{folder}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: redis.processed() > 0, 30)
        return (time.perf_counter() - begun) * 1000, {}
    finally:
        process.terminate()
        process.wait()
