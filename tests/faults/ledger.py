"""The ledger of a fault test: acknowledgements, effects and key space must agree, whatever was broken.

I1 each acknowledged job ends as its script demands, none is missing, none is extra
I2 a terminal state never changes by itself
I3 each success had an effect; extra effects are no more than the jobs in flight at the faults
I4 nobody but the last holder of a job has written its outcome
I5 no child ran before its parents, none waits at the end
I6 each slot of a cron entry fired exactly once
I7 a unique id was accepted once
I8 accepted + requeued = processed + dead + canceled + deleted + live
I9 at the end there is no key that should not be, and none without an expiry that should have one
I10 a process holds no more memory, threads and descriptors than before (`Footprint`)
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

import gqm
from gqm.admin.ledger import examine
from gqm.keys import Keys
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.faults import mix
from tests.faults.fleet import Fleet
from tests.faults.rows import Counts
from tests.support.keyspace import Keyspace
from tests.support.wait import eventually

__all__ = ["Footprint", "Ledger", "Run"]

TERMINAL = ("completed", "dead_letter", "canceled")
LASTING = re.compile(
    r"queues|settings|servers|workers|audit|dag:roots|cron:(entries|meta|slots|history:.+|current:.+|active:.+)"
    r"|queue:.+:(completed|dead_letter|canceled)|stats:.+:(ledger|processed_total|failed_total)"
)
"""Keys that a key space keeps for good; in the queues' sets stand only jobs that are retained."""
RSS_GROWTH_BYTES = 20 << 20


@dataclass
class Run:
    """The starts and ends of a job's handler."""

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    cancels: list[float] = field(default_factory=list)


