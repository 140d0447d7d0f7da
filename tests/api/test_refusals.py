"""One refusal of every kind, by its code."""

from __future__ import annotations

import pytest
import redis

from gqm.monitor.options import Hooks
from tests.api.support import KEYS, PASSWORD, VIEWER_KEY, Api, serve


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/api/v1/jobs?limit=0", "limit"),
        ("/api/v1/jobs?limit=101", "100"),
        ("/api/v1/jobs?limit=ten", "limit"),
        ("/api/v1/jobs?page=0", "page"),
        ("/api/v1/jobs?page=20000&limit=100", "1,000,000"),
        ("/api/v1/jobs?sort=colour", "sort"),
        ("/api/v1/jobs?order=up", "order"),
        ("/api/v1/jobs?status=redy", "status"),
        ("/api/v1/jobs?status=", "status"),
        ("/api/v1/jobs?colour=red", "status"),
        ("/api/v1/jobs?limit=1&limit=2", "twice"),
        ("/api/v1/jobs?q=", "q"),
        ("/api/v1/jobs?q=" + "x" * 257, "q"),
        ("/api/v1/jobs?fingerprint=zz", "fingerprint"),
        ("/api/v1/jobs?since=yesterday", "since"),
        ("/api/v1/jobs?q=%ff", "UTF-8"),
        ("/api/v1/jobs?q=a%00b", "q"),
        ("/api/v1/jobs?nothing", "name=value"),
        ("/api/v1/jobs/a%2Fb", "job id"),
        ("/api/v1/jobs/a:b", "job id"),
        ("/api/v1/jobs/" + "x" * 257, "job id"),
        ("/api/v1/jobs/%ff", "UTF-8"),
        ("/api/v1/queues/a%0Ab", "queue"),
        ("/api/v1/dag/x/graph?depth=51", "depth"),
        ("/api/v1/dag/x/graph?max_nodes=0", "max_nodes"),
        ("/api/v1/stats/daily?days=91", "days"),
        ("/api/v1/stats/minutes?minutes=181", "minutes"),
        ("/api/v1/queues?paused=maybe", "paused"),
        ("/api/v1/queues?paused=null", "paused"),
        ("/api/v1/servers?page=null", "page"),
        ("/api/v1/audit?ok=null", "ok"),
        ("/api/v1/cron?enabled=2", "enabled"),
        ("/api/v1/failed/groups?status=ready", "status"),
        ("/health?x=1", "x"),
    ],
)
@pytest.mark.fault(30)
def test_wrong_parameters_are_named(api: Api, path: str, word: str) -> None:
    answer = api.get(path)
    assert (answer.status, answer.code) == (400, "BAD_REQUEST"), answer
    assert word in answer.json["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"type":"a"} x',
        b'{"type":"a"}{}',
        b'{"type":"a","payload":{"n":NaN}}',
        b'{"type":"a","payload":{"n":Infinity}}',
        b'{"type":"a","colour":1}',
        b'{"type":1}',
        b'{"type":""}',
        b'{"type":"a b"}',
        b'{"type":"a","payload":[]}',
        b'{"type":"a","payload":"x"}',
        b'{"type":"a","payload":{"s":"\\ud800"}}',
        b'{"type":"a","payload":{"s":"\xff"}}',
        b'{"type":"a","payload":{"d":' + b"[" * 200 + b"]" * 200 + b"}}",
        b'{"type":"a","payload":{"d":' + b"[" * 5000 + b"]" * 5000 + b"}}",
        b'{"type":"a","job_id":"a/b"}',
        b'{"type":"a","timeout":0}',
        b'{"type":"a","timeout":1.5}',
        b'{"type":"a","max_retry":-1}',
        b'{"type":"a","max_retry":99999999999999999999}',
        b'{"type":"a","retry_intervals":[]}',
        b'{"type":"a","result_ttl":-2}',
        b'{"type":"a","unique":true}',
        b'{"type":"a","delay_ms":-1}',
        b'{"type":"a","run_at":1e308}',
        b'{"type":"a","run_at":1,"delay_ms":1}',
        b'{"type":"a","run_at":1,"depends_on":["x"]}',
        b'{"type":"a","depends_on":["a:b"]}',
        b'{"type":"a","meta":[1]}',
        b'{"type":"a","enqueued_by":"a\\u0000b"}',
        b"[]",
        b"null",
    ],
)
@pytest.mark.security(15)
@pytest.mark.fault(24)
def test_wrong_bodies_are_refused(api: Api, body: bytes) -> None:
    answer = api.post("/api/v1/jobs", raw=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, "BAD_REQUEST"), answer
    assert api.get("/api/v1/jobs").data == []


