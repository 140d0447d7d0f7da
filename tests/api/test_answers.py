"""What the calls answer: jobs in every state, lists, batches, graphs, series; the examples of the README."""

from __future__ import annotations

import re
import subprocess
import time
from typing import Any

import pytest
import redis

from gqm.monitor.options import Hooks
from gqm.store.commands.servers import announce
from tests.api.support import ADMIN_KEY, KEYS, VIEWER_KEY, Api, serve

LABEL = r'[a-z_]+="(?:\\.|[^"\\])*"'
LABELS = rf"\{{{LABEL}(?:,{LABEL})*\}}"
STATES = ("ready", "scheduled", "deferred", "processing", "retry", "completed", "dead_letter", "canceled")


def put_state(raw: redis.Redis, prefix: str, job_id: str, state: str, when: float) -> None:
    """Move a ready job to another state, as a worker would have left it."""
    key = f"{prefix}job:{job_id}"
    raw.lrem(f"{prefix}queue:default:ready", 0, job_id)
    raw.hset(key, mapping={"status": state, "started_at": int(when), "error": "TimeoutError: took over 30 s"})
    if state == "retry":
        raw.zadd(f"{prefix}scheduled", {job_id: when + 60})
    elif state == "processing":
        raw.zadd(f"{prefix}queue:default:processing", {job_id: when + 60})
    elif state != "failed":
        raw.hset(key, "completed_at", int(when))
        place = "canceled" if state == "stopped" else state
        raw.zadd(f"{prefix}queue:default:{place}", {job_id: when})


@pytest.fixture
def full(api: Api, redis_socket: str, prefix: str) -> Api:
    """An API over jobs of all ten states, one each, called after them."""
    with redis.Redis(unix_socket_path=redis_socket, protocol=2) as raw:
        for state in ("retry", "processing", "completed", "dead_letter", "canceled", "stopped", "failed"):
            api.client.enqueue("mail.send", {"n": 7}, job_id=state)
            put_state(raw, prefix, state, state, time.time() - 5)
        api.client.enqueue("mail.send", {"n": 7}, job_id="ready")
        api.client.enqueue_in("mail.send", {"n": 7}, 3600, job_id="scheduled")
        api.client.enqueue("mail.send", {"n": 7}, job_id="deferred", depends_on=["ready"])
    return api


@pytest.mark.fault(19)
def test_jobs_of_all_ten_states_can_be_listed_filtered_and_opened(full: Api) -> None:
    states = (*STATES, "stopped", "failed")
    everything = full.get("/api/v1/jobs?limit=100").data
    assert {job["id"] for job in everything} == set(states)
    for state in states:
        listed = full.get(f"/api/v1/queues/default/jobs?status={state}").data
        assert [job["id"] for job in listed] == [state]
        assert "payload" not in listed[0]
        assert full.get(f"/api/v1/jobs?status={state}&type=mail.*&q={state[:3]}").data == listed or (
            listed[0]["status"] == "processing"  # its running time goes on
        )
        job = full.get(f"/api/v1/jobs/{state}").data
        assert (job["status"], job["payload"]) == (state, {"n": 7})
    assert full.get("/api/v1/queues/default/dead-letter").data[0]["error_type"] == "TimeoutError"
    assert [job["id"] for job in full.get("/api/v1/dag/deferred").data] == ["deferred"]
    assert [job["id"] for job in full.get("/api/v1/dag/roots?rollup=true").data] == ["ready"]


@pytest.mark.fault(20)
def test_what_each_state_allows(full: Api) -> None:
    for state in ("failed", "canceled", "stopped", "dead_letter"):
        assert full.post(f"/api/v1/jobs/{state}/retry").data == {"job_id": state, "status": "ready"}
    for state in ("retry", "scheduled"):
        assert full.post(f"/api/v1/jobs/{state}/retry").data["status"] == "ready"
    assert full.delete("/api/v1/jobs/processing").code == "CONFLICT"
    assert full.post("/api/v1/jobs/completed/cancel").code == "CONFLICT"
    canceled = full.post("/api/v1/jobs/ready/cancel").data
    assert canceled == {
        "job_id": "ready",
        "status": "canceled",
        "was": "ready",
        "signalled": False,
        "cascaded": 1,
        "released": 0,
    }
    assert full.delete("/api/v1/jobs/completed").data == {"job_id": "completed", "deleted": True}
    assert full.get("/api/v1/jobs/deferred").data["status"] == "canceled"


