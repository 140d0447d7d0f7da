"""Sessions, the throttle of sign-ins, CSRF and origins, hosts, proxies, and the audit of all that."""

from __future__ import annotations

import io
import json
import logging
import re
import statistics
import time
from typing import Any

import bcrypt
import pytest
import redis

from gqm.config import parse_config
from gqm.errors import ConfigError
from gqm.monitor import app as make_app
from tests.api.support import (
    ADMIN_KEY,
    HASH,
    KEYS,
    PASSWORD,
    SIGN_IN,
    USERS,
    Api,
    in_threads,
    make_config,
    serve,
)


def audit(api: Api, **wanted: object) -> list[dict[str, Any]]:
    entries = api.get("/api/v1/audit?limit=100").data
    return [entry for entry in entries if all(entry[name] == value for name, value in wanted.items())]


@pytest.mark.security(4)
def test_session_from_sign_in_to_sign_out(api: Api, redis_socket: str, prefix: str) -> None:
    answer = api.log_in("ana")
    assert answer.data["username"] == "ana"
    assert answer.data["role"] == "admin"
    cookie = answer.headers["Set-Cookie"]
    token = re.fullmatch(
        r"gqm_session=([0-9a-f]{64}); Path=/; Max-Age=86400; HttpOnly; SameSite=Strict", cookie
    )
    assert token
    me = api.get("/auth/me", user="ana").data
    assert me == {**me, "username": "ana", "role": "admin", "auth": "session"}
    assert me["expires_at"] == answer.data["expires_at"]
    before = api.cookies["ana"]
    api.log_in("ana")
    assert api.cookies["ana"] != before, "a sign-in makes a new token"
    sessions = api.get("/auth/sessions", user="ana").data
    assert [item["current"] for item in sessions].count(True) == 1
    assert len(sessions) == 2
    done = api.post("/auth/logout", user="ana")
    assert done.data == {"logged_out": True}
    assert "Max-Age=0" in done.headers["Set-Cookie"]
    assert api.get("/auth/me", user="ana").status == 401


@pytest.mark.fault(64)
@pytest.mark.security(7)
@pytest.mark.fault(7)
def test_key_space_holds_neither_tokens_nor_keys(api: Api, redis_socket: str, prefix: str) -> None:
    api.log_in("ana")
    api.get("/api/v1/queues", key=ADMIN_KEY)
    token = api.cookies["ana"].partition("=")[2].encode()
    with redis.Redis(unix_socket_path=redis_socket, protocol=2) as raw:
        dump = b""
        for key in raw.scan_iter(prefix + "*"):
            dump += key + b"".join(bytes(raw.dump(key) or b"") for _ in (0,))
            if raw.type(key) == b"hash":
                dump += b"".join(name + value for name, value in raw.hgetall(key).items())
            if raw.type(key) == b"stream":
                dump += repr(raw.xrange(key)).encode()
    assert b"session" in dump
    assert token not in dump
    assert ADMIN_KEY.encode() not in dump
    assert PASSWORD.encode() not in dump


@pytest.mark.security(4)
@pytest.mark.fault(8)
def test_changed_password_removed_user_and_new_role_count_at_once(redis_socket: str, prefix: str) -> None:
    where = f"unix:{redis_socket}"
    with serve(where, prefix, **SIGN_IN) as first:
        first.log_in("ana")
        first.log_in("vic")
        cookies = dict(first.cookies)
    users = [{**USERS[0], "role": "viewer"}, USERS[1]]
    with serve(where, prefix, auth_enabled=True, auth_users=users, api_keys=KEYS) as second:
        second.cookies.update(cookies)
        assert second.get("/auth/me", user="ana").data["role"] == "viewer"
    other_hash = "$2b$04$" + HASH[7:-1] + ("a" if HASH[-1] != "a" else "b")
    changed = [{**USERS[0], "password_hash": other_hash}]
    with serve(where, prefix, auth_enabled=True, auth_users=changed, api_keys=KEYS) as third:
        third.cookies.update(cookies)
        for _ in range(2):
            assert third.get("/auth/me", user="ana").status == 401
            assert third.get("/auth/me", user="vic").status == 401
        told = [(entry["actor"], entry["after"]) for entry in audit(third, action="auth.session_revoked")]
        assert sorted(told) == [("ana", "password changed"), ("vic", "user removed")]


