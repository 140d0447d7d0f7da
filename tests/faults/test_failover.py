"""F11: a master that is replaced, and a Redis that refuses, forgets or hangs up for a while."""

from __future__ import annotations

import bisect
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.faults.fleet import Fleet
from tests.faults.ledger import Ledger
from tests.faults.rows import record, sizes
from tests.support.servers import Server, ServerFactory
from tests.support.topology import Watched
from tests.support.wait import eventually, throughout

AGAIN_S = 3.0
"""How soon after the service everything works again."""
ROOM_S = 5.0
"""What a busy machine may add to it."""
UNREPLICATED_S = 1.0
"""What a master acknowledged so shortly before its end may be unknown to its replica."""
SMALL = 5
"""Up to this size faults come quickly."""
LONG_S = 60.0
RATE = 60


@pytest.fixture
def watched(start_server: ServerFactory, tmp_path: Path) -> Iterator[Watched]:
    """A master, its replica and a Sentinel."""
    watched = Watched(start_server, tmp_path)
    yield watched
    watched.close()


def load(fleet: Fleet, seconds: float) -> Any:
    """Two workers, and a producer that goes on until it is told to end."""
    for _ in range(2):
        fleet.worker(wait=False)
    for worker in fleet.members:
        assert worker.server_id
    return fleet.producer("p", rate=RATE, delays_s=(0.2, 1.0) if seconds <= SMALL else (1.0, 5.0))


def works_again_s(ledger: Ledger, since: list[float]) -> float:
    """The longest time from the end of an outage to the next acknowledgement, or the next start of a job."""

    def acknowledged() -> list[float]:
        return sorted(at for signs in ledger.asked().values() for at in signs.get("+", []))

    def started() -> list[float]:
        return sorted(at for run in ledger.runs().values() for at in run.starts)

    longest = 0.0
    for times in (acknowledged, started):
        eventually(lambda times=times: times()[-1] > since[-1], LONG_S, 0.05, "it works again")
        found = times()
        longest = max(longest, *(found[bisect.bisect(found, moment)] - moment for moment in since))
    assert longest <= AGAIN_S + ROOM_S, f"it worked again only after {longest:.1f} s"
    return longest


