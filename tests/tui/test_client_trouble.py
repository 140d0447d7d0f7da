"""The API client when no answer comes: closed ports, silence, cut connections, proxies, TLS."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from gqm_tui.core import transport
from gqm_tui.core.answers import JobDone
from gqm_tui.core.client import HttpClient, path
from gqm_tui.core.errors import ApiError, Kind
from gqm_tui.core.model import Stats
from tests.support.tui import stats
from tests.support.tui_http import CUT, SILENCE, Pretended, answer, pretended
from tests.support.wait import aeventually
from tests.tui.talking import KEY, failing, free_port, get_failing, get_stats, ok, run, talk, write_failing

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


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "gopher://127.0.0.1", "http://127.0.0.1:x"])
def test_a_proxy_that_cannot_be_used_is_told(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("all_proxy", proxy)
    monkeypatch.setitem(sys.modules, "socksio", None)  # what httpx needs for SOCKS need not be there
    error = run(failing(HttpClient("http://q.example").get(path("stats"), None, Stats)))
    assert error.kind is Kind.PROTOCOL
    assert error.sentence.startswith("the proxy of the environment cannot be used: ")


@pytest.mark.parametrize("url", ["http://exa mple", "http://a\u2100b", "http://xn--\ud800", "http://a..b:1"])
def test_a_host_that_is_none_is_told(url: str) -> None:
    async def ask() -> None:
        await HttpClient(url).get(path("stats"), None, Stats)

    error = run(failing(ask()))
    assert error.kind in {Kind.PROTOCOL, Kind.REFUSED}


def test_texts_that_cannot_be_sent_are_told() -> None:
    async def act(client: HttpClient, server: Pretended) -> None:
        await client.get(path("jobs"), {"q": "a\ud800"}, Stats)
        assert server.heads[0].startswith("GET /api/v1/jobs?q=a%3F ")
        error = await failing(
            client.send("POST", path("jobs", "batch", "retry"), None, {"q": "\ud800"}, JobDone)
        )
        assert error.kind is Kind.PROTOCOL

    talk(act, ok(stats()))


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


@pytest.mark.fault(22)
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
