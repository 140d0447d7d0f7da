"""Faults of earlier designs, each shown not to be there; those that other tests show are marked in them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import redis

import gqm
from gqm.monitor import pipeline, problems
from gqm.store.commands.settle import Completion, complete
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.api.support import SIGN_IN, Api, serve
from tests.api.world import World, world
from tests.engine.running import running
from tests.engine.workers import Worker
from tests.support.keyspace import SERVER, Keyspace
from tests.support.servers import ServerFactory
from tests.support.wait import eventually

V1 = "/api/v1"


@pytest.fixture
def raw(redis_socket: str) -> Iterator[Any]:
    with redis.Redis(unix_socket_path=redis_socket, protocol=2) as client:
        yield client


@pytest.fixture
def space(api: Api, redis_socket: str, raw: Any) -> Iterator[Keyspace]:
    """The key space of the API, to put it into states that only workers make."""
    keys = api.app.context.backend.keys
    store = Store(plain_link(keys, "the test server", {"unix_socket_path": redis_socket}))
    yield Keyspace(store, raw)
    store.close()


def writes(api: Api) -> list[tuple[str, str]]:
    """Method and path of everything that changes something."""
    rows = [row for row in api.app.context.router.rows if row.method != "GET"]
    return [(row.method, row.path.replace("{id}", "one").replace("{name}", "default")) for row in rows]


# ------------------------------------------------------------------------------- who gets in


@pytest.mark.fault(6)
@pytest.mark.security(2)
def test_no_write_of_a_session_goes_without_the_header(api: Api) -> None:
    api.client.enqueue("a", job_id="one")
    api.log_in("ana")
    asked = 0
    for method, path in writes(api):
        if path != "/auth/login":
            answer = api.ask(method, path, user="ana", headers={"X-GQM-CSRF": ""})
            assert (answer.status, answer.code) == (403, "CSRF_REQUIRED"), path
            asked += 1
    assert asked == 18
    assert api.get("/auth/me", user="ana").status == 200, "not even signed out"
    assert api.get(f"{V1}/jobs/one").data["status"] == "ready"


@pytest.mark.fault(9)
@pytest.mark.security(21)
def test_every_write_makes_exactly_one_audit_entry(redis_socket: str, prefix: str) -> None:
    ids = {"job.retry": "canceled", "job.cancel": "scheduled", "job.delete": "stopped", "cron.delete": "gone"}
    bodies: dict[str, Any] = {f"batch.{name}": FAILED_ONE for name in ("retry", "cancel", "delete")}
    bodies |= {"job.enqueue": {"type": "a"}, "auth.logout_all": {"username": "vic"}}
    bodies["auth.login"] = {"username": "vic", "password": "correct horse"}
    with world(redis_socket, prefix, **SIGN_IN, rate_limit=-1) as found:
        api = found.api
        api.log_in("ana")
        _orphan(found)
        rows = [row for row in api.app.context.router.rows if row.method != "GET"]
        for row in sorted(rows, key=lambda row: row.path == "/auth/logout"):
            path = row.path.replace("{name}", "busy").replace("{id}", ids.get(row.action, "often"))
            answer = api.ask(row.method, path, user="ana", body=bodies.get(row.action))
            assert answer.status == 200, (path, str(answer))
            entries = api.get(f"{V1}/audit?limit=100").data
            mine = [item for item in entries if item["request_id"] == answer.headers["X-Request-ID"]]
            assert [(item["action"], item["ok"]) for item in mine] == [(row.action, True)], path
        assert len(rows) == 19


FAILED_ONE = {"job_ids": ["failed"]}


def _orphan(found: World) -> None:
    """An entry that is in no server's configuration any more."""
    for table in (found.keys.cron_entries, found.keys.cron_meta):
        found.raw.hset(table, "gone", found.raw.hget(table, "often").replace(b"often", b"gone"))


@pytest.mark.fault(11)
def test_static_files_do_not_use_up_what_the_api_may_answer(redis_socket: str, prefix: str) -> None:
    with serve(f"unix:{redis_socket}", prefix, **SIGN_IN, dashboard=True) as api:
        answers = [api.get("/dashboard/config.json", key=None) for _ in range(300)]
        assert api.get(f"{V1}/queues").status == 200
        for answer in answers:
            assert answer.status == 200 or int(answer.headers["Retry-After"]) >= 1


