"""The API client: addresses, credentials, every failure as one kind of error, and the event stream."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from gqm_tui.core import events, transport
from gqm_tui.core.answers import JobDone, QueueDone, Switched
from gqm_tui.core.client import HttpClient, Param, path
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import Job, Me, Queue, Stats
from tests.support.tui import job, queue, stats
from tests.support.tui_http import CUT, SILENCE, Pretended, answer, pretended
from tests.support.wait import aeventually

T = TypeVar("T")
META = b'"meta":{"server_time":1795521603.25}'
KEY = "k" * 40
TOKEN = "0123456789abcdef" * 4


def enveloped(data: object) -> bytes:
    return b'{"data":' + msgspec.json.encode(data) + b"," + META + b"}"


def ok(data: object, *headers: str) -> bytes:
    return answer(enveloped(data), "200 OK", *headers)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def run(work: Awaitable[T]) -> T:
    async def limited() -> T:
        return await asyncio.wait_for(work, 30)

    return asyncio.run(limited())


async def failing(work: Awaitable[object]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await work
    return caught.value


def talk(
    work: Callable[[HttpClient, Pretended], Awaitable[T]],
    *answers: bytes,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    **options: object,
) -> T:
    """Let a client talk to a pretended server."""

    async def both() -> T:
        async with pretended(*answers, tls=tls) as server:
            url = f"{'https' if tls else 'http'}://{host}:{server.port}"
            client = HttpClient(url, **options)  # type: ignore[arg-type]  # any option of the test's choice
            try:
                return await work(client, server)
            finally:
                await client.close()

    return run(both())


async def get_stats(client: HttpClient, _: Pretended) -> Stats:
    return (await client.get(path("stats"), None, Stats)).data


async def get_failing(client: HttpClient, _: Pretended) -> ApiError:
    return await failing(client.get(path("stats"), None, Stats))


async def write_failing(client: HttpClient, _: Pretended) -> ApiError:
    return await failing(client.send("POST", path("jobs", "a", "retry"), None, None, JobDone))


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
    ["", "q.example:8080", "ftp://x", "http://", "http://x:port", "http://a:secret@x", "http://x/?a=secret"],
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


# -- no answer


def test_a_closed_port_is_refused_and_nothing_was_sent() -> None:
    async def ask() -> ApiError:
        client = HttpClient(f"http://127.0.0.1:{free_port()}")
        error = await failing(client.send("POST", path("jobs", "a", "retry"), None, None, JobDone))
        await client.close()
        return error

    error = run(ask())
    assert error.kind is Kind.REFUSED
    assert error.sentence.endswith(": connection refused")
    assert not error.outcome_unknown


def test_a_name_with_several_closed_addresses_is_refused_in_words() -> None:
    async def ask() -> ApiError:
        client = HttpClient(f"http://localhost:{free_port()}")
        error = await failing(client.get(path("stats"), None, Stats))
        await client.close()
        return error

    assert run(ask()).sentence.endswith(": connection refused")


def test_an_unknown_host_is_refused_in_words() -> None:
    async def ask() -> ApiError:
        client = HttpClient("http://nowhere.invalid")
        error = await failing(client.get(path("stats"), None, Stats))
        await client.close()
        return error

    error = run(ask())
    assert error.kind is Kind.REFUSED
    assert error.sentence.startswith("nowhere.invalid:80: ")
    assert "httpx" not in error.sentence


def test_a_connection_that_is_cut_leaves_a_write_uncertain_and_is_not_repeated() -> None:
    async def act(client: HttpClient, server: Pretended) -> ApiError:
        error = await write_failing(client, server)
        assert len(server.heads) == 1
        return error

    for raw in (CUT, b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{" + CUT):
        error = talk(act, raw)
        assert error.kind is Kind.REFUSED
        assert error.outcome_unknown


@pytest.mark.parametrize("raw", [SILENCE, b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{" + SILENCE])
def test_silence_is_a_timeout_that_leaves_a_write_uncertain(
    raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "READ_S", 0.1)
    error = talk(write_failing, raw)
    assert error.kind is Kind.TIMEOUT
    assert error.sentence.endswith("no answer in 0.1 s")
    assert error.outcome_unknown


def test_a_trickle_without_end_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "TOTAL_S", 0.2)
    error = talk(get_failing, b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{" + SILENCE)
    assert (error.kind, error.sentence) == (Kind.TIMEOUT, "the answer was not complete in 0.2 s")


def test_a_long_call_waits_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_S", 20.0)
    monkeypatch.setattr(transport, "LONG_READ_S", 0.1)

    async def act(client: HttpClient, _: Pretended) -> ApiError:
        return await failing(
            client.send("POST", path("jobs", "batch", "retry"), None, {}, JobDone, long=True)
        )

    assert talk(act, SILENCE).sentence.endswith("no answer in 0.1 s")


def test_busy_connections_are_told_and_nothing_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "CONNECTIONS", 1)
    monkeypatch.setattr(
        transport,
        "timeout",
        lambda read_s: {"connect": 2.0, "read": read_s, "write": 5.0, "pool": 0.1},
    )

    async def act(client: HttpClient, server: Pretended) -> ApiError:
        first = asyncio.create_task(client.get(path("stats"), None, Stats))
        await aeventually(lambda: server.heads)
        error = await write_failing(client, server)
        first.cancel()
        return error

    error = talk(act, SILENCE)
    assert (error.kind, error.outcome_unknown) == (Kind.TIMEOUT, False)


def test_an_answer_that_is_no_http_is_told() -> None:
    error = talk(get_failing, b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    assert error.kind is Kind.REFUSED
    assert "no HTTP: illegal status line" in error.sentence


def test_a_read_only_context_sends_nothing() -> None:
    async def act(client: HttpClient, server: Pretended) -> None:
        error = await write_failing(client, server)
        assert (error.kind, error.code) == (Kind.FORBIDDEN, "READ_ONLY")
        assert server.heads == []
        assert (await get_stats(client, server)).queues == 12

    talk(act, ok(stats()), read_only=True)


def test_proxies_of_the_environment_are_not_asked_about_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    assert talk(get_stats, ok(stats())).queues == 12


def test_a_proxy_of_the_environment_is_asked_about_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def ask() -> str:
        async with pretended(ok(stats())) as proxy:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            client = HttpClient("http://q.example")
            await client.get(path("stats"), None, Stats)
            await client.close()
            return proxy.heads[0].splitlines()[0]

    assert run(ask()) == "GET http://q.example/api/v1/stats HTTP/1.1"


def test_requests_that_are_given_up_leave_their_connections_to_others() -> None:
    async def act(client: HttpClient, server: Pretended) -> None:
        for number in range(3 * transport.CONNECTIONS):
            task = asyncio.create_task(client.get(path("stats"), None, Stats))
            if number % 2:
                await aeventually(lambda number=number: len(server.heads) > number // 2)  # type: ignore[misc]
            task.cancel()
            assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)
        server.answers = [ok(stats())]
        found = await asyncio.gather(*(client.get(path("stats"), None, Stats) for _ in range(20)))
        assert len(found) == 20
        assert len(server.open) <= transport.CONNECTIONS

    talk(act, SILENCE)


def test_leaving_a_context_ends_what_is_under_way_and_refuses_more() -> None:
    async def act(client: HttpClient, server: Pretended) -> None:
        task = asyncio.create_task(client.get(path("stats"), None, Stats))
        await aeventually(lambda: server.heads)
        await client.close()
        assert (await failing(task)).kind is Kind.REFUSED
        error = await get_failing(client, server)
        assert (error.kind, error.outcome_unknown) == (Kind.REFUSED, False)
        assert len(server.heads) == 1
        await client.close()

    talk(act, SILENCE)


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


# -- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificate of 127.0.0.1 and, as other.pem, one of a stranger."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("own", "other"):
        made = ["-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *made]
        command += ["-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def server_tls(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem", folder / "own.key")
    return context


def test_a_private_authority_is_believed_when_it_is_named(certificate: Path) -> None:
    tls = server_tls(certificate)
    assert talk(get_stats, ok(stats()), tls=tls, ca_file=str(certificate / "own.pem")).queues == 12
    assert talk(get_stats, ok(stats()), tls=tls, insecure=True).queues == 12


def test_a_strange_certificate_is_a_tls_error(certificate: Path) -> None:
    tls = server_tls(certificate)
    for options in ({}, {"ca_file": str(certificate / "other.pem")}):
        error = talk(get_failing, ok(stats()), tls=tls, api_key=KEY, **options)
        assert error.kind is Kind.TLS
        assert "certificate refused: self-signed certificate" in error.sentence


def test_plain_http_behind_https_is_a_tls_error() -> None:
    async def talk_first(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"x", "400 Bad Request"))
        writer.close()

    async def ask() -> ApiError:
        server = await asyncio.start_server(talk_first, "127.0.0.1", 0)
        client = HttpClient(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", insecure=True)
        error = await failing(client.get(path("stats"), None, Stats))
        await client.close()
        server.close()
        return error

    error = run(ask())
    assert error.kind is Kind.TLS
    assert error.sentence.endswith("no TLS: wrong version number")


def test_an_authority_that_cannot_be_read_is_a_tls_error(tmp_path: Path) -> None:
    (tmp_path / "broken.pem").write_text("no certificate")
    for name, words in (("missing.pem", "no such file"), ("broken.pem", "")):
        client = HttpClient("https://127.0.0.1:1", ca_file=str(tmp_path / name))
        error = run(failing(client.get(path("stats"), None, Stats)))
        assert error.kind is Kind.TLS
        assert name in error.sentence
        assert words in error.sentence


# -- events


def stream(*lines: str) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    return head + "".join(lines).encode()


HELLO = 'retry: 3000\n\nid: 1\nevent: hello\ndata: {"server_time":5.5,"version":"1.0.0"}\n\n'
BYE = 'id: 9\nevent: bye\ndata: {"reason":"shutdown"}\n\n'


async def collect(client: HttpClient, into: list[events.Event]) -> ApiError | None:
    try:
        async for event in client.events({"queue": ["a", "b"]}):
            into.append(event)
    except ApiError as exc:
        return exc
    return None


def test_events_come_as_values_and_unknown_ones_are_passed_over() -> None:
    job_line = (
        'id: 2\r\nevent: job\r\ndata: {"ts":1.5,"job_id":"x","queue":"a","from":"ready","to":"retry",'
        '"error":"a\u2028b\u0085c"}\r\n\r\n'
    )

    async def follow(client: HttpClient, server: Pretended) -> list[events.Event]:
        seen: list[events.Event] = []
        assert await collect(client, seen) is None
        assert server.heads[0].startswith("GET /api/v1/events?queue=a%2Cb ")
        assert server.field("X-API-Key") == KEY
        return seen

    seen = talk(
        follow,
        stream(HELLO, ":\n\n", job_line, "event: novel\ndata: {}\n\n", BYE) + SILENCE,
        api_key=KEY,
    )
    assert seen == [
        events.Hello(server_time=5.5, version="1.0.0"),
        events.JobEvent(ts=1.5, job_id="x", queue="a", was="ready", to="retry", error="a\u2028b\u0085c"),
        events.Bye(reason="shutdown"),
    ]


def test_a_silent_stream_is_lost() -> None:
    async def follow(client: HttpClient, _: Pretended) -> ApiError | None:
        seen: list[events.Event] = []
        error = await collect(client, seen)
        assert len(seen) == 1
        return error

    error = talk(follow, stream(HELLO) + SILENCE, silence_s=0.1)
    assert error is not None
    assert error.kind is Kind.TIMEOUT
    assert error.sentence.endswith("no event for 0.1 s")


def test_a_stream_that_ends_without_a_word_is_lost() -> None:
    async def follow(client: HttpClient, _: Pretended) -> ApiError | None:
        return await collect(client, [])

    error = talk(follow, stream(HELLO) + CUT)
    assert error is not None
    assert (error.kind, error.sentence) == (Kind.REFUSED, "the event stream was cut")


def test_a_refused_stream_is_told_by_its_code() -> None:
    async def follow(client: HttpClient, _: Pretended) -> ApiError | None:
        return await collect(client, [])

    body = b'{"error":"there are 16 event streams already","code":"SERVER_BUSY"}'
    error = talk(follow, answer(body, "503 Service Unavailable", "Retry-After: 1"))
    assert error is not None
    assert (error.kind, error.code, error.retry_after) == (Kind.UNAVAILABLE, "SERVER_BUSY", 1.0)


def test_leaving_a_stream_frees_its_connection() -> None:
    async def follow(client: HttpClient, server: Pretended) -> None:
        found = client.events()
        assert isinstance(await anext(found), events.Hello)
        await found.aclose()
        await aeventually(lambda: not server.open)

    talk(follow, stream(HELLO) + SILENCE)


def test_a_wrong_event_is_named() -> None:
    with pytest.raises(ApiError, match=r"event job: .*missing required field"):
        events.decode_event("job", b"{}")
    with pytest.raises(ApiError, match="event stats: "):
        events.decode_event("stats", b"\xff")
    assert events.decode_event("novel", b"\xff") is None


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_events_are_cut_the_same_wherever_their_pieces_end(end: str) -> None:
    text = "data: a\nevent: one\ndata: b\n\n:x\n\nevent: two\n\nevent: three\ndata:c\nid: 7\n\nx"
    raw = text.replace("\n", end).encode()
    for size in (1, 2, 3, 7, len(raw)):
        lines = events.EventLines()
        pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
        found = [event for piece in pieces for event in lines.feed(piece)]
        assert found == [("one", b"a\nb"), ("three", b"c")], size


@pytest.mark.parametrize("line", [b"data: " + b"x" * 994, b"data: " + b"x" * 993 + b"\n"])
def test_an_event_without_end_is_given_up(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_PIECE", 10_000)
    lines = events.EventLines()
    for _ in range(10):
        assert list(lines.feed(line)) == []
    with pytest.raises(ApiError, match="without an end"):
        list(lines.feed(line))


# -- the module


def test_the_core_needs_neither_textual_nor_the_engine() -> None:
    """All modules of the core are imported; a plain look at the model does not even load httpx."""
    code = (
        "import sys, pkgutil, importlib\n"
        "import gqm_tui.core.client, gqm_tui.core.poll, gqm_tui.core.store\n"
        "print(*sorted(name for name in ('httpx', 'rich.console') if name in sys.modules))\n"
        "import gqm_tui.core as core\n"
        "for found in pkgutil.iter_modules(core.__path__):\n"
        "    importlib.import_module('gqm_tui.core.' + found.name)\n"
        "gqm_tui.core.client.HttpClient('http://127.0.0.1')._http\n"
        "heads = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(heads & {'textual', 'gqm', 'gqm_cli', 'redis', 'typer', 'yaml', 'httpx'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\nhttpx\n"
