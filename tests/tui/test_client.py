"""The API client: what it asks, how it reads success and refusal, and who it speaks as."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from gqm_tui.core import transport
from gqm_tui.core.answers import JobDone, QueueDone, Switched
from gqm_tui.core.client import HttpClient, Param, path
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import Job, Me, Queue, Stats
from tests.support.tui import job, queue, stats
from tests.support.tui_http import CUT, Pretended, answer, pretended
from tests.tui.talking import KEY, META, TOKEN, enveloped, failing, get_failing, get_stats, ok, run, talk

# -- what is asked


@pytest.mark.fault(24)
def test_every_part_of_a_path_is_encoded() -> None:
    assert path("queues") == "/api/v1/queues"
    assert path("queues", "a/b c%?#é", "jobs") == "/api/v1/queues/a%2Fb%20c%25%3F%23%C3%A9/jobs"
    assert path("queues", "..", ".", "a.b") == "/api/v1/queues/%2E%2E/%2E/a.b"
    assert path("queues", "\ud800") == "/api/v1/queues/%3F"


def test_paths_and_parameters_go_out_as_they_were_made() -> None:
    async def ask(client: HttpClient, server: Pretended) -> str:
        params: dict[str, Param] = {
            "status": ["ready", "retry"],
            "q": "a b&c=ü",
            "sum": True,
            "ok": False,
            "page": 2,
            "until": 1_795_521_603.25,
            "since": None,
        }
        await client.get(path("queues", "..", "a/b"), params, Stats)
        return server.heads[0].splitlines()[0]

    assert talk(ask, ok(stats())) == (
        "GET /api/v1/queues/%2E%2E/a%2Fb?status=ready%2Cretry&q=a+b%26c%3D%C3%BC&sum=true&ok=false"
        "&page=2&until=1795521603.25 HTTP/1.1"
    )


def test_a_write_carries_the_csrf_field_and_a_read_does_not() -> None:
    async def ask(client: HttpClient, server: Pretended) -> None:
        await client.get(path("stats"), None, Stats)
        assert server.field("X-GQM-CSRF") is None
        assert server.field("X-API-Key") == KEY
        assert server.field("Content-Type") is None
        await client.send("DELETE", path("queues", "a", "empty"), {"dry_run": True}, None, QueueDone)
        assert server.field("X-GQM-CSRF") == "1"
        assert server.field("Content-Type") is None
        await client.send("POST", path("jobs", "batch", "retry"), None, {"job_ids": ["a"]}, QueueDone)
        assert server.field("Content-Type") == "application/json"
        assert server.bodies[-1] == b'{"job_ids":["a"]}'
        assert server.connections == 1

    talk(ask, ok(stats()), ok({}), api_key=f" {KEY}\n")


def test_a_mounted_api_is_found_below_its_path() -> None:
    async def ask() -> str:
        async with pretended(ok(stats())) as server:
            client = HttpClient(f"http://127.0.0.1:{server.port}/queue/")
            await client.get(path("stats"), None, Stats)
            await client.close()
            return server.heads[0].splitlines()[0]

    assert run(ask()) == "GET /queue/api/v1/stats HTTP/1.1"


@pytest.mark.parametrize(
    ("url", "origin", "insecure"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", False),
        ("http://127.9.9.9", "http://127.9.9.9", False),
        ("http://localhost:1/", "http://localhost:1", False),
        ("http://[::1]:8080", "http://[::1]:8080", False),
        ("http://q.example", "http://q.example", True),
        ("http://192.0.2.7:80", "http://192.0.2.7:80", True),
        ("http://localhost.example", "http://localhost.example", True),
        ("https://q.example:8443/a", "https://q.example:8443", False),
    ],
)
def test_plain_http_to_another_machine_is_known_as_insecure(url: str, origin: str, insecure: bool) -> None:
    client = HttpClient(url)
    assert (client.origin, client.insecure_transport) == (origin, insecure)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "q.example:8080",
        "ftp://x",
        "http://",
        "http://x:port",
        "http://a:secret@x",
        "http://a:secret@x:y",
        "http://a:secret@[x",
        "http://x/?a=secret",
    ],
)
def test_an_unfit_url_is_refused_without_telling_what_may_be_a_password(url: str) -> None:
    with pytest.raises(ApiError) as refused:
        HttpClient(url)
    assert refused.value.kind is Kind.PROTOCOL
    assert "secret" not in refused.value.sentence


@pytest.mark.parametrize("key", ["geheim\nX-Evil: 1", "schlüssel", "a\x00b"])
def test_a_key_that_no_header_can_carry_is_refused_without_telling_it(key: str) -> None:
    with pytest.raises(ApiError) as refused:
        HttpClient("http://127.0.0.1", api_key=key)
    assert refused.value.sentence == "the API key has characters that no header can carry"


# -- what comes back


@pytest.mark.fault(25)
@pytest.mark.parametrize("status", ["200 OK", "201 Created", "202 Accepted"])
def test_every_success_is_one(status: str) -> None:
    async def act(client: HttpClient, _: Pretended) -> Switched:
        reply = await client.send("POST", path("queues", "a", "pause"), None, None, Switched)
        return reply.data

    sent = enveloped({"queue": "a", "status": "paused", "changed": False})
    assert talk(act, answer(sent, status)) == Switched(queue="a", status="paused", changed=False)


@pytest.mark.fault(25)
def test_a_success_without_a_body_is_one() -> None:
    async def act(client: HttpClient, _: Pretended) -> JobDone:
        return (await client.send("DELETE", path("jobs", "a"), None, None, JobDone)).data

    assert talk(act, answer(status="204 No Content")) == JobDone()


def test_a_reading_without_a_body_is_not_understood() -> None:
    error = talk(get_failing, answer(status="204 No Content"))
    assert (error.kind, error.sentence) == (Kind.PROTOCOL, "the answer is empty")


def test_a_reply_says_when_it_was_true_and_how_long_it_took() -> None:
    async def ask(client: HttpClient, _: Pretended) -> None:
        reply = await client.get(path("stats"), None, Stats)
        assert reply.meta.server_time == 1_795_521_603.25
        assert 0 < reply.took_ms < 5_000
        assert abs(reply.local_mid - asyncio.get_running_loop().time()) > 1_000  # wall time, not monotonic

    talk(ask, ok(stats()))


def test_every_digit_of_a_payload_survives() -> None:
    text = b'{"n":12345678901234567890.123456789012345678901234567890,"e":1e400}'
    raw = enveloped(job()).replace(b'"id":', b'"payload":' + text + b',"id":', 1)

    async def ask(client: HttpClient, _: Pretended) -> Job:
        return (await client.get(path("jobs", "x"), None, Job)).data

    assert bytes(talk(ask, answer(raw)).payload) == text


def test_a_newer_server_is_understood() -> None:
    newer = {**queue(), "colour": {"deep": [1]}, "status": 7}
    raw = enveloped([newer]).replace(META, b'"meta":{"server_time":5,"cursor":"x"},"more":1')

    async def ask(client: HttpClient, _: Pretended) -> list[Queue]:
        return (await client.get(path("queues"), None, list[Queue])).data

    assert talk(ask, answer(raw))[0].name == "billing"


def test_one_wrong_item_is_named_by_its_field() -> None:
    async def ask(client: HttpClient, _: Pretended) -> ApiError:
        return await failing(client.get(path("queues"), None, list[Queue]))

    error = talk(ask, ok([queue(), queue("b", ready="many")]))
    assert error.kind is Kind.PROTOCOL
    assert error.sentence == "answer not understood: Expected `int`, got `str` - at `$.data[1].ready`"


@pytest.mark.parametrize(
    "raw",
    [
        answer(b"<html>hello</html>", "200 OK", "Content-Type: text/html"),
        answer(b"\xff\xfe", "200 OK"),
    ],
)
def test_another_program_behind_the_address_is_told(raw: bytes) -> None:
    error = talk(get_failing, raw)
    assert error.kind is Kind.PROTOCOL
    assert "does not answer as GQM's API does, but with" in error.sentence


def test_an_endless_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER", 1_000)
    error = talk(get_failing, answer(b"x" * 5_000))
    assert (error.kind, error.sentence) == (Kind.PROTOCOL, "the answer is larger than 0 MiB")


# -- refusals


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("400 Bad Request", "BAD_REQUEST", Kind.PROTOCOL),
        ("401 Unauthorized", "UNAUTHORIZED", Kind.UNAUTHORIZED),
        ("403 Forbidden", "CSRF_REQUIRED", Kind.FORBIDDEN),
        ("404 Not Found", "NOT_FOUND", Kind.NOT_FOUND),
        ("405 Method Not Allowed", "METHOD_NOT_ALLOWED", Kind.PROTOCOL),
        ("408 Request Timeout", "REQUEST_TIMEOUT", Kind.TIMEOUT),
        ("409 Conflict", "CONFLICT", Kind.CONFLICT),
        ("413 Payload Too Large", "PAYLOAD_TOO_LARGE", Kind.PROTOCOL),
        ("429 Too Many Requests", "RATE_LIMITED", Kind.LIMITED),
        ("500 Internal Server Error", "INTERNAL", Kind.UNAVAILABLE),
        ("503 Service Unavailable", "REDIS_UNAVAILABLE", Kind.UNAVAILABLE),
    ],
)
def test_refusals_have_kind_code_text_and_reference(status: str, code: str, kind: Kind) -> None:
    body = msgspec.json.encode({"error": "so it is", "code": code})
    error = talk(get_failing, answer(body, status, "X-Request-ID: 5b1e0c7d9a3f2e64", "Retry-After: 7"))
    assert (error.kind, error.status, error.code) == (kind, int(status[:3]), code)
    assert (error.sentence, error.ref, error.retry_after) == ("so it is", "5b1e0c7d9a3f2e64", 7.0)


@pytest.mark.fault(18)
def test_an_error_is_one_clean_sentence() -> None:
    text = "line one\nline\ttwo \x1b]0;title\x07 \u202e‮ [/b] " + "long " * 500
    body = msgspec.json.encode({"error": text, "code": "CONFLICT"})
    error = talk(get_failing, answer(body, "409 Conflict"))
    assert error.sentence.startswith("line one line two ␛]0;title␇ ‹U+202E›‹U+202E› [/b] long long")
    assert len(error.sentence) <= 300
    assert all(ord(char) >= 0x20 for char in error.sentence)
    assert str(error) == error.sentence


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (answer(b"<html>", "502 Bad Gateway", "Content-Type: text/html"), "502 Bad Gateway"),
        (answer(b"", "599 What"), "status 599"),
        (answer(b'{"error":5}', "404 Not Found"), "404 Not Found"),
    ],
)
def test_a_refusal_of_another_program_is_a_sentence_too(raw: bytes, sentence: str) -> None:
    assert talk(get_failing, raw).sentence == sentence


@pytest.mark.parametrize("value", ["", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "9999999999", "¹"])
def test_a_strange_retry_after_is_none(value: str) -> None:
    raw = answer(b"{}", "503 Service Unavailable", f"Retry-After: {value}")
    assert talk(get_failing, raw).retry_after is None


def test_a_redirect_is_an_error_and_the_key_does_not_follow_it() -> None:
    async def ask() -> None:
        async with pretended(ok(stats())) as other:
            to = f"http://127.0.0.1:{other.port}/api/v1/stats"
            async with pretended(answer(status="302 Found") + b"", answer(b"", "x")) as server:
                server.answers = [answer(b"", "307 Temporary Redirect", f"Location: {to}")]
                client = HttpClient(f"http://127.0.0.1:{server.port}", api_key=KEY)
                for work in (
                    client.get(path("stats"), None, Stats),
                    client.send("POST", path("queues", "a", "pause"), None, None, Switched),
                ):
                    error = await failing(work)
                    assert error.kind is Kind.PROTOCOL
                    assert to in error.sentence
                await client.close()
            assert other.heads == []

    run(ask())


# -- signing in

SIGNED = {"username": "ana", "role": "admin", "expires_at": 1_795_600_000}
ME = {**SIGNED, "auth": "session"}


@pytest.mark.parametrize("name", ["gqm_session", "__Host-gqm_session"])
def test_the_session_speaks_after_signing_in(name: str) -> None:
    async def act(client: HttpClient, server: Pretended) -> None:
        me = await client.login("ana", "pass word")
        assert me.is_admin
        assert server.field("X-API-Key", 0) is None
        assert server.field("X-GQM-CSRF", 0) == "1"
        assert server.bodies[0] == b'{"username":"ana","password":"pass word"}'
        assert server.field("Cookie", 1) == f"{name}={TOKEN}"
        assert server.field("X-API-Key", 1) is None
        await client.logout()
        assert server.heads[2].startswith("POST /auth/logout ")
        assert server.field("Cookie", 2) == f"{name}={TOKEN}"
        await client.get("/auth/me", None, Me)
        assert server.field("Cookie", 3) is None

    cookie = f"Set-Cookie: {name}={TOKEN}; Path=/; Max-Age=86400; HttpOnly; SameSite=Strict; Secure"
    other = "Set-Cookie: tracker=1; Path=/"
    talk(act, ok(SIGNED, other, cookie), ok(ME), ok({"logged_out": True}), ok(ME), api_key=KEY)


def test_a_cookie_that_comes_by_itself_is_not_kept() -> None:
    async def act(client: HttpClient, server: Pretended) -> None:
        await get_stats(client, server)
        await get_stats(client, server)
        assert server.field("Cookie") is None

    talk(act, ok(stats(), f"Set-Cookie: gqm_session={TOKEN}; Path=/"))


def test_signing_out_forgets_the_session_also_when_the_server_is_away() -> None:
    async def act(client: HttpClient, server: Pretended) -> None:
        await client.login("ana", "x")
        assert (await failing(client.logout())).kind is Kind.REFUSED
        await client.get("/auth/me", None, Me)
        assert server.field("Cookie") is None

    talk(act, ok(SIGNED, f"Set-Cookie: gqm_session={TOKEN}"), ok(ME), CUT, ok(ME))


@pytest.mark.parametrize(
    "cookie", ["x=1", "gqm_session=short", f"gqm_session={TOKEN}0", f"gqm_session={'G' * 64}"]
)
def test_signing_in_without_a_session_is_told(cookie: str) -> None:
    async def act(client: HttpClient, _: Pretended) -> ApiError:
        return await failing(client.login("ana", "x"))

    error = talk(act, ok(SIGNED, f"Set-Cookie: {cookie}"))
    assert (error.kind, error.sentence) == (Kind.PROTOCOL, "the server signed in, but sent no session")
