"""Every route, asked by everybody: roles, headers, refusals, answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest

from gqm.monitor.problems import STATUS
from gqm.monitor.table import Row
from tests.api.support import ADMIN_KEY, KEYS, VIEWER_KEY, Api, serve

ASKERS = ("nobody", "viewer key", "admin key", "viewer session", "admin session")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), camera=()",
    "Server": "gqm",
}


def path_of(row: Row) -> str:
    return row.path.replace("{name}", "default").replace("{id}", "some-job").replace("*", "config.json")


def ask(api: Api, row: Row, asker: str) -> object:
    headers: dict[str, str] = {}
    key = {"viewer key": VIEWER_KEY, "admin key": ADMIN_KEY}.get(asker)
    user = {"viewer session": "vic", "admin session": "ana"}.get(asker)
    if row.method != "GET":
        headers["X-GQM-CSRF"] = "1"
    return api.ask(row.method, path_of(row), key=key, user=user, headers=headers)


def allowed(row: Row, asker: str) -> bool:
    if row.access == "none":
        return True
    if asker == "nobody" or (row.session_only and "key" in asker):
        return False
    return row.access == "viewer" or asker.startswith("admin")


@pytest.fixture
def signed_in(api: Api) -> Api:
    api.client.enqueue("mail.send", {"n": 1}, job_id="some-job")
    return api


def sign_in_again(api: Api) -> None:
    for name in ("ana", "vic"):
        assert api.log_in(name).status == 200


@pytest.mark.security(8)
@pytest.mark.security(9)
def test_each_route_lets_in_whom_its_role_says(signed_in: Api) -> None:
    api = signed_in
    streams = [row for row in api.app.context.router.rows if row.path.endswith("/events")]
    assert len(streams) == 1
    checked = 0
    for row in api.app.context.router.rows:
        if row in streams:
            continue
        for asker in ASKERS:
            sign_in_again(api)
            answer = ask(api, row, asker)
            where = f"{row.method} {row.path} as {asker}: {answer}"
            if allowed(row, asker):
                assert answer.status not in (401, 403) or row.path == "/auth/login", where  # type: ignore[attr-defined]
            elif row.session_only and "key" in asker:
                assert answer.status == 400, where  # type: ignore[attr-defined]
            else:
                assert answer.status == (401 if asker == "nobody" else 403), where  # type: ignore[attr-defined]
            checked += 1
    assert checked >= 48 * len(ASKERS)


def test_a_row_cannot_be_written_without_a_role() -> None:
    with pytest.raises(TypeError):
        Row("GET", "/x", handler=None, summary="x")  # type: ignore[call-arg,arg-type]


@pytest.mark.security(3)
@pytest.mark.security(10)
@pytest.mark.fault(12)
def test_every_answer_carries_the_security_headers_and_none_cors(signed_in: Api) -> None:
    api = signed_in
    targets = [(row.method, path_of(row)) for row in api.app.context.router.rows if "events" not in row.path]
    targets += [("GET", "/nowhere"), ("PUT", "/api/v1/queues"), ("OPTIONS", "/api/v1/queues")]
    for method, path in targets:
        answer = api.ask(method, path)
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers.get(name) == value, (method, path, name)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';"), (method, path)
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert len(answer.headers["X-Request-ID"]) == 16
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert "Strict-Transport-Security" not in answer.headers
        first = "/" + path.split("/")[1].partition("?")[0]
        if first in ("/api", "/auth", "/health", "/ready", "/metrics"):
            assert answer.headers["Cache-Control"] == "no-store", (method, path)


@pytest.mark.fault(13)
def test_refusals_on_every_path_are_json_with_a_code(signed_in: Api) -> None:
    api = signed_in
    for row in api.app.context.router.rows:
        if row.path.endswith("/events"):
            continue
        for answer in (api.ask("PATCH", path_of(row)), api.ask(row.method, path_of(row), key="wrong" * 8)):
            if answer.status in (200, 302):
                continue
            assert set(answer.json) >= {"error", "code"}, answer
            assert STATUS[answer.code] == answer.status


def test_success_has_data_and_the_clock_of_redis(signed_in: Api) -> None:
    api = signed_in
    now = api.app.context.backend.now()
    for row in api.app.context.router.rows:
        if row.method == "GET" and row.path.startswith(("/api/v1", "/auth")) and row.answer is not None:
            answer = api.get(path_of(row))
            if answer.status == 200:
                assert "data" in answer.json
                assert abs(answer.json["meta"]["server_time"] - now) < 30
                if row.lists:
                    assert {"page", "limit", "total", "truncated"} <= set(answer.json["meta"]), row.path


def test_head_answers_as_get_without_a_body(api: Api) -> None:
    for path in ("/health", "/api/v1/queues", "/openapi.json", "/nowhere"):
        got, head = api.get(path), api.ask("HEAD", path)
        assert head.status == got.status
        assert head.raw == b""
        # The server's time in the body has up to six decimals, and loses the zeros at its end.
        assert abs(int(head.headers["Content-Length"]) - int(got.headers["Content-Length"])) <= 6


def test_options_is_refused_and_names_what_is_possible(api: Api) -> None:
    answer = api.ask("OPTIONS", "/api/v1/queues")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert api.ask("OPTIONS", "/api/v1/jobs/x").headers["Allow"] == "DELETE, GET, HEAD"


def test_answers_fit_the_description(signed_in: Api) -> None:
    import jsonschema

    api = signed_in
    document = api.get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    rows = [row for row in api.app.context.router.rows if row.answer is not None and row.method == "GET"]
    checked = 0
    for row in rows:
        answer = api.get(path_of(row))
        if answer.status != 200:
            continue
        operation = document["paths"][row.path]["get"]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json, {**schema, "components": document["components"]})
        checked += 1
    assert checked >= 20


def test_description_names_every_row(api: Api) -> None:
    document = api.get("/openapi.json", key=None).json
    operations = [name for path in document["paths"].values() for name in path]
    assert len(operations) == len(api.app.context.router.rows)
    tag = api.get("/openapi.json").headers["ETag"]
    assert api.get("/openapi.json", headers={"If-None-Match": tag}).status == 304


def test_numbers_are_numbers_and_units_are_in_names(signed_in: Api) -> None:
    def walk(value: object, path: str = "") -> Iterator[tuple[str, object]]:
        if isinstance(value, dict):
            for name, item in value.items():
                yield from walk(item, f"{path}.{name}")
        elif isinstance(value, list):
            for item in value:
                yield from walk(item, path)
        else:
            yield path, value

    for path in ("/api/v1/queues", "/api/v1/jobs", "/api/v1/stats", "/api/v1/jobs/some-job"):
        for name, value in walk(signed_in.get(path).data):
            if isinstance(value, str) and not name.endswith((".id", ".created_at")):
                assert not value.isdigit(), (path, name, value)
            if isinstance(value, int) and not isinstance(value, bool):
                assert value < 10**13, (path, name, value)


@pytest.mark.fault(62)
@pytest.mark.fault(1)
def test_with_keys_and_sign_in_off_every_call_without_a_key_is_refused(keyed: Api) -> None:
    for row in keyed.app.context.router.rows:
        if row.path.startswith("/api/v1"):
            assert keyed.ask(row.method, path_of(row), key=None).status == 401, row.path


def test_a_wrong_key_beats_a_good_cookie(api: Api) -> None:
    api.log_in("ana")
    answer = api.get("/api/v1/queues", user="ana", headers={"X-API-Key": "x" * 40})
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert api.get("/auth/me", key=None, headers={"Authorization": f"Bearer {VIEWER_KEY}"}).data == {
        "username": "apikey:grafana",
        "role": "viewer",
        "auth": "key",
        "expires_at": None,
    }


@pytest.mark.security(23)
def test_metrics_need_a_credential_unless_they_are_public(redis_socket: str, prefix: str, api: Api) -> None:
    assert api.get("/metrics", key=None).status == 401
    assert api.get("/metrics", key=VIEWER_KEY).status == 200
    with serve(f"unix:{redis_socket}", prefix, api_keys=KEYS, metrics_public=True) as public:
        assert public.get("/metrics", key=None).status == 200


def test_every_error_text_may_change_but_codes_are_known() -> None:
    assert len(STATUS) == len(set(STATUS))
    assert json.loads(msgspec.json.encode(sorted(STATUS))) == sorted(STATUS)
