"""F19: a long backlog, while the API is asked and the terminal UI is open."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import redis

import gqm
from tests.api.support import ADMIN_KEY, KEYS, Api, serve
from tests.cli.helpers import Gqm
from tests.faults.rows import Counts, record, sizes
from tests.support.servers import ServerFactory

PAGE_S = 0.1
SLOW_US = 10_000
SLOW_SHARE = 0.02
SLOW_AT_MOST = 8
"""Commands that a busy machine may have interrupted; one that is slow by itself would be there more often."""
ROUNDS = 5
V1 = "/api/v1"
PAGES = (
    *(
        f"{V1}/stats",
        f"{V1}/queues",
        f"{V1}/queues/default",
        f"{V1}/queues/default/jobs",
        f"{V1}/jobs?limit=100",
    ),
    *(
        f"{V1}/queues/default/jobs?page=40&limit=100",
        f"{V1}/jobs?page=10&limit=100",
        f"{V1}/jobs?status=ready",
    ),
    *(f"{V1}/failed/groups", f"{V1}/workers", f"{V1}/servers", f"{V1}/stats/minutes", f"{V1}/dag/roots"),
)


def ask_all(api: Api) -> dict[str, float]:
    """Ask for all pages some times; return the shortest time of each in seconds."""
    took: dict[str, list[float]] = {path: [] for path in PAGES}
    for path in PAGES * ROUNDS:
        begun = time.perf_counter()
        answer = api.get(path)
        took[path].append(time.perf_counter() - begun)
        assert answer.status == 200, (path, str(answer))
    return {path: min(times) for path, times in took.items()}


@sizes("F19")
def test_f19_a_backlog_slows_neither_pages_nor_redis(
    start_server: ServerFactory, size: int, tmp_path: Path
) -> None:
    socket = start_server("--appendonly", "no", "--slowlog-log-slower-than", str(SLOW_US)).socket
    address = f"unix:{socket}"
    program = Gqm(tmp_path)
    with redis.Redis(unix_socket_path=socket, protocol=2) as raw, gqm.Client(address) as client:
        for chunk in client.enqueue_many(itertools.repeat(("mail.send", {"to": "ana"}), size)):
            assert chunk
        raw.slowlog_reset()
        raw.config_resetstat()
        with serve(address, "gqm:", api_keys=KEYS, rate_limit=-1) as api:
            url = f"http://127.0.0.1:{api.port}"
            screen = program.screen("tui", "--api-url", url, GQM_API_KEY=ADMIN_KEY, TERM="xterm-256color")
            try:
                screen.shows("default", 60)
                slowest = max(ask_all(api).items(), key=lambda item: item[1])
                screen.shows("default", 60)
                assert screen.process.poll() is None
            finally:
                program.close()
        slow: list[Any] = raw.slowlog_get(128)
        stats: Any = raw.info("commandstats")
        calls = sum(stats[name]["calls"] for name in ("cmdstat_evalsha", "cmdstat_eval") if name in stats)
        assert raw.llen("gqm:queue:default:ready") == size
    assert slowest[1] < PAGE_S, slowest
    assert len(slow) <= max(2, SLOW_SHARE * calls), [
        (item["duration"], item["command"][:80]) for item in slow
    ]
    note = f"slowest page {slowest[1] * 1000:.0f} ms, {len(slow)} of {calls} scripts over 10 ms"
    record(Counts("F19", 1, size, note=note))