@pytest.mark.fault(18)
def test_newest_dead_letter_comes_first(api: Api, redis_socket: str, prefix: str) -> None:
    with redis.Redis(unix_socket_path=redis_socket, protocol=2) as raw:
        for age in range(30):
            api.client.enqueue("a", job_id=f"dead-{age:02}")
            put_state(raw, prefix, f"dead-{age:02}", "dead_letter", time.time() - age)
    page = api.get("/api/v1/queues/default/dead-letter")
    assert [job["id"] for job in page.data[:2]] == ["dead-00", "dead-01"]
    assert page.json["meta"]["total"] == 30
    groups = api.get("/api/v1/failed/groups").data
    assert [(group["count"], group["error"]) for group in groups] == [(30, "TimeoutError: took over <n> s")]
    assert api.get(f"/api/v1/jobs?fingerprint={groups[0]['fingerprint']}&status=dead_letter").data


@pytest.mark.fault(65)
def test_batches(api: Api) -> None:
    for number in range(5):
        api.client.enqueue("a", job_id=f"j{number}")
    path = "/api/v1/jobs/batch"
    refused = api.post(f"{path}/delete", body={"job_ids": ["j1", "a:b"]})
    assert refused.status == 400
    assert "job_ids[1]" in refused.json["error"]
    for body in (
        {},
        {"filter": {}},
        {"job_ids": []},
        {"job_ids": ["j1"], "filter": {"status": ["ready"]}},
        {"filter": {"status": ["ready"], "colour": "red"}},
        {"filter": {"status": ["ready"]}, "limit": 1001},
        {"filter": {"status": ["ready"]}, "cursor": "nonsense"},
        {"job_ids": ["j1"], "cursor": "x"},
        {"job_ids": "j1"},
    ):
        assert api.post(f"{path}/cancel", body=body).code == "BAD_REQUEST", body
    assert len(api.get("/api/v1/jobs?status=ready").data) == 5
    dry = api.post(f"{path}/cancel", body={"filter": {"status": ["ready"]}, "dry_run": True}).data
    assert (dry["dry_run"], dry["matched"], dry["eligible"]) == (True, 5, 5)
    done = api.post(f"{path}/cancel", body={"job_ids": ["j1", "none", "j1"]}).data
    assert (done["succeeded"], done["failed"], done["next"]) == (1, 1, None)
    assert [item["ok"] for item in done["results"]] == [True, False]
    assert done["results"][1]["code"] == "NOT_FOUND"
    cursor, rounds = None, 0
    while True:
        body = {"filter": {"status": ["ready"], "queue": "default"}, "limit": 2, "cursor": cursor}
        step = api.post(f"{path}/delete", body=body).data
        rounds += 1
        cursor = step["next"]
        if cursor is None:
            break
    assert rounds >= 2
    assert api.get("/api/v1/jobs?status=ready").data == []
    assert api.post(f"{path}/retry", body={"job_ids": ["j1"]}).data["succeeded"] == 1


def test_jobs_enqueued_over_http(api: Api) -> None:
    text = '{"type":"a","payload":{"big":123456789012345678901234567890,"exact":1.10},"job_id":"one"}'
    answer = api.post("/api/v1/jobs", raw=text.encode(), headers={"Content-Type": "application/json"})
    assert b'"big":123456789012345678901234567890,"exact":1.10' in answer.raw, "every digit is kept"
    assert answer.data["enqueued_by"] == "apikey:boss"
    later = api.post("/api/v1/jobs", body={"type": "a", "delay_ms": 60_000, "meta": {"m": 1}}).data
    assert (later["status"], later["meta"]) == ("scheduled", {"m": 1})
    at = api.post("/api/v1/jobs", body={"type": "a", "run_at": time.time() + 100.5}).data
    assert abs(at["due_at"] - time.time() - 100.5) < 2
    options = {
        "max_retry": 0,
        "timeout": 9,
        "retry_intervals": [1, 2],
        "result_ttl": -1,
        "failure_ttl": 5,
        "enqueue_at_front": True,
        "queue": "other",
        "enqueued_by": "me",
    }
    job = api.post("/api/v1/jobs", body={"type": "a", **options}).data
    assert {name: job[name] for name in options} == options
    child = api.post("/api/v1/jobs", body={"type": "a", "depends_on": ["one"], "allow_failure": True}).data
    assert (child["status"], child["depends_on"]) == ("deferred", ["one"])
    graph = api.get("/api/v1/dag/one/graph").data
    ids = {node["id"] for node in graph["nodes"]}
    assert ids == {"one", child["id"]}
    assert all(edge["source"] in ids and edge["target"] in ids for edge in graph["edges"])
    assert all(isinstance(node["created_at"], str) for node in graph["nodes"])
    cut = api.get("/api/v1/dag/graph/one?max_nodes=1").data
    assert (cut["truncated"], cut["hidden"]) == (True, 1)