class Ledger:
    """Holds a key space against what producers and handlers wrote down."""

    def __init__(self, socket: str, fleet: Fleet) -> None:
        """``socket`` leads to the Redis itself, also where the fleet goes through a proxy."""
        self._fleet = fleet
        self.raw: Any = redis.Redis(unix_socket_path=socket, protocol=2)
        self.keys = Keys(fleet.prefix)
        self.store = Store(plain_link(self.keys, "the test server", {"unix_socket_path": socket}))
        self.space = Keyspace(self.store, self.raw)
        self.faults = 0
        self.bound = 0
        """Jobs that were in flight at the faults so far."""
        self.burned = 0
        """Retries beyond those that scripts demand, as `check` found them."""
        self._ended: dict[str, set[bytes]] = {name: set() for name in TERMINAL}

    def close(self) -> None:
        """Close the connections."""
        self.raw.close()
        self.store.close()

    # -- during the faults

    def hit(self, server_id: str) -> int:
        """Count a fault of a server that has just been killed or frozen, and the jobs that it holds."""
        held = int(self.raw.hlen(self.keys.claims(server_id)))
        self.faults += 1
        self.bound += held
        return held

    def hit_all(self) -> int:
        """Count a fault that meets everybody, and all jobs in processing."""
        held = int(self.raw.zcard(self.keys.processing(mix.QUEUE)))
        self.faults += 1
        self.bound += held
        return held

    def observe(self) -> None:
        """I2: what has ended before has still ended in the same way."""
        for name, before in self._ended.items():
            now = set(self.raw.zrange(self.keys.prefix + f"queue:{mix.QUEUE}:{name}", 0, -1))
            assert before <= now, f"I2: no longer {name}: {sorted(before - now)[:10]}"
            self._ended[name] = now

    def live(self) -> int:
        """Jobs that have not ended."""
        with self.raw.pipeline(transaction=False) as pipe:
            pipe.llen(self.keys.ready(mix.QUEUE))
            pipe.zcard(self.keys.processing(mix.QUEUE))
            pipe.zcard(self.keys.scheduled)
            pipe.scard(self.keys.deferred)
            return sum(pipe.execute())

    def wait_drained(self, timeout: float = 60.0) -> None:
        """Wait until all jobs have ended."""
        eventually(lambda: not self.live(), timeout, 0.02, lambda: f"all ended; left: {self._left()}")

    def _left(self) -> dict[str, int]:
        names = [self.keys.ready(mix.QUEUE), self.keys.processing(mix.QUEUE), self.keys.scheduled]
        sizes = {name: self.raw.zcard(name) for name in names[1:]}
        return {
            **sizes,
            names[0]: self.raw.llen(names[0]),
            self.keys.deferred: self.raw.scard(self.keys.deferred),
        }

    def finish_cron(self) -> None:
        """End all members, and let a worker that knows no cron entry run what cron has left."""
        self._fleet.stop()
        worker = self._fleet.worker()
        self.wait_drained()
        worker.terminate()
        assert worker.wait() == 0, worker.log()

    # -- at the end

    def asked(self) -> dict[str, dict[str, list[float]]]:
        """Return what producers wrote down: job id → sign → times."""
        lines: dict[str, dict[str, list[float]]] = {}
        for line in self._fleet.acks.read_text().splitlines():
            sign, job_id, time_s = line.split()[:3]
            lines.setdefault(job_id, defaultdict(list))[sign].append(float(time_s))
        return lines

    def runs(self) -> dict[str, Run]:
        """Return what handlers wrote down."""
        runs: dict[str, Run] = defaultdict(Run)
        for line in self._fleet.effects.read_text().splitlines():
            what, job_id, _, _, time_s = line.split()
            if what == "start":
                runs[job_id].starts.append(float(time_s))
            elif what == "end":
                runs[job_id].ends.append(float(time_s))
            elif what == "cancel":
                runs[job_id].cancels.append(float(time_s))
        return runs

    def check(self, row: str, *, note: str = "", may_lose: tuple[tuple[float, float], ...] = ()) -> Counts:
        """Check I1 to I5 and I7 to I9 of a key space that is drained and has no server any more.

        ``may_lose``: what was acknowledged in these spans of time may be gone, as whole jobs.
        """
        self.observe()
        asked, runs = self.asked(), self.runs()
        jobs = self._read()
        lost = [
            job_id for job_id, signs in asked.items() if ("+" in signs or "=" in signs) and job_id not in jobs
        ]
        excused = [job_id for job_id in lost if _within(asked[job_id].get("+", []), may_lose)]
        own = [job_id for job_id, signs in asked.items() if _first_answer(signs) == "="]
        assert not own, f"I7: refused as there already by their own first call: {own[:10]}"
        unasked = [job_id for job_id in jobs.keys() - asked.keys() if not jobs[job_id]["cron_id"]]
        assert not unasked, f"I1: nobody asked for {sorted(unasked)[:10]}"
        for job_id, job in jobs.items():
            self._check_job(job_id, job, runs.get(job_id, Run()))
            accepted = asked.get(job_id, {}).get("+", [])
            assert len(accepted) <= 1 or may_lose, f"I7: {job_id} was accepted twice"
        self.burned = sum(_burned(job_id, job) for job_id, job in jobs.items())
        self._check_family(jobs, runs)
        self.check_space()
        extra = sum(
            max(0, len(run.starts) - mix.KINDS[mix.kind_of(job_id)].runs) for job_id, run in runs.items()
        )
        if excused:
            note = f"{note}; {len(excused)} lost of the last second before Redis died".removeprefix("; ")
        return Counts(row, self.faults, len(asked), len(lost) - len(excused), extra, self.bound, note)

    def started(self, job_id: str) -> bool:
        """Whether a job's handler has started."""
        return bool(self.runs()[job_id].starts)

    def latencies_s(self) -> list[float]:
        """Return how long plain jobs waited from their producer's call to their start, sorted."""
        runs = self.runs()
        return sorted(
            min(runs[job_id].starts) - signs["?"][0]
            for job_id, signs in self.asked().items()
            if mix.kind_of(job_id) == "plain" and runs[job_id].starts
        )

    def longest_answer_s(self) -> float:
        """Return the longest time that a producer waited for an answer or an error."""
        longest_s = 0.0
        for signs in self.asked().values():
            answers = sorted(at for sign, times in signs.items() if sign != "?" for at in times)
            # A producer asks one thing at a time; one that was killed has no answer to its last question.
            for asked, answered in zip(sorted(signs["?"]), answers, strict=False):
                longest_s = max(longest_s, answered - asked)
        return longest_s

    def starts_after(self, jobs: list[str], since_s: float) -> dict[str, float]:
        """Return how long after a time jobs started; those that did not are left out."""
        runs = self.runs()
        later = {job_id: [at for at in runs[job_id].starts if at > since_s] for job_id in jobs}
        return {job_id: min(starts) - since_s for job_id, starts in later.items() if starts}

    def held_by(self, server_id: str) -> list[str]:
        """Return the jobs that a server holds."""
        return [job_id.decode() for job_id in self.raw.hkeys(self.keys.claims(server_id))]

    def _read(self) -> dict[str, dict[str, str]]:
        names = ("status", "result", "attempt", "scheduled_at", "retry_count", "error", "cron_id")
        ids = [
            key.decode().removeprefix(self.keys.job(""))
            for key in self.raw.scan_iter(self.keys.job("*"), count=1000)
        ]
        ids = [job_id for job_id in ids if ":" not in job_id]
        jobs: dict[str, dict[str, str]] = {}
        for start in range(0, len(ids), 1000):
            with self.raw.pipeline(transaction=False) as pipe:
                for job_id in ids[start : start + 1000]:
                    pipe.hmget(self.keys.job(job_id), names)
                for job_id, values in zip(ids[start : start + 1000], pipe.execute(), strict=True):
                    jobs[job_id] = {
                        name: (value or b"").decode() for name, value in zip(names, values, strict=True)
                    }
        return jobs

    @staticmethod
    def _check_job(job_id: str, job: dict[str, str], run: Run) -> None:
        demanded = mix.KINDS[mix.kind_of(job_id)]
        assert job["status"] == demanded.status, f"I1: {job_id} is {job}"
        assert run.starts, f"I3: {job_id} is {job['status']} and never ran"
        if demanded.status is gqm.Status.COMPLETED:
            assert run.ends, f"I3: {job_id} is completed without effect"
            assert job["result"] == job["attempt"], f"I4: an older run of {job_id} wrote its end: {job}"
        if job["scheduled_at"]:
            assert min(run.starts) >= int(job["scheduled_at"]), f"{job_id} ran before it was due"

    @staticmethod
    def _check_family(jobs: dict[str, dict[str, str]], runs: dict[str, Run]) -> None:
        for job_id in jobs:
            name, _, part = job_id.rpartition("-")
            for of in {"b": "a", "c": "a", "d": "bc"}.get(part, "") if mix.kind_of(job_id) == "dag" else "":
                ends = runs[f"{name}-{of}"].ends
                assert ends, f"I5: {job_id} ran without its parent {of}"
                assert min(ends) <= min(runs[job_id].starts), f"I5: {job_id} ran before its parent {of}"

    def check_space(self) -> None:
        """I8, I9, and whatever else `gqm doctor --ledger` would find."""
        self.space.assert_sound()
        census = examine(self.store, settle_s=0)
        assert not census.findings, census.findings[:10]
        self._check_keys()

    def _check_keys(self) -> None:
        """I9: only keys that last for good have no expiry."""
        names = list(self.raw.scan_iter(self.keys.prefix + "*", count=1000))
        for start in range(0, len(names), 1000):
            with self.raw.pipeline(transaction=False) as pipe:
                for name in names[start : start + 1000]:
                    pipe.ttl(name)
                found = zip(names[start : start + 1000], pipe.execute(), strict=True)
            for name, ttl in found:
                short = name.decode().removeprefix(self.keys.prefix)
                assert ttl != -1 or LASTING.fullmatch(short), f"I9: {short} has no expiry: {self._told(name)}"

    def _told(self, name: bytes) -> dict[bytes, bytes]:
        """What a failure shows of a key."""
        return self.raw.hgetall(name) if self.raw.type(name) == b"hash" else {}

    def check_cron(self, entry: str, slots: range) -> int:
        """I6: each of these slots fired once, and no other inside their span; return how many fired."""
        fired: dict[int, list[str]] = defaultdict(list)
        for job_id in self.raw.zrange(self.keys.cron_history(entry), 0, -1):
            slot = self.raw.hget(self.keys.job(job_id.decode()), "cron_slot")
            fired[int(slot)].append(job_id.decode())
        twice = {slot: ids for slot, ids in fired.items() if len(ids) > 1}
        assert not twice, f"I6: fired twice: {twice}"
        assert not (missing := [slot for slot in slots if slot not in fired]), f"I6: never fired: {missing}"
        strange = [slot for slot in fired if slots.start <= slot < slots.stop and slot not in slots]
        assert not strange, f"I6: no slots of {entry}: {strange}"
        return len(fired)