@pytest.mark.security(4)
def test_sessions_end_when_unused_or_old(api: Api, redis_socket: str, prefix: str) -> None:
    with redis.Redis(unix_socket_path=redis_socket, protocol=2) as raw:
        for change in ({"created_at": int(time.time()) - 86_401}, {"seen_at": int(time.time()) - 28_801}):
            api.log_in("ana")
            (key,) = list(raw.scan_iter(f"{prefix}session:*"))
            assert 28_000 < raw.ttl(key) <= 28_800
            raw.hset(key, mapping=change)
            assert api.get("/auth/me", user="ana").status == 401, change
            assert not raw.exists(key)


@pytest.mark.fault(8)
def test_sign_out_everywhere(api: Api) -> None:
    for _ in range(3):
        api.log_in("vic")
    api.log_in("ana")
    assert api.post("/auth/logout-all", user="vic", body={"username": "ana"}).status == 403
    assert api.post("/auth/logout-all", user="ana", body={"username": "nobody"}).status == 404
    assert api.post("/auth/logout-all", user="ana", body={"username": "vic"}).data == {
        "username": "vic",
        "sessions": 3,
    }
    assert api.get("/auth/me", user="vic").status == 401
    assert api.get("/auth/me", user="ana").status == 200
    assert api.post("/auth/logout-all", user="ana").data == {"username": "ana", "sessions": 1}


# ---------------------------------------------------------------------------------------- throttle


@pytest.mark.fault(63)
@pytest.mark.security(6)
@pytest.mark.fault(3)
@pytest.mark.fault(4)
def test_failures_throttle_one_name_from_one_address_only(redis_socket: str, prefix: str) -> None:
    options = {**SIGN_IN, "trust_proxy": True, "trusted_proxies": ["127.0.0.1"], "rate_limit": -1}
    with serve(f"unix:{redis_socket}", prefix, **options) as api:
        answers = in_threads(50, lambda _: api.log_in("ana", "wrong", **{"X-Forwarded-For": "192.0.2.1"}))
        statuses = [answer.status for answer in answers]
        assert statuses.count(401) == 5, statuses
        assert statuses.count(429) == 45
        throttled = next(answer for answer in answers if answer.status == 429)
        assert throttled.code == "LOGIN_THROTTLED"
        assert 0 < int(throttled.headers["Retry-After"]) <= 300
        assert api.log_in("ana", **{"X-Forwarded-For": "192.0.2.1"}).status == 429
        assert api.log_in("ana", **{"X-Forwarded-For": "192.0.2.2"}).status == 200


@pytest.mark.security(6)
@pytest.mark.fault(4)
def test_failures_over_many_names_throttle_the_address(api: Api) -> None:
    statuses = [api.log_in(f"user{number}", "wrong").status for number in range(31)]
    assert statuses == [401] * 30 + [429]


def test_success_forgets_the_failures_of_the_pair(api: Api) -> None:
    for _ in range(4):
        api.log_in("ana", "wrong")
    assert api.log_in("ana").status == 200
    assert [api.log_in("ana", "wrong").status for _ in range(5)] == [401] * 5
    assert api.log_in("ana").status == 429


@pytest.mark.parametrize("password", ["x" * 73, "x" * 256, "a\0b", "ü" * 100, "\u202e"])
def test_strange_passwords_never_match(api: Api, password: str) -> None:
    assert api.log_in("ana", password).status == 401


def test_too_long_names_and_passwords_are_refused(api: Api) -> None:
    assert api.log_in("x" * 65).code == "BAD_REQUEST"
    assert api.log_in("ana", "x" * 257).code == "BAD_REQUEST"


@pytest.mark.security(5)
def test_unknown_names_take_as_long_as_wrong_passwords(api: Api) -> None:
    passwords = api.app.context.passwords
    user = api.app.context.settings.users["ana"]

    def seconds(known: bool) -> float:
        begun = time.thread_time()  # what others use the machine for does not count
        assert not passwords.match("wrong", user if known else None)
        return time.thread_time() - begun

    seconds(False)
    pairs = [(seconds(True), seconds(False)) for _ in range(300)]
    known, unknown = (statistics.median(column) for column in zip(*pairs, strict=True))
    assert abs(known - unknown) / known < 0.05


