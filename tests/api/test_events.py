"""Event streams: what they tell, to whom, and how they end."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from contextlib import ExitStack
from queue import Empty, Queue
from typing import Any

import pytest

import gqm
from gqm.monitor import server as server_module
from gqm.monitor import sse
from gqm.monitor.options import Hooks
from tests.api import objects
from tests.api.objects import Seen
from tests.api.support import ADMIN_KEY, KEYS, SIGN_IN, VIEWER_KEY, Api, read_all, serve
from tests.engine.running import running
from tests.support.servers import ServerFactory
from tests.support.wait import eventually


class Listener:
    """Reads one stream in a thread."""

    def __init__(self, api: Api, query: str = "", *, cookie: str = "") -> None:
        self.events: Queue[tuple[str, dict[str, Any]]] = Queue()
        self.all: list[tuple[str, dict[str, Any]]] = []
        self.text = b""
        self._socket = socket.create_connection(("127.0.0.1", api.port), timeout=30)
        who = f"Cookie: {cookie}" if cookie else f"X-API-Key: {VIEWER_KEY}"
        self._socket.sendall(f"GET /api/v1/events{query} HTTP/1.1\r\nHost: x\r\n{who}\r\n\r\n".encode())
        self._file = self._socket.makefile("rb")
        self.head = b""
        while (line := self._file.readline()) not in (b"\r\n", b""):
            self.head += line
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        kind = ""
        with contextlib.suppress(OSError, ValueError):  # the test closed it
            for line in self._file:
                self.text += line
                if line.startswith(b"event: "):
                    kind = line[7:].strip().decode()
                elif line.startswith(b"data: "):
                    self.all.append((kind, json.loads(line[6:])))
                    self.events.put(self.all[-1])

    def next(self, *kinds: str, timeout: float = 10.0) -> dict[str, Any]:
        """Return the data of the next event of a kind; others are passed over."""
        try:
            while True:
                kind, data = self.events.get(timeout=timeout)
                if kind in kinds:
                    return data
        except Empty:
            raise AssertionError(f"no event {kinds} came; so far: {self.text[-500:]!r}") from None

    def wait_end(self, timeout: float = 10.0) -> None:
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the stream goes on"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def test_jobs_queues_and_sums_are_told(api: Api) -> None:
    api.client.enqueue("mail.send", job_id="first")
    with Listener(api) as stream:
        assert b"text/event-stream" in stream.head
        hello = stream.next("hello")
        assert hello["version"] == "1.0.0"
        assert stream.next("stats")["ready"] == 1
        eventually(lambda: _told(api, stream))
        api.post("/api/v1/queues/default/pause")
        assert stream.next("queue")["action"] == "paused"
        api.delete("/api/v1/queues/default/empty")
        emptied = stream.next("queue")
        assert (emptied["action"], emptied["queue"]) == ("emptied", "default")
    assert stream.text.startswith(b"retry: 3000\n\n")
    numbers = [int(line[4:]) for line in stream.text.splitlines() if line.startswith(b"id: ")]
    assert numbers == sorted(set(numbers))


def _told(api: Api, stream: Listener) -> bool:
    """Enqueue a job until one is heard of: the subscription begins a little after the stream."""
    made = api.client.enqueue("mail.send", {"n": 1})
    try:
        data = stream.next("job", timeout=0.5)
    except AssertionError:
        return False
    assert (data["queue"], data["from"], data["to"], data["type"]) == ("default", None, "ready", "mail.send")
    assert data["job_id"] in (made.id, data["job_id"])
    return True


def _server(redis_url: str, prefix: str) -> gqm.Server:
    server = gqm.Server(redis_url, prefix=prefix)
    server.handle("tidy", lambda job: None)

    def fails(job: gqm.Job) -> None:
        raise TimeoutError("took over 30 s")

    server.handle("fails", fails)
    server.schedule("often", "* * * * * *", "tidy", overlap_policy="allow")
    return server


@pytest.mark.fault(14)
def test_every_kind_of_event_as_it_is_documented(
    start_server: ServerFactory, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "WATCH_EVERY_S", 0.2)
    server = start_server()
    where = f"unix:{server.socket}"
    with serve(where, prefix, **SIGN_IN, rate_limit=-1) as api:
        stream = Listener(api)
        stream.next("stats")
        with running(_server(where, prefix)):
            assert stream.next("server")["action"] == "up"
            eventually(lambda: api.get("/api/v1/cron/often").data["last_run"], 10)
            assert stream.next("cron")["action"] == "fired"
            api.post("/api/v1/cron/often/disable")
            api.post("/api/v1/cron/often/trigger")
            while (told := stream.next("cron"))["action"] in ("fired", "disabled"):
                continue
            assert told["action"] == "triggered"
            api.client.enqueue("fails", job_id="bad", retry_intervals=[600], queue="default")
            while (told := stream.next("job"))["job_id"] != "bad" or told["to"] != "retry":
                continue
            assert (told["error"], told["from"]) == ("TimeoutError: took over 30 s", "processing")
            for action in ("pause", "resume", "empty"):
                api.ask("DELETE" if action == "empty" else "POST", f"/api/v1/queues/default/{action}")
            api.client.enqueue_batch([("tidy", {"n": number}) for number in range(900)])
            assert stream.next("dropped")["count"] > 0
        while stream.next("server", timeout=20)["action"] != "down":
            continue
        server.stop()
        assert stream.next("redis", timeout=20)["up"] is False
        server.start()
        assert stream.next("redis", timeout=20)["up"] is True
    stream.wait_end()
    stream.close()
    seen = Seen()
    for kind, data in stream.all:
        seen.check(kind, objects.EVENTS[kind], data)
    assert not seen.problems, "\n".join(seen.problems)
    assert {kind for kind, _ in stream.all} == objects.EVENTS.keys()


def test_only_what_is_asked_for_is_sent(api: Api) -> None:
    api.client.enqueue("mail.send", queue="other")
    with Listener(api, "?events=queue&queue=other") as stream:
        eventually(lambda: api.app.context.hub.clients == 1)
        api.client.enqueue("mail.send")
        api.post("/api/v1/queues/default/pause")
        api.delete("/api/v1/queues/default/empty")
        api.delete("/api/v1/queues/other/empty")
        assert stream.next("queue", "job", "stats")["queue"] == "other"
    assert api.get("/api/v1/events?colour=red").status == 400


@pytest.mark.fault(36)
def test_the_seventeenth_stream_is_refused(api: Api) -> None:
    with ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(Listener(api))
        answer = api.get("/api/v1/events")
        assert (answer.status, answer.code) == (503, "SERVER_BUSY")
        assert api.get("/api/v1/queues").status == 200
    eventually(lambda: _left(api), timeout=10)


def _left(api: Api) -> bool:
    """Make the server write, so that it notices who is gone."""
    api.app.context.hub.tell("redis", {"up": True})
    return api.app.context.hub.clients == 0


@pytest.mark.fault(36)
def test_streams_of_ended_sessions_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "CHECK_EVERY_S", 0.2)
    api.log_in("vic")
    with Listener(api, cookie=api.cookies["vic"]) as stream:
        stream.next("hello")
        api.post("/auth/logout-all", user="vic")
        assert stream.next("bye") == {"reason": "signed_out"}
        stream.wait_end()


def test_streams_end_with_the_server(redis_socket: str, prefix: str) -> None:
    with serve(f"unix:{redis_socket}", prefix, api_keys=KEYS) as api:
        stream = Listener(api)
        stream.next("hello")
    assert stream.next("bye") == {"reason": "shutdown"}
    stream.wait_end()
    stream.close()


def test_old_streams_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_AGE_S", 0.3)
    monkeypatch.setattr(sse, "COMMENT_EVERY_S", 0.1)
    with Listener(api) as stream:
        assert stream.next("bye") == {"reason": "max_age"}
        assert b":\n\n" in stream.text


@pytest.mark.fault(36)
def test_a_slow_reader_is_told_what_it_missed() -> None:
    client = sse.Client(sse.EventsQuery())
    for number in range(5000):
        client.put(sse.Event("queue", {"queue": "q", "n": number}))
    events, dropped = client.take(0)
    assert (len(events), dropped) == (sse.MAX_BUFFER, 5000 - sse.MAX_BUFFER)


class Sleeper:
    """A client that opens a stream and does not read."""

    def __init__(self, api: Api) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", api.port))
        key = f"X-API-Key: {VIEWER_KEY}"
        self.socket.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\n{key}\r\n\r\n".encode())
        eventually(lambda: api.app.context.hub.clients == 1)
        (self.client,) = api.app.context.hub._all()

    def flood(self, api: Api) -> None:
        """Send so much that the connection is full."""
        data = {"queue": "q", "text": "x" * 20_000}

        def is_full() -> bool:
            api.app.context.hub.tell("queue", data)
            since = self.client.writing_since
            return since is not None and time.monotonic() - since > 0.3

        eventually(is_full, 20)


@pytest.mark.fault(36)
def test_a_client_that_reads_too_slowly_is_told_so(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "SLOW_S", 0.2)
    sleeper = Sleeper(api)
    sleeper.flood(api)
    for _ in range(3 * sse.MAX_BUFFER):
        api.app.context.hub.tell("queue", {"queue": "q"})
    assert len(sleeper.client._events) <= sse.MAX_BUFFER, "what it does not read does not pile up"
    text = read_all(sleeper.socket)
    sleeper.socket.close()
    assert text.endswith(b'event: bye\ndata: {"reason":"slow_client"}\n\n'), text[-200:]
    eventually(lambda: api.app.context.hub.clients == 0)


@pytest.mark.fault(36)
def test_a_client_that_never_reads_is_dropped(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "STREAM_WRITE_S", 0.5)
    sleeper = Sleeper(api)
    sleeper.flood(api)
    eventually(lambda: api.app.context.hub.clients == 0, 5)
    sleeper.socket.close()


def test_streams_can_be_turned_off(redis_socket: str, prefix: str) -> None:
    with serve(f"unix:{redis_socket}", prefix, hooks=Hooks(sse=False), api_keys=KEYS) as api:
        assert api.get("/api/v1/events", key=ADMIN_KEY).status == 404
