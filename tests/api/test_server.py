"""The HTTP server against slow, broken and greedy clients."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gqm.monitor import server as server_module
from gqm.monitor import wire
from tests.api.support import ADMIN_KEY, KEYS, Api, read_all, serve
from tests.support.wait import eventually

GET = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, redis_socket: str, prefix: str) -> Iterator[Api]:
    """An API whose limits of time are short."""
    monkeypatch.setattr(server_module, "RECEIVE_S", 0.5)
    monkeypatch.setattr(server_module, "IDLE_S", 0.5)
    monkeypatch.setattr(wire, "RECEIVE_S", 0.5)
    with serve(f"unix:{redis_socket}", prefix, api_keys=KEYS, rate_limit=-1) as api:
        yield api


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:100]
    return int(answer[9:12])


@pytest.mark.security(25)
@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"garbage\r\n\r\n", 400, "BAD_REQUEST"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400, "BAD_REQUEST"),
        (b"GET / HTTP/2.0\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET /\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET  / HTTP/1.1\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400, "BAD_REQUEST"),
        (GET + b"No colon here\r\n\r\n", 400, "BAD_REQUEST"),
        (GET + b"Space : x\r\n\r\n", 400, "BAD_REQUEST"),
        (GET + b"X: a\r\n folded\r\n\r\n", 400, "BAD_REQUEST"),
        (GET + b"X: a\x00b\r\n\r\n", 400, "BAD_REQUEST"),
        (GET + b"Host: again\r\n\r\n", 400, "BAD_REQUEST"),
        (GET + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400, "BAD_REQUEST"),
        (GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400, "BAD_REQUEST"),
        (GET + b"Content-Length: -1\r\n\r\n", 400, "BAD_REQUEST"),
        (GET + b"Content-Length: 0x1\r\n\r\n", 400, "BAD_REQUEST"),
        (GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "BAD_REQUEST"),
        (GET + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 411, "LENGTH_REQUIRED"),
        (GET + b"Content-Length: 1048577\r\n\r\n", 413, "PAYLOAD_TOO_LARGE"),
        (b"GET /" + b"x" * 8300 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "URI_TOO_LONG"),
        (b"GET /" + b"x" * 20_000, 414, "URI_TOO_LONG"),
        (GET + b"X: " + b"y" * 33_000 + b"\r\n\r\n", 431, "HEADERS_TOO_LARGE"),
        (GET + b"X: y\r\n" * 100 + b"\r\n", 431, "HEADERS_TOO_LARGE"),
        (GET + b"X: y\r\n" * 10_000 + b"\r\n", 431, "HEADERS_TOO_LARGE"),
    ],
)
@pytest.mark.fault(37)
def test_broken_requests_are_refused_and_closed(keyed: Api, data: bytes, status: int, code: str) -> None:
    answer = keyed.talk(data)
    assert status_of(answer) == status, answer[:200]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert f'"code":"{code}"'.encode() in body
    assert b"Connection: close" in head
    assert b"X-Content-Type-Options: nosniff" in head
    assert keyed.get("/health").status == 200


def test_ninety_nine_fields_pass(keyed: Api) -> None:
    fields = b"".join(b"X-%d: y\r\n" % number for number in range(97))
    assert status_of(keyed.talk(GET + fields + b"Connection: close\r\n\r\n")) == 200


def test_requests_follow_each_other_on_one_connection(keyed: Api) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", keyed.port, timeout=5)
    for _ in range(3):
        connection.request("GET", "/api/v1/queues", headers={"X-API-Key": ADMIN_KEY})
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
        sock = connection.sock
    assert sock is connection.sock
    connection.close()
    pipelined = keyed.talk(GET + b"\r\n" + GET + b"\r\n" + b"junk\r\n\r\n")
    assert pipelined.count(b"HTTP/1.1 200") == 2
    assert pipelined.count(b"HTTP/1.1 400") == 1


def test_a_body_may_wait_for_the_word_to_go_on(keyed: Api) -> None:
    head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    key = b"X-API-Key: " + ADMIN_KEY.encode() + b"\r\n"
    with socket.create_connection(("127.0.0.1", keyed.port), timeout=5) as sock:
        sock.sendall(head + key + b"Expect: 100-continue\r\nContent-Length: 12\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b'{"type":"a"}')
        assert status_of(read_all(sock)) == 200


@pytest.mark.security(25)
@pytest.mark.fault(37)
def test_slow_requests_are_given_up(quick: Api) -> None:
    for begin in (b"GET /heal", GET, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"):
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", quick.port), timeout=5) as sock:
            sock.sendall(begin)
            answer = read_all(sock)
        assert status_of(answer) == 408
        assert b"REQUEST_TIMEOUT" in answer
        assert time.monotonic() - begun < 3


@pytest.mark.security(25)
def test_drops_of_a_request_do_not_make_it_last(quick: Api) -> None:
    with socket.create_connection(("127.0.0.1", quick.port), timeout=5) as sock:
        begun = time.monotonic()
        sock.sendall(GET)
        with contextlib.suppress(OSError):  # a reset or a broken pipe, as it comes
            while time.monotonic() - begun < 5:
                sock.sendall(b"X")
                time.sleep(0.05)
    assert time.monotonic() - begun < 4


def test_idle_connections_are_closed(quick: Api) -> None:
    with socket.create_connection(("127.0.0.1", quick.port), timeout=5) as sock:
        assert sock.recv(1) == b""
    eventually(lambda: quick.server.connections == 0)


@pytest.mark.security(25)
@pytest.mark.fault(37)
def test_a_thousand_idle_connections_keep_nobody_out(keyed: Api) -> None:
    with ExitStack() as stack:
        for number in range(1000):
            stack.enter_context(socket.create_connection(("127.0.0.1", keyed.port), timeout=5))
            if number % 100 == 99:
                begun = time.monotonic()
                assert keyed.get("/api/v1/queues").status == 200
                assert time.monotonic() - begun < 2
        assert keyed.server.connections <= 64


@pytest.mark.security(25)
def test_slow_loris_keeps_nobody_out(keyed: Api) -> None:
    with ExitStack() as stack:
        for _ in range(200):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", keyed.port), timeout=5))
            sock.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        assert keyed.get("/api/v1/queues").status == 200


def test_too_many_busy_connections_are_told_so(redis_socket: str, prefix: str) -> None:
    with serve(f"unix:{redis_socket}", prefix, api_keys=KEYS, most=2) as api, ExitStack() as stack:
        for _ in range(2):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", api.port), timeout=5))
            key = b"X-API-Key: " + ADMIN_KEY.encode()
            sock.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n" + key + b"\r\n\r\n")
            assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        answer = api.get("/health")
        assert (answer.status, answer.code) == (503, "SERVER_BUSY")
        assert answer.headers["Retry-After"] == "1"


def test_spoofed_names_with_underscores_do_not_count(keyed: Api) -> None:
    data = b"GET /auth/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX_API_KEY: " + ADMIN_KEY.encode()
    assert status_of(keyed.talk(data + b"\r\n\r\n")) == 401


@pytest.mark.security(20)
@pytest.mark.fault(38)
def test_a_failure_of_ours_is_told_by_its_reference_only(
    keyed: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(keyed.app.context.backend, "follow", broken)
    answer = keyed.get("/api/v1/jobs")
    assert (answer.status, answer.code) == (500, "INTERNAL")
    reference = answer.headers["X-Request-ID"]
    assert answer.json["error"] == f"internal error (ref {reference})"
    assert b"secret" not in answer.raw
    assert any(reference in record.getMessage() and record.exc_info for record in caplog.records)