def test_queues_and_collections(api: Api) -> None:
    for name in ("b", "a", "c"):
        api.client.enqueue("x", queue=name)
    api.client.enqueue("x", queue="b")
    assert [queue["name"] for queue in api.get("/api/v1/queues").data] == ["a", "b", "c"]
    assert api.get("/api/v1/queues?sort=ready").data[0]["name"] == "b"
    page = api.get("/api/v1/queues?limit=2&page=2")
    assert [queue["name"] for queue in page.data] == ["c"]
    assert page.json["meta"]["total"] == 3
    api.post("/api/v1/queues/a/pause")
    assert [queue["name"] for queue in api.get("/api/v1/queues?paused=true").data] == ["a"]
    assert api.get("/api/v1/queues/b").data["by_type"] == [{"type": "x", "ready": 2}]
    assert api.get("/api/v1/stats").data["ready"] == 4
    assert api.post("/api/v1/queues/a/pause").data == {"queue": "a", "status": "paused", "changed": False}
    assert api.post("/api/v1/queues/a/resume").data == {"queue": "a", "status": "active", "changed": True}


def test_names_in_paths_are_decoded_once(api: Api) -> None:
    for name in ("email:send", "a.b-c_d"):
        api.client.enqueue("x", queue=name)
        assert api.get(f"/api/v1/queues/{name}").data["name"] == name
    assert api.get("/api/v1/queues/email%3Asend").data["name"] == "email:send"
    assert api.get("/api/v1/queues/email%253Asend").status == 404
    assert api.get("/api/v1/queues/a%2Fb").status == 404


def test_large_payloads_do_not_make_lists_large(api: Api) -> None:
    for _ in range(20):
        api.client.enqueue("a", {"s": "x" * 500_000})
    assert len(api.get("/api/v1/jobs?limit=100").raw) < 40_000


def test_series(api: Api) -> None:
    api.client.enqueue("a")
    daily = api.get("/api/v1/stats/daily?days=3&order=asc").data
    assert [len(series["days"]) for series in daily] == [3]
    assert daily[0]["days"][0]["date"] < daily[0]["days"][-1]["date"]
    minutes = api.get("/api/v1/stats/minutes?minutes=5&sum=true").data
    assert (minutes[0]["queue"], len(minutes[0]["minutes"])) == (None, 5)
    runtime = api.get("/api/v1/stats/runtime").data
    assert runtime["rss_bytes"] > 1_000_000
    assert runtime["redis"]["used_memory_bytes"] > 0


def test_metrics_are_well_formed(api: Api) -> None:
    api.app.context.backend.run(announce(api.app.context.backend.keys, ['we"ird\\name'], 60, 60))
    api.get("/api/v1/queues")
    text = api.get("/metrics").raw.decode()
    helped = set(re.findall(r"^# HELP (\S+) \S", text, re.MULTILINE))
    typed = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert helped == set(typed)
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        match = re.fullmatch(rf"([a-z_]+)({LABELS})? -?[0-9.e+-]+", line)
        assert match, line
        name = match[1]
        assert {name, re.sub("_(bucket|sum|count)$", "", name)} & set(typed), line
    assert 'gqm_jobs{queue="we\\"ird\\\\name",status="ready"} 0' in text
    assert 'route="/api/v1/queues"' in text
    counters = {name for name, kind in typed.items() if kind == "counter"}
    assert all(name.endswith("_total") for name in counters)
    assert "gqm_redis_up 1" in text


def test_metrics_of_many_queues_sum_the_rest(api: Api) -> None:
    backend = api.app.context.backend
    names = [f"q{number:04}" for number in range(1200)]
    backend.run(announce(backend.keys, [*names, "_other"], 60, 60))
    for name in ("q0001", "q1100", "q1100", "q1199", "_other"):
        api.client.enqueue("a", queue=name)
    for name in ("q1101", "q1102"):
        assert api.post(f"/api/v1/queues/{name}/pause").status == 200
    lines = api.get("/metrics").raw.decode().splitlines()
    ready = [line for line in lines if line.startswith("gqm_jobs{") and 'status="ready"' in line]
    assert len(ready) == len(set(ready)) == 1001
    assert 'gqm_jobs{queue="q0001",status="ready"} 1' in ready
    assert 'gqm_jobs{queue="_other",status="ready"} 4' in ready
    assert 'gqm_queue_paused{queue="_other"} 2' in lines
    assert sum(line.startswith('gqm_queue_oldest_ready_age_seconds{queue="_other"}') for line in lines) == 1
    sums = api.get("/api/v1/stats").data
    assert (sums["queues"], sums["ready"], sums["paused_queues"]) == (1201, 5, 2)
    listed = api.get("/api/v1/queues")
    assert (len(listed.data), listed.json["meta"]["truncated"]) == (1000, True)