def finish(fleet: Fleet, producer: Any, ledger: Ledger) -> None:
    """Let the producer go on a little, then all jobs end and everybody leave."""
    asked = len(ledger.asked())
    eventually(lambda: len(ledger.asked()) > asked + RATE // 3, 60, 0.05)
    producer.terminate()
    assert producer.wait() == 0, producer.log()
    ledger.wait_drained(120)
    fleet.stop()


@sizes("F11")
def test_f11_fail_over_by_sentinel(watched: Watched, size: int) -> None:
    times = 1 if size <= SMALL else max(2, size // 20)
    known = {"sentinels": [f"127.0.0.1:{watched.port}"], "master": "main"}
    lost, promoted, bound = [], [], 0
    with Fleet(None, "gqm:", **known) as fleet:
        producer = load(fleet, size)
        for number in range(times):
            before = len(fleet.acks.read_text())
            eventually(lambda before=before: len(fleet.acks.read_text()) > before + 5000, 60, 0.05)
            ledger = Ledger(watched.master.socket, fleet)
            bound += ledger.hit_all()
            ledger.close()
            lost.append((time.time() - UNREPLICATED_S, time.time() + 0.1))
            watched.master.kill()
            watched.wait_promoted()
            promoted.append(time.time())
            if number + 1 < times:
                watched.follow()
        ledger = Ledger(watched.master.socket, fleet)
        finish(fleet, producer, ledger)
        again = works_again_s(ledger, promoted)
        # Who ended in that second may have to run again: the new master does not know of it.
        ledger.bound = bound + sum(
            begin <= end <= until
            for run in ledger.runs().values()
            for end in run.ends
            for begin, until in lost
        )
        ledger.faults = times
        note = f"Sentinel: works again {again:.1f} s after the promotion"
        record(ledger.check("F11", note=note, may_lose=tuple(lost)))
        ledger.close()


# ------------------------------------------------------------------------------------ one server


class Trouble:
    """One Redis with a fault that lasts for a moment."""

    def __init__(self, server: Server) -> None:
        self.server = server
        # The library would wait for a server that loads.
        self.raw: Any = redis.Redis(unix_socket_path=server.socket, protocol=2, retry=Retry(NoBackoff(), 0))
        with self.raw.pipeline(transaction=False) as line:
            for number in range(BALLAST):
                line.set(f"ballast:{number}", "x")
            line.execute()
        self.seen = 0
        """How often the fault was seen to be there."""

    def readonly(self) -> None:
        """A replica of nobody."""
        self.raw.execute_command("REPLICAOF", "127.0.0.1", "1")
        self._refuses("READONLY", "SET", "probe", "x")
        throughout(lambda: True, 0.2)
        self.raw.execute_command("REPLICAOF", "NO", "ONE")

    def loading(self) -> None:
        """A server that reads its data for a while after its start."""
        # As short a file as there can be: each command in it takes its time.
        self.raw.bgrewriteaof()
        eventually(lambda: not self.raw.info("persistence")["aof_rewrite_in_progress"], LONG_S, 0.05)
        self.server.stop()
        starting = threading.Thread(target=self.server.start)
        starting.start()
        eventually(lambda: self._is_refused("LOADING") or not starting.is_alive(), LONG_S, 0.002)
        starting.join(LONG_S)

    def busy(self) -> None:
        """A script that goes on until it is killed."""
        self.raw.config_set("busy-reply-threshold", 20)
        with redis.Redis(unix_socket_path=self.server.socket, protocol=2) as other:
            working = threading.Thread(target=self._work, args=(other,))
            working.start()
            self._refuses("BUSY")
            throughout(lambda: True, 0.2)
            self.raw.script_kill()
            working.join(LONG_S)

    @staticmethod
    def _work(client: Any) -> None:
        with pytest.raises(redis.ResponseError):
            client.eval("while true do end", 0)

    def noscript(self) -> None:
        """All scripts forgotten, several times in a moment."""
        for _ in range(5):
            self.raw.script_flush()
            self.seen += 1
            throughout(lambda: True, 0.02)

    def client_kill(self) -> None:
        """All connections broken."""
        for kind in ("normal", "pubsub"):
            self.seen += self.raw.client_kill_filter(_type=kind)

    def _refuses(self, word: str, *command: str) -> None:
        eventually(lambda: self._is_refused(word, *command), LONG_S, 0.01, f"the server says {word}")

    def _is_refused(self, word: str, *command: str) -> bool:
        try:
            self.raw.execute_command(*(command or ("PING",)))
        except (redis.ResponseError, redis.ConnectionError) as error:
            # The library has classes of its own for some, and takes the word away from their texts.
            found = word in f"{error} {type(error).__name__.upper()}"
            self.seen += found
            return found
        return False


KINDS: dict[str, Callable[[Trouble], None]] = {
    "READONLY": Trouble.readonly,
    "BUSY": Trouble.busy,
    "NOSCRIPT": Trouble.noscript,
    "CLIENT KILL": Trouble.client_kill,
    "LOADING": Trouble.loading,
}
SLOW = ("CLIENT KILL", "LOADING")
"""A claim whose answer was lost with its connection is run after 10 s."""
LOAD_DELAY_US = 50
"""How long the server waits at each command that it loads, so that others see it load."""
BALLAST = 5000
"""Keys beside ours: a server looks up from loading only now and then."""


@sizes("F11")
def test_f11_a_redis_that_refuses_for_a_while(start_server: ServerFactory, size: int) -> None:
    options = ("--key-load-delay", str(LOAD_DELAY_US), "--loading-process-events-interval-bytes", "1024")
    server = start_server(*options, kind="redis")
    trouble = Trouble(server)
    again = {}
    with Fleet(f"unix:{server.socket}", "gqm:") as fleet:
        producer = load(fleet, size)
        ledger = Ledger(server.socket, fleet)
        for kind, happen in KINDS.items():
            if size <= SMALL and kind in SLOW:
                continue
            ends = []
            times = size if kind != "LOADING" else max(1, size // 10)
            before = trouble.seen
            for _ in range(times):
                throughout(lambda: producer.running, 0.2 if size <= SMALL else 1.0)
                ledger.hit_all()
                happen(trouble)
                ends.append(time.time())
            assert trouble.seen >= before + times, f"{kind} was not seen"
            again[kind] = works_again_s(ledger, ends)
        finish(fleet, producer, ledger)
        note = "works again after at most " + ", ".join(f"{kind} {s:.1f} s" for kind, s in again.items())
        record(ledger.check("F11", note=note))
        ledger.close()