@pytest.mark.security(5)
def test_a_whole_sign_in_takes_as_long_for_names_that_nobody_has(redis_socket: str, prefix: str) -> None:
    """The same at the cost that new hashes have, over the whole way of a request."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(12)).decode()
    users = [{"username": "ana", "password_hash": hashed, "role": "admin"}]
    with serve(f"unix:{redis_socket}", prefix, auth_enabled=True, auth_users=users, rate_limit=-1) as api:

        def seconds(name: str, address: str) -> float:
            body = json.dumps({"username": name, "password": "wrong"}).encode()
            environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/auth/login", "REMOTE_ADDR": address}
            environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
            statuses: list[str] = []
            begun = time.thread_time()  # what others use the machine for does not count
            pieces = api.app(
                {**environ, "wsgi.input": io.BytesIO(body)}, lambda status, fields: statuses.append(status)
            )
            assert b"UNAUTHORIZED" in b"".join(pieces)
            return time.thread_time() - begun

        seconds("ana", "192.0.2.250")
        pairs = [
            (seconds("ana", f"192.0.2.{number}"), seconds(f"user{number}", f"192.0.2.{number}"))
            for number in range(5)
        ]
    known, unknown = (min(column) for column in zip(*pairs, strict=True))
    assert known > 0.05, "it is a hash of real cost"
    assert abs(known - unknown) / known < 0.05


@pytest.mark.security(7)
def test_no_key_is_taken_from_a_url_or_written_anywhere(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "wrong-key-" + "w" * 32
    for query in (f"api_key={ADMIN_KEY}", f"key={ADMIN_KEY}", f"X-API-Key={ADMIN_KEY}"):
        assert api.get(f"/api/v1/queues?{query}", key=None).status == 401
    answers = [
        api.get("/api/v1/queues"),
        api.get("/api/v1/queues", key=wrong),
        api.post("/api/v1/queues/default/pause", key=wrong),
        api.get("/auth/keys"),
        api.get("/api/v1/audit"),
        api.get("/metrics"),
        api.get(f"/api/v1/jobs/{ADMIN_KEY}", key=None),
    ]
    logged = "".join(record.getMessage() for record in caplog.records)
    assert "/api/v1/queues" in logged
    for secret in (ADMIN_KEY, wrong):
        assert secret not in logged
        assert all(secret not in answer.raw.decode() for answer in answers)
    assert api.get("/auth/keys").data[0]["last_used_at"] is not None


@pytest.mark.security(9)
def test_an_omitted_role_is_the_least(redis_socket: str, prefix: str) -> None:
    options: dict[str, Any] = {"auth_enabled": True, "auth_users": [USERS[1]], "rate_limit": -1}
    options["api_keys"] = [{"name": "bare", "key": ADMIN_KEY}]
    with serve(f"unix:{redis_socket}", prefix, **options) as api:
        assert api.get("/auth/me").data["role"] == "viewer"
        assert api.log_in("vic").data["role"] == "viewer"
        for who in ({}, {"user": "vic"}):
            assert api.post("/api/v1/queues/default/pause", **who).code == "FORBIDDEN"


# ------------------------------------------------------------------------------- CSRF, origin, host


@pytest.mark.security(2)
def test_writes_of_browsers_need_the_header_and_their_own_site(api: Api) -> None:
    api.client.enqueue("a")
    api.log_in("ana")
    path = "/api/v1/queues/default/pause"
    assert api.post(path, user="ana", headers={"X-GQM-CSRF": "0"}).code == "CSRF_REQUIRED"
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
    ):
        assert api.post(path, user="ana", headers=headers).code == "BAD_ORIGIN", headers
    own = f"http://127.0.0.1:{api.port}"
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": own}, {}):
        assert api.post(path, user="ana", headers=headers).status == 200, headers
    evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert api.post(path, key=ADMIN_KEY, headers=evil).status == 200
    assert api.post("/auth/logout", user="ana", headers={"X-GQM-CSRF": ""}).code == "CSRF_REQUIRED"
    assert api.log_in("ana", **{"Sec-Fetch-Site": "cross-site"}).code == "BAD_ORIGIN"


@pytest.mark.security(2)
def test_without_sign_in_only_this_machine_gets_through(redis_socket: str, prefix: str) -> None:
    with serve(f"unix:{redis_socket}", prefix) as api:
        api.client.enqueue("a")
        assert api.get("/auth/me", key=None).data["auth"] == "anonymous"
        for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]", "192.0.2.1", ""):
            answer = api.get("/api/v1/queues", key=None, headers={"Host": host})
            assert answer.code == "BAD_HOST", host
        for host in ("localhost", "LOCALHOST:1", "127.8.9.1", "[::1]", f"127.0.0.1:{api.port}"):
            assert api.get("/api/v1/queues", key=None, headers={"Host": host}).status == 200, host
        path = "/api/v1/queues/default/pause"
        assert api.post(path, key=None).code == "CSRF_REQUIRED"
        assert api.post(path, key=None, headers={"X-GQM-CSRF": "1"}).status == 200


@pytest.mark.security(1)
@pytest.mark.fault(62)
@pytest.mark.fault(2)
def test_a_public_address_needs_users_or_keys_from_yaml_and_from_code() -> None:
    for address in (":8080", "0.0.0.0:8080", "[::]:8080", "192.0.2.1:80"):
        with pytest.raises(ConfigError, match="needs users or API keys"):
            make_config("localhost:1", "x:", api_addr=address)
        text = f'monitoring:\n  api:\n    enabled: true\n    addr: "{address}"\n'
        with pytest.raises(ConfigError, match="needs users or API keys"):
            parse_config(text, env={})
        make_config("localhost:1", "x:", api_addr=address, api_keys=KEYS)


@pytest.mark.security(1)
@pytest.mark.fault(2)
def test_a_mounted_api_needs_users_or_keys(redis_socket: str, prefix: str) -> None:
    from gqm import Client

    with Client(f"unix:{redis_socket}", prefix=prefix) as client:
        with pytest.raises(ConfigError, match="mounted"):
            make_app(client)
        with pytest.raises(ConfigError):
            make_app(client, auth_enabled=True)
        make_app(client, authenticate=lambda environ: ("bo", "viewer")).close()


@pytest.mark.fault(6)
def test_a_user_named_like_a_key_is_a_config_error() -> None:
    with pytest.raises(ConfigError):
        make_config("localhost:1", "x:", auth_enabled=True, auth_users=[{**USERS[0], "username": "apikey:x"}])


@pytest.mark.parametrize("prefix_path", ["/", "x", "/x/", "/health", "/api/x", "/auth", "/a/../b", "/.x"])
@pytest.mark.fault(25)
def test_wrong_dashboard_paths_are_config_errors(prefix_path: str) -> None:
    with pytest.raises(ConfigError):
        make_config("localhost:1", "x:", dashboard=True, path_prefix=prefix_path)


# ----------------------------------------------------------------------------------------- proxies


@pytest.mark.security(22)
@pytest.mark.fault(10)
def test_forwarded_addresses_count_from_trusted_proxies_only(redis_socket: str, prefix: str) -> None:
    where = f"unix:{redis_socket}"

    def refused(api: Api, address: str) -> int:
        answers = [api.get("/auth/me", headers={"X-Forwarded-For": address}) for _ in range(12)]
        return sum(answer.status == 429 for answer in answers)

    trusting = {"trust_proxy": True, "trusted_proxies": ["127.0.0.0/8"], "rate_limit": 3}
    with serve(where, prefix, api_keys=KEYS, **trusting) as api:
        assert refused(api, "192.0.2.1") > 0
        assert api.get("/auth/me", headers={"X-Forwarded-For": "192.0.2.2"}).status == 200
        forged = {"X-Forwarded-For": "203.0.113.9, 192.0.2.1"}
        assert api.get("/auth/me", headers=forged).status == 429, (
            "what stands left of it is the client's word"
        )
    with serve(where, prefix, api_keys=KEYS, rate_limit=3) as api:
        assert refused(api, "192.0.2.1") > 0
        assert api.get("/auth/me", headers={"X-Forwarded-For": "192.0.2.2"}).status == 429
        assert (
            "Strict-Transport-Security"
            not in api.get("/health", headers={"X-Forwarded-Proto": "https"}).headers
        )


def test_https_by_a_proxy_makes_cookies_secure(redis_socket: str, prefix: str) -> None:
    options = {**SIGN_IN, "trust_proxy": True, "trusted_proxies": ["127.0.0.1"]}
    with serve(f"unix:{redis_socket}", prefix, **options) as api:
        answer = api.log_in("ana", **{"X-Forwarded-Proto": "https"})
        assert answer.headers["Set-Cookie"].startswith("__Host-gqm_session=")
        assert answer.headers["Set-Cookie"].endswith("; Secure")
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        secure = {"X-Forwarded-Proto": "https"}
        assert api.get("/auth/me", user="ana", headers=secure).status == 200
        assert api.get("/auth/me", user="ana").status == 401, "over plain http the cookie has another name"


# ------------------------------------------------------------------------------------------- audit


@pytest.mark.security(21)
@pytest.mark.fault(9)
def test_each_write_makes_one_entry(api: Api) -> None:
    api.client.enqueue("a", job_id="one")
    api.log_in("ana")
    api.log_in("ana", "wrong")
    api.log_in("vic")
    writes = [
        ("POST", "/api/v1/queues/default/pause", None, "queue.pause", "default"),
        ("POST", "/api/v1/queues/default/resume", None, "queue.resume", "default"),
        ("POST", "/api/v1/jobs", {"type": "b", "job_id": "two"}, "job.enqueue", "two"),
        ("POST", "/api/v1/jobs/one/cancel", None, "job.cancel", "one"),
        ("POST", "/api/v1/jobs/one/retry", None, "job.retry", "one"),
        ("DELETE", "/api/v1/jobs/one", None, "job.delete", "one"),
        ("POST", "/api/v1/jobs/batch/cancel", {"job_ids": ["two"]}, "batch.cancel", "two"),
        ("DELETE", "/api/v1/queues/default/empty", None, "queue.empty", "default"),
        ("POST", "/api/v1/queues/default/dead-letter/retry-all", None, "dlq.retry_all", "default"),
        ("DELETE", "/api/v1/queues/default/dead-letter/clear", None, "dlq.clear", "default"),
    ]
    for method, path, body, action, target in writes:
        answer = api.ask(method, path, user="ana", body=body)
        assert answer.status == 200, str(answer)
        entries = audit(api, request_id=answer.headers["X-Request-ID"])
        assert len(entries) == 1, (path, entries)
        entry = entries[0]
        assert (entry["action"], entry["target"]) == (action, target)
        assert (entry["actor"], entry["role"], entry["source"]) == ("ana", "admin", "session")
        assert (entry["address"], entry["ok"], entry["code"]) == ("127.0.0.1", True, None)
    for answer, action, code in (
        (api.post("/api/v1/queues/default/pause", user="vic"), "auth.refused", "FORBIDDEN"),
        (api.post("/api/v1/queues/default/pause", key=None), "auth.refused", "UNAUTHORIZED"),
        (api.post("/api/v1/jobs/none/retry", user="ana"), "job.retry", "NOT_FOUND"),
        (api.post("/api/v1/jobs", user="ana", body={"type": "a", "depends_on": ["x"]}), "job.enqueue", None),
        (api.post("/auth/logout", user="ana"), "auth.logout", None),
    ):
        entries = audit(api, request_id=answer.headers["X-Request-ID"])
        assert [entry["action"] for entry in entries] == [action]
        if code:
            assert (entries[0]["ok"], entries[0]["code"]) == (False, code)
    assert len(audit(api, action="auth.login")) == 2
    assert [entry["actor"] for entry in audit(api, action="auth.login_failed")] == ["ana"]
    assert api.delete("/api/v1/queues/default/empty?dry_run=true").data == {
        "queue": "default",
        "dry_run": True,
        "matched": 0,
    }
    assert len(audit(api, action="queue.empty")) == 1, "a dry run is not recorded"


def test_a_flood_of_refusals_is_summed_up(api: Api) -> None:
    api.client.enqueue("a")
    in_threads(30, lambda _: api.post("/api/v1/queues/default/pause", key=None))
    time.sleep(1.1)  # the sum is told with the next refusal of another second
    api.post("/api/v1/queues/default/pause", key=None)
    refused = audit(api, action="auth.refused")
    summed = sum(entry["count"] for entry in audit(api, action="audit.suppressed"))
    assert len(refused) + summed == 31
    assert len(refused) <= 31 - summed
