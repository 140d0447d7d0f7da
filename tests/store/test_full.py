"""A Redis without memory for more: jobs are refused, and what frees memory goes on."""

from __future__ import annotations

import collections
import itertools

import pytest
import redis

import gqm
from tests.engine.running import running
from tests.support.servers import ServerFactory
from tests.support.wait import eventually


def test_a_server_can_start_and_drain_a_redis_that_is_full(start_server: ServerFactory) -> None:
    address = f"unix:{start_server('--maxmemory', '6mb', '--appendonly', 'no').socket}"
    with gqm.Client(address) as client:
        jobs = itertools.repeat(("t", {"x": "y" * 1000}), 20_000)
        with pytest.raises(gqm.RedisUnavailable, match=r"used memory > 'maxmemory'\.?$"):
            collections.deque(client.enqueue_many(jobs), maxlen=0)
        server = gqm.Server(address, result_ttl=0)
        server.handle("t", lambda job: None)
        server.schedule("nightly", "@daily", "t")  # not known there yet
        with running(server), redis.Redis(unix_socket_path=address.removeprefix("unix:")) as raw:
            eventually(lambda: not raw.llen("gqm:queue:default:ready"), 30)
            assert raw.hget("gqm:settings", "result_ttl") == b"0"
            assert raw.hexists("gqm:cron:entries", "nightly")
            client.enqueue("t")
