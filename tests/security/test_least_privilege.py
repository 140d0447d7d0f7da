"""The whole system under a Redis user that may do what the documentation lists, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

import gqm
from gqm.keys import Keys
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.api.support import SIGN_IN, Api, serve
from tests.api.world import world
from tests.engine.running import running
from tests.support.keyspace import SERVER, Keyspace
from tests.support.servers import ServerFactory
from tests.support.states import MAKE
from tests.support.wait import eventually

PASSWORD = "least-privilege"
DOCUMENT = Path(__file__).parents[2] / "docs" / "acl.md"
NEVER = (
    *("KEYS *", "FLUSHALL", "FLUSHDB", "CONFIG GET maxmemory", "DEBUG SLEEP 0", "SHUTDOWN NOSAVE"),
    *("MONITOR", "SCRIPT FLUSH", "ACL LIST", "CLIENT LIST", "MODULE LIST", "REPLICAOF no one"),
)


def documented(prefix: str) -> list[str]:
    """The words of the user in the documentation, for another prefix."""
    found = re.search(r"```\nACL SETUSER gqm (.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found, "docs/acl.md shows a user"
    words = found[1].replace("\\\n", " ").replace(">PASSWORD", f">{PASSWORD}").split()
    return [word.replace("gqm:", prefix) if word[0] in "~&" else word for word in words]


@contextmanager
def least(start_server: ServerFactory, kind: str, prefix: str) -> Iterator[tuple[str, Any]]:
    """A server with that user; yields the user's address, and a client that may do everything."""
    server = start_server(kind=kind)
    with redis.Redis(unix_socket_path=server.socket, protocol=2) as raw:
        raw.execute_command("ACL", "SETUSER", "gqm", *documented(prefix))
        yield server.socket, raw


def denied(raw: Any) -> set[tuple[str, str]]:
    """What was refused to the user, but for the library's way of saying who it is."""
    found = {(entry["reason"], entry["object"].lower()) for entry in raw.acl_log(128)}
    return {(reason, what) for reason, what in found if not what.startswith("client")}


def ask_everything(api: Api) -> None:
    """Call every route that reads, and every one that writes, at least once."""
    for row in api.app.context.router.rows:
        if row.method != "GET" or row.path.endswith("/events"):
            continue
        for name in ("completed", "often", "default"):
            path = row.path.replace("{id}", name).replace("{name}", name).replace("*", "config.json")
            assert api.get(path).status in (200, 302, 400, 404), path
    for path in ("jobs?q=e&sort=type", "jobs?status=failed", "jobs?worker=fast", "cron?outcomes=true"):
        assert api.get(f"/api/v1/{path}").status == 200
    api.log_in("ana")
    for method, path, body in WRITES:
        answer = api.ask(method, f"/api/v1/{path}", user="ana", body=body)
        assert answer.status == 200, (path, str(answer))
    assert api.post("/auth/logout-all", user="ana").status == 200


FILTER = {"filter": {"status": ["ready", "canceled", "dead_letter"]}}
WRITES: tuple[tuple[str, str, object], ...] = (
    ("POST", "jobs", {"type": "a", "job_id": "one"}),
    ("POST", "jobs", {"type": "a", "job_id": "two", "depends_on": ["one"], "unique": True}),
    ("POST", "jobs", {"type": "a", "delay_ms": 60_000, "job_id": "later"}),
    ("POST", "jobs/later/retry", None),
    ("POST", "queues/default/pause", None),
    ("POST", "queues/default/resume", None),
    ("DELETE", "queues/default/empty", None),
    ("POST", "jobs/one/retry", None),
    ("POST", "jobs/one/cancel", None),
    ("DELETE", "jobs/one", None),
    ("POST", "jobs/batch/retry", {**FILTER, "dry_run": True}),
    ("POST", "jobs/batch/retry", {"job_ids": ["retry", "failed"]}),
    ("POST", "jobs/batch/cancel", FILTER),
    ("POST", "queues/busy/dead-letter/retry-all", None),
    ("DELETE", "queues/busy/dead-letter/clear", None),
    ("POST", "jobs/batch/delete", FILTER),
    ("POST", "cron/often/enable", None),
    ("POST", "cron/often/disable", None),
    ("POST", "cron/often/trigger", None),
    ("POST", "jobs/processing/cancel", None),
)


@pytest.mark.security(24)
@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_the_engine_and_the_api_need_no_more(start_server: ServerFactory, prefix: str, kind: str) -> None:
    with least(start_server, kind, prefix) as (socket, raw):
        where = f"unix://gqm:{PASSWORD}@{socket}"
        with world(socket, prefix, where=where, **SIGN_IN, rate_limit=-1) as found:
            ask_everything(found.api)
        assert denied(raw) == set()


@pytest.mark.security(24)
def test_every_state_and_a_dead_server_need_no_more(start_server: ServerFactory, prefix: str) -> None:
    with least(start_server, "redis", prefix) as (socket, raw):
        login = {"unix_socket_path": socket, "username": "gqm", "password": PASSWORD}
        store = Store(plain_link(Keys(prefix), "the test server", login))
        space = Keyspace(store, raw)
        for make in MAKE.values():
            make(space)
        (held,) = space.running(server="dead-1-cccccc")
        space.end_lease("dead-1-cccccc", ago_s=60)
        space.end_lease(SERVER, ago_s=60)
        server = gqm.Server(f"unix://gqm:{PASSWORD}@{socket}", prefix=prefix)
        server.handle("t", lambda job: None)
        with running(server):
            eventually(lambda: space.status(held.id) == "completed", 20)
        store.close()
        assert denied(raw) == set()


@pytest.mark.parametrize("kind", ["redis", "valkey"])
def test_a_user_who_may_do_too_little_is_told_so(start_server: ServerFactory, prefix: str, kind: str) -> None:
    with least(start_server, kind, prefix) as (socket, raw):
        raw.execute_command("ACL", "SETUSER", "gqm", "-lpush")
        with serve(f"unix://gqm:{PASSWORD}@{socket}", prefix, **SIGN_IN, rate_limit=-1) as api:
            with pytest.raises(gqm.RedisSetupError, match="refuses this user"):
                api.client.enqueue("a")
            answer = api.post("/api/v1/jobs", body={"type": "a"})
            assert (answer.status, answer.code) == (503, "REDIS_UNAVAILABLE"), str(answer)
            assert answer.json["error"].startswith("redis refuses: ")


@pytest.mark.security(24)
def test_the_user_can_do_nothing_else(start_server: ServerFactory, prefix: str) -> None:
    with least(start_server, "redis", prefix) as (_, raw):
        for command in (*NEVER, "GET another:key", "PUBLISH another:channel x"):
            said = raw.execute_command("ACL", "DRYRUN", "gqm", *command.split())
            assert b"no permissions" in said, (command, said)