def test_fields_can_be_hidden_from_a_role(redis_socket: str, prefix: str) -> None:
    def redact(role: str, field: str, value: object) -> object:
        return "***" if role == "viewer" and field == "payload" else value

    with serve(f"unix:{redis_socket}", prefix, hooks=Hooks(redact=redact), api_keys=KEYS) as api:
        api.client.enqueue("a", {"secret": 1}, job_id="one")
        assert api.get("/api/v1/jobs/one", key=VIEWER_KEY).data["payload"] == "***"
        assert api.get("/api/v1/jobs/one", key=ADMIN_KEY).data["payload"] == {"secret": 1}


def test_own_authentication(redis_socket: str, prefix: str) -> None:
    def who(environ: dict[str, Any]) -> tuple[str, str] | None:
        name = environ.get("HTTP_X_REMOTE_USER")
        return (name, "admin" if name == "root" else "strange role") if name else None

    with serve(f"unix:{redis_socket}", prefix, hooks=Hooks(authenticate=who)) as api:
        assert api.get("/auth/me", key=None).status == 401
        me = api.get("/auth/me", key=None, headers={"X-Remote-User": "bo"}).data
        assert me == {"username": "bo", "role": "viewer", "auth": "external", "expires_at": None}
        root = {"X-Remote-User": "root", "X-GQM-CSRF": "1"}
        api.client.enqueue("a")
        assert api.post("/api/v1/queues/default/pause", key=None, headers=root).status == 200
        body = {"username": "a", "password": "b"}
        assert api.post("/auth/login", key=None, body=body).code == "AUTH_DISABLED"


def test_api_keys_and_their_use(api: Api) -> None:
    api.get("/api/v1/queues", key=VIEWER_KEY)
    keys = {item["name"]: item for item in api.get("/auth/keys").data}
    assert set(keys) == {"boss", "grafana"}
    assert abs(keys["grafana"]["last_used_at"] - time.time()) < 30
    assert keys["grafana"]["last_address"] == "127.0.0.1"
    assert VIEWER_KEY not in str(keys)


# ------------------------------------------------------------------------ the examples of the README


def test_the_examples_with_curl(api: Api) -> None:
    api.client.enqueue("x", queue="email:send", job_id="one")
    base = f"http://localhost:{api.port}"

    def curl(*words: str) -> str:
        command = ["curl", "-sS", "-H", f"X-API-Key: {ADMIN_KEY}", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout

    assert '"name":"email:send"' in curl(f"{base}/api/v1/queues")
    assert '"status":"paused"' in curl("-X", "POST", f"{base}/api/v1/queues/email:send/pause")
    assert '"id":"one"' in curl(f"{base}/api/v1/queues/email:send/jobs?status=ready&page=1&limit=20")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/queues"),
        ("GET", "/api/v1/queues/default"),
        ("GET", "/api/v1/queues/default/jobs?status=ready&page=1&limit=20"),
        ("GET", "/api/v1/jobs/ready"),
        ("GET", "/api/v1/workers"),
        ("GET", "/api/v1/stats"),
        ("GET", "/api/v1/cron"),
        ("GET", "/api/v1/servers"),
        ("GET", "/api/v1/dag/deferred"),
        ("GET", "/api/v1/dag/roots"),
        ("GET", "/api/v1/dag/ready/graph"),
        ("POST", "/api/v1/queues/default/pause"),
        ("POST", "/api/v1/queues/default/resume"),
        ("DELETE", "/api/v1/queues/default/empty"),
        ("POST", "/api/v1/queues/default/dead-letter/retry-all"),
        ("DELETE", "/api/v1/queues/default/dead-letter/clear"),
        ("POST", "/api/v1/jobs/dead_letter/retry"),
        ("POST", "/api/v1/jobs/ready/cancel"),
        ("DELETE", "/api/v1/jobs/ready"),
        ("GET", "/auth/me"),
        ("GET", "/health"),
    ],
)
def test_each_call_of_the_readme(full: Api, method: str, path: str) -> None:
    answer = full.ask(method, path)
    assert answer.status == 200, str(answer)
    if path != "/health":
        assert "data" in answer.json