def _burned(job_id: str, job: dict[str, str]) -> int:
    return max(0, int(job["retry_count"] or 0) - (mix.KINDS[mix.kind_of(job_id)].runs - 1))


def _first_answer(signs: dict[str, list[float]]) -> str:
    answers = [(min(times), sign) for sign, times in signs.items() if sign != "?"]
    return min(answers)[1] if answers else ""


def _within(times: list[float], spans: tuple[tuple[float, float], ...]) -> bool:
    return any(begin <= time_s <= end for time_s in times for begin, end in spans)


@dataclass(frozen=True)
class Footprint:
    """I10: what a process holds."""

    rss_bytes: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Footprint:
        """Measure a process."""
        proc = Path(f"/proc/{pid}")
        pages = int((proc / "statm").read_text().split()[1])
        return cls(
            pages * os.sysconf("SC_PAGE_SIZE"),
            len(list((proc / "task").iterdir())),
            len(os.listdir(proc / "fd")),
        )

    def assert_back_from(self, later: Footprint, *, slots: int = 16) -> None:
        """Check what the process holds later against this; a thread for each slot may have come meanwhile."""
        assert later.rss_bytes - self.rss_bytes <= RSS_GROWTH_BYTES, f"I10: {self} grew to {later}"
        assert later.threads - self.threads <= slots, f"I10: {self} grew to {later}"
        assert later.descriptors - self.descriptors <= slots, f"I10: {self} grew to {later}"