@pytest.mark.fault(13)
def test_what_never_reaches_a_route_is_refused_in_json_too(api: Api) -> None:
    big = b"x" * 1_048_577
    for method, path, status in (
        ("GET", "/", 302),
        ("GET", "/none", 404),
        ("GET", "/api/v2/queues", 404),
        ("BREW", f"{V1}/queues", 405),
        ("GET", f"{V1}/" + "x" * 9000, 414),
    ):
        answer = api.ask(method, path)
        assert answer.status == status, path
        if status >= 400:
            assert set(answer.json) == {"error", "code"}
    for method, path in writes(api):
        answer = api.ask(method, path, raw=big)
        assert (answer.status, answer.code) == (413, "PAYLOAD_TOO_LARGE"), path


@pytest.mark.fault(23)
def test_codes_stay_when_all_texts_are_replaced(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (
        ("GET", f"{V1}/jobs/none", None),
        ("GET", f"{V1}/queues/none", None),
        ("POST", f"{V1}/cron/none/trigger", None),
        ("POST", f"{V1}/jobs/one/retry", None),
        ("GET", f"{V1}/jobs?limit=0", None),
        ("GET", f"{V1}/jobs?since=never", None),
        ("POST", f"{V1}/jobs", {"type": ""}),
        ("POST", f"{V1}/jobs", {"type": "a", "job_id": "one"}),
        ("POST", f"{V1}/jobs", {"type": "a", "depends_on": ["none"]}),
        ("POST", f"{V1}/jobs", {"type": "a", "job_id": "me", "depends_on": ["me"]}),
        ("POST", f"{V1}/jobs/batch/retry", {"job_ids": ["a:b"]}),
        ("PUT", f"{V1}/jobs", None),
    )
    api.client.enqueue("a", job_id="one")

    def codes() -> list[tuple[int, str]]:
        answers = [api.ask(method, path, body=body) for method, path, body in asked]
        return [(answer.status, answer.code) for answer in answers]

    before = codes()
    assert len(set(before)) >= 6
    real = problems.problem_of

    def without_text(exc: Exception) -> problems.Problem | None:
        exc.args = ("other words",)
        return real(exc)

    monkeypatch.setattr(pipeline, "problem_of", without_text)
    assert codes() == before


# ------------------------------------------------------------------------------ what it shows


@pytest.mark.fault(20)
def test_waiting_jobs_can_be_canceled_or_run_now_and_ended_ones_again(redis_socket: str, prefix: str) -> None:
    with world(redis_socket, prefix, **SIGN_IN, rate_limit=-1) as found:
        api = found.api
        assert api.post(f"{V1}/jobs/retry/cancel").data["was"] == "retry"
        assert api.post(f"{V1}/jobs/retry/retry").data["status"] == "ready"
        for job_id in ("failed", "canceled", "stopped", "scheduled"):
            assert api.post(f"{V1}/jobs/{job_id}/retry").data["status"] == "ready"
            job = api.get(f"{V1}/jobs/{job_id}").data
            assert (job["status"], job["retry_count"], job.get("error")) == ("ready", 0, None)
            assert "expires_at" not in job


@pytest.mark.fault(21)
def test_edges_join_shown_nodes_however_the_graph_is_cut(api: Api) -> None:
    api.client.enqueue("a", job_id="root")
    for number in range(12):
        api.client.enqueue("a", job_id=f"mid-{number}", depends_on=["root"])
        api.client.enqueue("a", job_id=f"leaf-{number}", depends_on=[f"mid-{number}", "root"])
    for asked in ("root?max_nodes=1", "root?max_nodes=7", "mid-3?depth=1", "leaf-5?max_nodes=500"):
        job_id, _, query = asked.partition("?")
        graph = api.get(f"{V1}/dag/{job_id}/graph?{query}").data
        shown = {node["id"] for node in graph["nodes"]}
        assert graph["root_id"] == job_id
        assert all(edge["source"] in shown and edge["target"] in shown for edge in graph["edges"])
        assert len({(edge["source"], edge["target"]) for edge in graph["edges"]}) == len(graph["edges"])
        assert graph["truncated"] is (len(shown) < 25)
        assert (graph["hidden"] > 0) is graph["truncated"]
    assert api.get(f"{V1}/dag/none/graph").status == 404


@pytest.mark.fault(22)
def test_an_unknown_queue_is_not_found_on_every_route(api: Api) -> None:
    rows = [row for row in api.app.context.router.rows if row.names == "queue"]
    assert len(rows) == 8
    for row in rows:
        answer = api.ask(row.method, row.path.replace("{name}", "none"))
        assert (answer.status, answer.code) == (404, "NOT_FOUND"), row.path


@pytest.mark.fault(26)
def test_a_killed_server_is_stale_first_and_gone_later(redis_socket: str, prefix: str) -> None:
    with serve(f"unix:{redis_socket}", prefix, **SIGN_IN, rate_limit=-1) as api:
        workers = [Worker(redis_socket, prefix, "tests.engine.jobs", {}) for _ in range(2)]
        try:
            eventually(lambda: api.get(f"{V1}/stats").data["servers"] == 2, 15)
            slots = api.get(f"{V1}/stats").data["slots"]
            workers[0].kill()
            begun = time.monotonic()
            eventually(lambda: api.get(f"{V1}/stats").data["servers"] == 1, 14, interval=0.1)
            assert time.monotonic() - begun < 12
            sums = api.get(f"{V1}/stats").data
            assert (sums["workers"], sums["slots"]) == (1, slots // 2)
            states = {item["id"]: item["status"] for item in api.get(f"{V1}/servers").data}
            assert states == {workers[0].server_id: "stale", workers[1].server_id: "active"}
            assert {item["status"] for item in api.get(f"{V1}/workers").data} == {"stale", "active"}
        finally:
            for worker in workers:
                worker.close()


@pytest.mark.fault(27)
def test_one_pool_name_on_two_servers_is_two_workers(redis_socket: str, prefix: str) -> None:
    go_on = threading.Event()

    def server(queue: str) -> gqm.Server:
        made = gqm.Server(f"unix:{redis_socket}", prefix=prefix)
        made.handle("wait", lambda job: go_on.wait(60))
        made.pool("fast", ["wait"], queues=[queue], concurrency=5)
        return made

    with (
        serve(f"unix:{redis_socket}", prefix, **SIGN_IN, rate_limit=-1) as api,
        running(server("left")) as left,
        running(server("right")) as right,
    ):
        for queue in ("left", "left", "left", "right"):
            api.client.enqueue("wait", queue=queue)
        ids = [run.engine.server_id for run in (left, right)]

        def busy() -> dict[str, int]:
            found = api.get(f"{V1}/workers").data
            return {item["server_id"]: item["active_jobs"] for item in found if item["pool"] == "fast"}

        try:
            eventually(lambda: busy() == {ids[0]: 3, ids[1]: 1}, 10)
            for server_id, count in zip(ids, (3, 1), strict=True):
                (worker,) = api.get(f"{V1}/workers?pool=fast&server_id={server_id}").data
                assert (worker["id"], worker["active_jobs"]) == (f"fast@{server_id}", count)
                assert len(api.get(f"{V1}/workers/{worker['id']}").data["jobs"]) == count
                assert len(api.get(f"{V1}/jobs?worker={server_id}").data) == count
        finally:
            go_on.set()


@pytest.mark.fault(28)
def test_no_dependant_waits_for_a_parent_that_is_gone(api: Api) -> None:
    def family(name: str) -> None:
        api.client.enqueue("a", job_id=name, queue="parents")
        api.client.enqueue("a", job_id=f"{name}-child", depends_on=[name])
        api.client.enqueue("a", job_id=f"{name}-grandchild", depends_on=[f"{name}-child"])
        api.client.enqueue("a", job_id=f"{name}-tolerant", depends_on=[name], allow_failure=True)

    for name, act in (
        ("canceled", lambda: api.post(f"{V1}/jobs/canceled/cancel")),
        ("deleted", lambda: api.delete(f"{V1}/jobs/deleted")),
        ("emptied", lambda: api.delete(f"{V1}/queues/parents/empty")),
        ("batched", lambda: api.post(f"{V1}/jobs/batch/cancel", body={"job_ids": ["batched"]})),
    ):
        family(name)
        assert len(api.get(f"{V1}/dag/deferred").data) == 3
        assert act().status == 200
        assert api.get(f"{V1}/dag/deferred").data == [], name
        kin = [f"{name}-{who}" for who in ("child", "grandchild", "tolerant")]
        states = [api.get(f"{V1}/jobs/{job_id}").data["status"] for job_id in kin]
        assert states == ["canceled", "canceled", "ready"], name


@pytest.mark.fault(29)
def test_a_page_is_filled_although_some_jobs_have_expired(api: Api, space: Keyspace, raw: Any) -> None:
    now = space.now()
    for number in range(60):
        job_id = f"j{number:02}"
        api.client.enqueue("a", job_id=job_id)
        raw.lrem(space.keys.ready("default"), 0, job_id)
        raw.hset(space.keys.job(job_id), mapping={"status": "completed", "completed_at": int(now)})
        raw.zadd(space.keys.completed("default"), {job_id: now - number})
        if number % 3 == 0:
            raw.delete(space.keys.job(job_id))
    first = [job["id"] for job in api.get(f"{V1}/queues/default/jobs?status=completed").data]
    second = [job["id"] for job in api.get(f"{V1}/queues/default/jobs?status=completed&page=2").data]
    assert (len(first), len(second)) == (20, 20)
    assert len({*first, *second}) == 40


@pytest.mark.fault(31)
def test_a_hundred_jobs_of_one_mib_list_in_under_200_kib(api: Api, raw: Any) -> None:
    text = "x" * (1_048_576 - 8)
    for number in range(100):
        api.client.enqueue("a", {"s": text}, job_id=f"big-{number}")
    listed = api.get(f"{V1}/jobs?limit=100", headers={"Accept-Encoding": "identity"})
    assert len(listed.data) == 100
    assert len(listed.raw) < 200 * 1024
    assert all(job["payload_bytes"] == 1_048_576 for job in listed.data)
    prefix = api.app.context.backend.keys.prefix
    raw.unlink(*raw.scan_iter(f"{prefix}job:*", count=1000))


@pytest.mark.fault(32)
def test_batch_and_single_calls_take_the_same_ids(api: Api) -> None:
    for job_id, fits in (
        ("a", True),
        ("A-b_c.9", True),
        ("x" * 256, True),
        ("batch", True),
        ("x" * 257, False),
        ("a:b", False),
        ("a b", False),
        ("ä", False),
        ("a/b", False),
    ):
        single = api.get(f"{V1}/jobs/{quote(job_id, safe='')}").status
        batch = api.post(f"{V1}/jobs/batch/delete", body={"job_ids": [job_id]}).status
        assert (single, batch) == ((404, 200) if fits else (400, 400)), job_id
    api.client.enqueue("a", job_id="kept")
    for wanted in ({"status": ["ready"], "qeue": "x"}, {"statuses": ["ready"]}, {"status": "ready"}, {}):
        assert api.post(f"{V1}/jobs/batch/delete", body={"filter": wanted}).status == 400, wanted
    for name in ("queue", "type"):
        nothing = {"filter": {"status": ["ready"], name: []}}
        assert api.post(f"{V1}/jobs/batch/delete", body=nothing).status == 400, "no name is not every name"
    assert api.get(f"{V1}/jobs/kept").status == 200


@pytest.mark.fault(33)
def test_looping_over_bulk_calls_handles_five_thousand_jobs(api: Api) -> None:
    for _ in api.client.enqueue_many([("a", {"n": n}) for n in range(5000)]):
        continue
    wanted = {"status": ["ready"], "queue": "default"}
    dry = api.post(f"{V1}/jobs/batch/cancel", body={"filter": wanted, "dry_run": True}).data
    assert (dry["matched"], dry["eligible"], dry["truncated"]) == (5000, 5000, False)
    api.client.enqueue("a", {"later": True}, job_id="later")
    wanted["until"] = dry["as_of"]  # type: ignore[assignment]
    cursor, done, rounds = None, 0, 0
    while cursor is not None or not rounds:
        body = {"filter": wanted, "cursor": cursor, "limit": 1000}
        answer = api.post(f"{V1}/jobs/batch/cancel", body=body).data
        done, rounds, cursor = done + answer["succeeded"], rounds + 1, answer["next"]
    assert (done, rounds <= 7) == (5000, True)
    assert [job["id"] for job in api.get(f"{V1}/jobs?status=ready").data] == ["later"]
    back = api.post(f"{V1}/jobs/batch/retry", body={"filter": {"status": ["canceled"]}, "limit": 1000}).data
    assert (back["succeeded"], back["next"] is not None) == (1000, True)
    emptied = api.delete(f"{V1}/queues/default/empty").data
    assert (emptied["removed"], emptied["remaining"]) == (1001, 0)


@pytest.mark.fault(34)
def test_stale_follows_the_lease_of_ours_and_the_deadline_of_others(api: Api, space: Keyspace) -> None:
    (ours,) = space.running(timeout=1)
    space.raw.zadd(space.keys.processing("default"), {ours.id: space.now() - 500})
    space.foreign("early", overdue_s=1)
    space.foreign("late", overdue_s=600)

    def stale() -> dict[str, bool]:
        return {job["id"]: job["stale"] for job in api.get(f"{V1}/jobs?status=processing").data}

    assert stale() == {ours.id: False, "early": False, "late": True}
    space.end_lease(SERVER)
    assert stale() == {ours.id: True, "early": False, "late": True}
    assert api.get(f"{V1}/jobs/{ours.id}").data["stale"] is True


@pytest.mark.fault(35)
def test_pages_of_graphs_read_within_bounds_and_show_finished_chains(
    start_server: ServerFactory, prefix: str
) -> None:
    server = start_server()
    with (
        serve(f"unix:{server.socket}", prefix, **SIGN_IN, rate_limit=-1) as api,
        redis.Redis(unix_socket_path=server.socket, protocol=2) as raw,
    ):
        client: Any = raw
        keys = api.app.context.backend.keys
        space = Keyspace(Store(plain_link(keys, "x", {"unix_socket_path": server.socket})), raw)
        for start in range(0, 60_000, 10_000):
            client.mset({f"other:{number}": 1 for number in range(start, start + 10_000)})
        parent = space.enqueue(job_id="parent")
        child = space.enqueue(job_id="child", depends_on=[parent])
        for _ in range(2):
            _complete(space)
        client.config_resetstat()
        for path in ("dag/roots", "dag/roots?rollup=true", f"dag/{child}/graph", "dag/deferred"):
            assert api.get(f"{V1}/{path}").status == 200
        calls = {name: item["calls"] for name, item in client.info("commandstats").items()}
        assert "cmdstat_keys" not in calls
        assert calls.get("cmdstat_scan", 0) <= 40
        assert space.status(parent) == space.status(child) == "completed"
        graph = api.get(f"{V1}/dag/{child}/graph").data
        assert {node["id"]: node["status"] for node in graph["nodes"]} == {
            parent: "completed",
            child: "completed",
        }
        assert graph["edges"] == [{"source": parent, "target": child}]
        space.store.close()


def _complete(space: Keyspace) -> None:
    space.beat()
    (item,) = space.claim(1)
    done = [Completion(item, 5, b"1")]
    space.store.run(complete(space.keys, item.queue, done, result_ttl=86_400, failure_ttl=None))


@pytest.fixture
def full(redis_socket: str, prefix: str) -> Iterator[World]:
    with world(redis_socket, prefix, **SIGN_IN, rate_limit=-1) as found:
        yield found


@pytest.mark.fault(16)
def test_the_last_run_is_a_number_or_null_in_list_and_detail(full: World) -> None:
    listed = {item["id"]: item["last_run"] for item in full.api.get(f"{V1}/cron").data}
    detail = {name: full.api.get(f"{V1}/cron/{name}").data["last_run"] for name in listed}
    assert listed == detail
    assert type(listed["often"]) is int
    assert listed["yearly"] is None or type(listed["yearly"]) is int
