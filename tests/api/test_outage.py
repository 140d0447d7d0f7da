"""The API while Redis is away, and when it comes back."""

from __future__ import annotations

import time

import pytest

from tests.api.support import SIGN_IN, serve
from tests.support.servers import ServerFactory
from tests.support.wait import eventually

ASKED = (
    ("GET", "/api/v1/queues"),
    ("GET", "/api/v1/stats"),
    ("GET", "/api/v1/jobs/one"),
    ("GET", "/api/v1/cron"),
    ("POST", "/api/v1/queues/default/pause"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/auth/me"),
)


@pytest.mark.fault(5)
@pytest.mark.fault(17)
def test_redis_goes_and_comes_back_under_a_polling_client(start_server: ServerFactory, prefix: str) -> None:
    redis = start_server()
    options = {**SIGN_IN, "dashboard": True, "rate_limit": -1}
    with serve(f"unix:{redis.socket}", prefix, **options) as api:
        api.client.enqueue("a", job_id="one")
        api.log_in("ana")
        assert api.get("/health", key=None).json == {"status": "ok"}
        redis.stop()
        eventually(lambda: api.get("/health").status == 503)
        for method, path in ASKED:
            begun = time.monotonic()
            answer = api.ask(method, path, user="ana")
            assert (answer.status, answer.code) == (503, "REDIS_UNAVAILABLE"), (path, str(answer))
            assert answer.headers["Retry-After"] == "2"
            assert time.monotonic() - begun < 3
            assert "redis.sock" not in answer.raw.decode()
            assert "Set-Cookie" not in answer.headers
        begun = time.monotonic()
        statuses = {api.get("/api/v1/queues").status for _ in range(30)}
        assert statuses == {503}
        assert time.monotonic() - begun < 6, "after a failure calls fail at once"
        login = api.log_in("ana", "wrong")
        assert (login.status, login.code) == (503, "REDIS_UNAVAILABLE")
        assert api.get("/health").json == {
            "status": "degraded",
            "error": "redis unavailable",
            "code": "REDIS_UNAVAILABLE",
        }
        metrics = api.get("/metrics")
        assert metrics.status == 200
        assert b"\ngqm_redis_up 0\n" in metrics.raw
        assert b"gqm_jobs{" not in metrics.raw
        assert api.get("/openapi.json").status == 200
        assert api.get("/dashboard/config.json").status == 200
        redis.start()
        eventually(lambda: api.get("/health").status == 200, timeout=10)
        assert api.get("/auth/me", user="ana").data["username"] == "ana"
        assert api.get("/api/v1/jobs/one").data["status"] == "ready"
        assert api.log_in("ana").status == 200, "no try was counted while Redis was away"


@pytest.mark.security(23)
@pytest.mark.fault(38)
def test_health_says_nothing_but_whether_it_is_well(start_server: ServerFactory, prefix: str) -> None:
    redis = start_server()
    with serve(f"unix:{redis.socket}", prefix, **SIGN_IN) as api:
        assert api.get("/health", key=None).raw == b'{"status":"ok"}'
        assert api.get("/ready", key=None).json == {"status": "ready", "engine": "none"}
        redis.freeze()
        try:
            begun = time.monotonic()
            assert api.get("/health", key=None).status == 503
            assert time.monotonic() - begun < 5
        finally:
            redis.thaw()
        eventually(lambda: api.get("/health").status == 200, timeout=10)


def test_a_redis_that_refuses_writes_is_named(start_server: ServerFactory, prefix: str) -> None:
    redis = start_server("--maxmemory", "1mb")
    with serve(f"unix:{redis.socket}", prefix, **SIGN_IN) as api:
        answer = api.post("/api/v1/jobs", body={"type": "a", "payload": {"s": "x" * 500_000}})
        for _ in range(10):
            if answer.status != 200:
                break
            answer = api.post("/api/v1/jobs", body={"type": "a", "payload": {"s": "x" * 500_000}})
        assert (answer.status, answer.code) == (503, "REDIS_UNAVAILABLE")
        assert "OOM" in answer.json["error"]
        assert api.get("/health").status == 200, "it is there, it only refuses writes"