def test_conflicts_and_unknown_things(api: Api) -> None:
    api.client.enqueue("a", job_id="one")
    for method, path, status, code in (
        ("GET", "/api/v1/jobs/none", 404, "NOT_FOUND"),
        ("GET", "/api/v1/queues/none", 404, "NOT_FOUND"),
        ("GET", "/api/v1/queues/none/jobs", 404, "NOT_FOUND"),
        ("GET", "/api/v1/queues/none/dead-letter", 404, "NOT_FOUND"),
        ("POST", "/api/v1/queues/none/pause", 404, "NOT_FOUND"),
        ("POST", "/api/v1/queues/none/resume", 404, "NOT_FOUND"),
        ("DELETE", "/api/v1/queues/none/empty", 404, "NOT_FOUND"),
        ("DELETE", "/api/v1/queues/none/empty?dry_run=true", 404, "NOT_FOUND"),
        ("POST", "/api/v1/queues/none/dead-letter/retry-all", 404, "NOT_FOUND"),
        ("DELETE", "/api/v1/queues/none/dead-letter/clear", 404, "NOT_FOUND"),
        ("GET", "/api/v1/stats/daily?queue=none", 404, "NOT_FOUND"),
        ("GET", "/api/v1/servers/none", 404, "NOT_FOUND"),
        ("GET", "/api/v1/workers/none", 404, "NOT_FOUND"),
        ("GET", "/api/v1/cron/none", 404, "NOT_FOUND"),
        ("POST", "/api/v1/cron/none/trigger", 404, "NOT_FOUND"),
        ("GET", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("GET", "/api/v1/queues/", 404, "NOT_FOUND"),
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("PUT", "/api/v1/queues", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/api/v1/jobs/one/retry", 409, "CONFLICT"),
    ):
        answer = api.ask(method, path)
        assert (answer.status, answer.code) == (status, code), (method, path, str(answer))
    assert "ready" in api.post("/api/v1/jobs/one/retry").json["error"]


def test_enqueue_conflicts(api: Api) -> None:
    api.client.enqueue("a", job_id="one")
    for body, code in (
        ({"type": "a", "job_id": "one"}, "DUPLICATE_JOB_ID"),
        ({"type": "a", "depends_on": ["none"]}, "DEPENDENCY_NOT_FOUND"),
    ):
        answer = api.post("/api/v1/jobs", body=body)
        assert (answer.status, answer.code) == (409, code)


def test_a_key_of_another_type_is_named_to_those_who_are_signed_in_only(
    api: Api, redis_socket: str, caplog: pytest.LogCaptureFixture
) -> None:
    keys = api.app.context.backend.keys
    api.client.enqueue("a", job_id="one")
    with redis.Redis(unix_socket_path=redis_socket, protocol=2) as raw:
        raw.set(keys.job("odd"), "text")
        raw.lpush(keys.login_address("127.0.0.1"), "text")
    answer = api.post("/api/v1/jobs/odd/cancel")
    assert (answer.status, answer.code) == (409, "CONFLICT"), str(answer)
    assert "job:odd" in answer.json["error"]
    done = api.post("/api/v1/jobs/batch/cancel", body={"job_ids": ["odd", "one"]}).data
    assert [item.get("code") for item in done["results"]] == ["CONFLICT", None]
    assert api.get("/api/v1/audit?action=job.cancel").data[0]["code"] == "CONFLICT"
    stranger = api.log_in("ana")
    assert (stranger.status, stranger.code) == (500, "INTERNAL"), str(stranger)
    assert "login" not in stranger.raw.decode()
    assert any("login" in record.getMessage() for record in caplog.records)


def test_media_type_is_asked_for_where_a_body_is_read(api: Api) -> None:
    answer = api.post("/api/v1/jobs", raw=b'{"type":"a"}', headers={"Content-Type": "text/plain"})
    assert (answer.status, answer.code) == (415, "UNSUPPORTED_MEDIA_TYPE")
    with_parameter = {"Content-Type": "application/json; charset=utf-8"}
    assert api.post("/api/v1/jobs", raw=b'{"type":"a"}', headers=with_parameter).status == 200
    api.client.enqueue("a")
    assert api.post("/api/v1/queues/default/pause").status == 200


@pytest.mark.fault(24)
def test_a_body_of_one_mib_passes_and_one_byte_more_does_not(api: Api) -> None:
    frame = b'{"type":"a","payload":{"s":"%s"}}'
    fits = frame % (b"x" * (1_048_576 - len(frame) + 2))
    headers = {"Content-Type": "application/json"}
    assert len(fits) == 1_048_576
    assert api.post("/api/v1/jobs", raw=fits, headers=headers).status == 200
    answer = api.post("/api/v1/jobs", raw=fits[:-3] + b"x" + fits[-3:], headers=headers)
    assert (answer.status, answer.code) == (413, "PAYLOAD_TOO_LARGE")


def test_types_that_may_be_enqueued_can_be_limited(redis_socket: str, prefix: str) -> None:
    hooks = Hooks(enqueue_types=["mail.*", "ping"])
    with serve(f"unix:{redis_socket}", prefix, hooks=hooks, api_keys=KEYS) as api:
        assert api.post("/api/v1/jobs", body={"type": "mail.send"}).status == 200
        assert api.post("/api/v1/jobs", body={"type": "ping"}).status == 200
        answer = api.post("/api/v1/jobs", body={"type": "pingpong"})
        assert (answer.status, answer.code) == (403, "FORBIDDEN")


@pytest.mark.fault(11)
def test_rate_limit_has_three_buckets_and_spares_health(redis_socket: str, prefix: str) -> None:
    with serve(f"unix:{redis_socket}", prefix, api_keys=KEYS, rate_limit=5, dashboard=True) as api:
        answers = [api.get("/dashboard/config.json", key=None) for _ in range(40)]
        refused = [answer for answer in answers if answer.status == 429]
        assert refused
        assert all(answer.code == "RATE_LIMITED" for answer in refused)
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
        assert api.get("/api/v1/queues").status == 200
        assert api.get("/auth/me").status == 200
        assert all(api.get("/health").status == 200 for _ in range(30))


def test_role_and_session_calls(api: Api) -> None:
    assert api.post("/api/v1/queues/default/pause", key=VIEWER_KEY).code == "FORBIDDEN"
    assert api.post("/auth/logout").code == "BAD_REQUEST"


def test_sign_in_is_disabled_without_users(keyed: Api) -> None:
    for method, path in (
        ("POST", "/auth/login"),
        ("POST", "/auth/logout"),
        ("POST", "/auth/logout-all"),
        ("GET", "/auth/sessions"),
    ):
        body = {"username": "ana", "password": PASSWORD} if path.endswith("login") else None
        answer = keyed.ask(method, path, body=body)
        assert (answer.status, answer.code) == (400, "AUTH_DISABLED"), path
