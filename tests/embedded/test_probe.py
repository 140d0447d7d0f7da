"""What is made of a server's answer, also of strange, late and missing ones."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gqm.embedded.binary import ServerVersion
from gqm.embedded.probe import Answer, State, ask
from tests.embedded.helpers import info
from tests.support.servers import ServerFactory, short_folder


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Starts a false server that sends the given pieces to its first client and then hangs up."""
    folder = short_folder()
    path = str(folder / "server.sock")
    listener = socket.socket(socket.AF_UNIX)
    threads: list[threading.Thread] = []

    def serve(pieces: tuple[bytes, ...]) -> None:
        client, _ = listener.accept()
        with client:
            client.recv(100)
            for piece in pieces:
                client.sendall(piece)

    def start(*pieces: bytes) -> str:
        listener.bind(path)
        listener.listen()
        threads.append(threading.Thread(target=serve, args=(pieces,)))
        threads[-1].start()
        return path

    yield start
    for thread in threads:
        thread.join(10)
    listener.close()
    Path(path).unlink(missing_ok=True)
    folder.rmdir()


def test_unknown_and_missing_sockets_are_gone(tmp_path: Path) -> None:
    assert ask(None).state is State.GONE
    assert ask(str(tmp_path / "none")).state is State.GONE


def test_socket_that_a_killed_server_left_is_gone(start_server: ServerFactory) -> None:
    server = start_server()
    assert ask(server.socket).state is State.READY
    server.kill()
    assert Path(server.socket).exists()
    assert ask(server.socket).state is State.GONE


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_real_servers_say_what_they_are(start_server: ServerFactory, kind: str) -> None:
    server = start_server(kind=kind)
    answer = ask(server.socket)
    assert answer.state is State.READY
    assert answer.pid == server.pid
    assert answer.version is not None
    assert answer.version.kind == kind


def test_frozen_server_is_silent(start_server: ServerFactory) -> None:
    server = start_server()
    with server.stop_cont():
        assert ask(server.socket, timeout=0.1).state is State.SILENT


def test_server_with_too_many_waiting_clients_is_silent(start_server: ServerFactory) -> None:
    server = start_server("--tcp-backlog", "1")
    waiting: list[socket.socket] = []
    with server.stop_cont():
        for _ in range(5):
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(server.socket)
        assert ask(server.socket, timeout=0.1).state is State.SILENT
    for connection in waiting:
        connection.close()


def test_ready(answering: Callable[..., str]) -> None:
    assert ask(answering(info())) == Answer(State.READY, ServerVersion("redis", (7, 2, 4)), 77)


def test_valkey_is_told_from_the_redis_version_it_also_gives(answering: Callable[..., str]) -> None:
    assert ask(answering(info(more="valkey_version:9.1.2"))).version == ServerVersion("valkey", (9, 1, 2))


def test_loading(answering: Callable[..., str]) -> None:
    assert ask(answering(info(loading=1))).state is State.LOADING


def test_reply_in_small_pieces(answering: Callable[..., str]) -> None:
    reply = info()
    assert ask(answering(*(reply[at : at + 1] for at in range(len(reply))))).state is State.READY


def test_hanging_up_in_the_middle_is_gone(answering: Callable[..., str]) -> None:
    assert ask(answering(info()[:40])).state is State.GONE


@pytest.mark.parametrize("line", [b"-BUSY Redis is busy running a script.\r\n", b"HTTP/1.1 400 Bad\r\n"])
def test_answer_without_what_was_asked_for_is_silent(answering: Callable[..., str], line: bytes) -> None:
    assert ask(answering(line)).state is State.SILENT
