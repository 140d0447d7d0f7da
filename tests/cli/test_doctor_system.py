"""``gqm doctor``: the checks of servers and schedules, of the API, the terminal, the private server."""

from __future__ import annotations

import functools
import http.server
import json
import os
import pty
import termios
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gqm.admin.ledger as gqm_ledger
from gqm.config import code_options, default_config
from gqm.embedded import Status as Embedded
from gqm.embedded import attach
from gqm.job import Status as JobStatus
from gqm_cli.doctor import api, embedded, terminal
from gqm_cli.doctor.api import api_url
from gqm_cli.doctor.checks import Status
from tests.api.support import KEYS, SIGN_IN, serve
from tests.cli.helpers import Gqm
from tests.cli.test_doctor import checks, one
from tests.support.keyspace import Keyspace
from tests.support.servers import short_folder
from tests.support.states import MAKE

SERVER = "host-1-aaaaaa"
FIELDS: dict[str, str | int] = {
    "hostname": "host",
    "runtime": "python",
    "go_version": "python 3.12.4",
    "version": "1.0.0",
    "concurrency_total": 4,
    "status": "active",
    "types": '["t"]',
    "cron_ids": "[]",
    "scheduler": 1,
}


def server(space: Keyspace, name: str = SERVER, queues: str = "default", **fields: str | int) -> None:
    """A live server with a pool ``p`` that reads some queues."""
    space.beat(name, fields={**FIELDS, **fields})
    space.raw.hset(space.keys.worker(f"p@{name}"), mapping={"id": f"p@{name}", "queues": queues})


def statuses(gqm: Gqm, group: str) -> dict[str, str]:
    """The worst status of each check of a group."""
    order = ["skip", "ok", "warn", "fail"]
    return {
        check_id.partition(".")[2]: max((status for status, _, _ in found), key=order.index)
        for check_id, found in checks(gqm("doctor", "--json")).items()
        if check_id.startswith(f"{group}.")
    }


# ------------------------------------------------------------------------------------------ engine


def test_a_system_that_runs_well(gqm: Gqm, space: Keyspace) -> None:
    server(space)
    space.enqueue()
    MAKE[JobStatus.SCHEDULED](space)
    assert statuses(gqm, "engine") == dict.fromkeys(
        ("servers", "versions", "queues", "types", "scheduler"), "ok"
    )


def test_no_server(gqm: Gqm, space: Keyspace) -> None:
    assert statuses(gqm, "engine") == {"servers": "warn"}


def test_a_queue_that_nobody_reads(gqm: Gqm, space: Keyspace) -> None:
    server(space)
    for _ in range(3):
        space.enqueue(queue="reports")
    done = gqm("doctor")
    assert done.code == 1
    assert (
        '✗ engine   queue "reports" holds 3 ready jobs and no pool reads it: add it to a pool\'s queues'
        in done.out
    )


def test_a_paused_queue(gqm: Gqm, space: Keyspace) -> None:
    server(space)
    space.enqueue()
    space.raw.sadd(space.keys.paused, "default")
    assert one(gqm("doctor", "--json"), "engine.paused")[::2] == ("warn", "gqm queue resume default")


def test_a_type_that_nobody_handles(gqm: Gqm, space: Keyspace) -> None:
    server(space, types='["other"]')
    space.enqueue()
    status, detail, _ = one(gqm("doctor", "--json"), "engine.types")
    assert (status, detail) == ("fail", '1 ready job of type "t", and no server has a handler for it')


def test_a_server_that_died(gqm: Gqm, space: Keyspace) -> None:
    server(space)
    server(space, "host-2-bbbbbb")
    space.end_lease("host-2-bbbbbb")
    found = checks(gqm("doctor", "--json"))["engine.servers"]
    assert [status for status, _, _ in found] == ["warn", "ok"]
    assert "host-2-bbbbbb" in found[0][1]


def test_servers_of_different_versions(gqm: Gqm, space: Keyspace) -> None:
    server(space)
    server(space, "host-2-bbbbbb", version="0.9.0")
    assert one(gqm("doctor", "--json"), "engine.versions")[1].endswith("0.9.0, 1.0.0")


def test_a_server_of_another_version_than_this_program(gqm: Gqm, space: Keyspace) -> None:
    server(space, version="0.9.0")
    assert one(gqm("doctor", "--json"), "engine.versions")[0] == "warn"


def test_delayed_jobs_without_a_scheduler(gqm: Gqm, space: Keyspace) -> None:
    server(space, scheduler=0)
    MAKE[JobStatus.SCHEDULED](space)
    assert one(gqm("doctor", "--json"), "engine.scheduler")[0] == "fail"


def cron(space: Keyspace, entry: str, **fields: object) -> None:
    text = {
        "id": entry,
        "cron_expr": "0 0 * * * *",
        "timezone": "UTC",
        "job_type": "t",
        "enabled": True,
        "next_run": int(space.now()) + 1000,
        **fields,
    }
    space.raw.hset(space.keys.cron_entries, entry, json.dumps(text))
    space.raw.hset(space.keys.cron_meta, entry, '{"source":"py","config_enabled":true,"registered_at":1}')


def test_schedules_that_are_well(gqm: Gqm, space: Keyspace) -> None:
    server(space, cron_ids='["daily"]')
    cron(space, "daily")
    status, detail, _ = one(gqm("doctor", "--json"), "engine.cron")
    assert (status, detail) == ("ok", "1 cron entry: none is orphaned, late or missed")


def test_a_schedule_that_no_server_knows(gqm: Gqm, space: Keyspace) -> None:
    server(space)
    cron(space, "old")
    status, detail, _ = one(gqm("doctor", "--json"), "engine.cron")
    assert (status, detail) == ("warn", "no server knows 1 cron entry any more: old")


def test_a_slot_that_was_not_fired(gqm: Gqm, space: Keyspace) -> None:
    server(space, cron_ids='["daily"]')
    cron(space, "daily", next_run=int(space.now()) - 120)
    status, detail, _ = one(gqm("doctor", "--json"), "engine.cron_slots")
    assert (status, detail) == ("fail", "1 cron entry should have fired by now: daily")


def test_a_slot_that_was_missed(gqm: Gqm, space: Keyspace) -> None:
    server(space, cron_ids='["daily"]')
    cron(space, "daily", last_status="missed")
    assert one(gqm("doctor", "--json"), "engine.cron_slots")[0] == "warn"


def test_claims_of_a_server_that_is_gone(gqm: Gqm, space: Keyspace) -> None:
    job = MAKE[JobStatus.PROCESSING](space)
    server(space)
    assert statuses(gqm, "engine")["claims"] == "ok"
    space.end_lease()
    status, detail, _ = one(gqm("doctor", "--json"), "engine.claims")
    assert status == "fail"
    assert job in detail


@pytest.mark.parametrize(
    "name",
    [
        "queues",
        "paused",
        "scheduled",
        "deferred",
        "servers",
        "workers",
        "leases",
        "cron_entries",
        "cron_meta",
    ],
)
def test_a_key_of_a_wrong_type_is_named(
    gqm: Gqm, space: Keyspace, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gqm_ledger, "examine", functools.partial(gqm_ledger.examine, settle_s=0))
    space.enqueue()
    space.raw.delete(getattr(space.keys, name))
    space.raw.set(getattr(space.keys, name), "x")
    done = gqm("doctor", "--json", "--ledger")
    assert done.code == 1
    status, detail, _ = one(done, "ledger.wrong_type")
    assert status == "fail"
    assert getattr(space.keys, name).removeprefix(space.keys.prefix) in detail


# --------------------------------------------------------------------------------------------- API


def api_checks(gqm: Gqm, url: str) -> dict[str, str]:
    return {
        check_id.partition(".")[2]: found[0][0]
        for check_id, found in checks(gqm("doctor", "--json", "--api-url", url)).items()
        if check_id.startswith("api.")
    }


@pytest.fixture
def address(redis_socket: str) -> str:
    return f"unix:{redis_socket}"


def test_an_api_without_credentials(gqm: Gqm, space: Keyspace, address: str, prefix: str) -> None:
    with serve(address, prefix, dashboard=True) as served:
        found = api_checks(gqm, f"http://127.0.0.1:{served.port}")
    assert found == dict.fromkeys(("reach", "auth", "metrics", "dashboard"), "ok")


@pytest.mark.fault(1)
@pytest.mark.security(23)
def test_an_api_with_credentials(gqm: Gqm, space: Keyspace, address: str, prefix: str) -> None:
    with serve(address, prefix, **SIGN_IN) as served:
        done = gqm("doctor", "--json", "--api-url", f"http://127.0.0.1:{served.port}/")
    assert one(done, "api.auth") == ("ok", "a call without credentials is refused", "")
    assert one(done, "api.metrics") == ("ok", "/metrics is closed", "")
    assert one(done, "api.dashboard")[0] == "skip"


def test_an_api_that_does_without_the_credentials_of_the_file(
    gqm: Gqm, space: Keyspace, address: str, prefix: str
) -> None:
    with (gqm.folder / "gqm.yaml").open("a") as file:
        file.write(f"monitoring: {{api: {{api_keys: [{{name: a, key_hash: 'sha256:{'a' * 64}'}}]}}}}\n")
    with serve(address, prefix) as served:
        done = gqm("doctor", "--json", "--api-url", f"http://127.0.0.1:{served.port}")
    assert done.code == 1
    assert one(done, "api.auth")[::2] == ("fail", "restart the server")


def test_metrics_that_everybody_can_read(gqm: Gqm, space: Keyspace, address: str, prefix: str) -> None:
    with serve(address, prefix, api_keys=KEYS, metrics_public=True) as served:
        assert api_checks(gqm, f"http://127.0.0.1:{served.port}")["metrics"] == "warn"


def test_an_api_that_is_away(gqm: Gqm, space: Keyspace) -> None:
    done = gqm("doctor", "--api-url", "http://127.0.0.1:1")
    assert done.code == 4
    assert (
        "✗ api      nobody answers at http://127.0.0.1:1: connection refused: is the server running?"
        in done.out
    )


def test_the_api_of_the_environment(gqm: Gqm, space: Keyspace) -> None:
    assert gqm("doctor", GQM_API_URL="http://127.0.0.1:1").code == 4


def test_the_api_of_the_file_may_be_away(gqm: Gqm, space: Keyspace) -> None:
    with (gqm.folder / "gqm.yaml").open("a") as file:
        file.write("monitoring: {api: {enabled: true, addr: '127.0.0.1:1'}}\n")
    done = gqm("doctor", "--json")
    assert done.code == 0
    assert one(done, "api.reach")[0] == "warn"


def test_a_password_in_an_address_does_not_show(gqm: Gqm, space: Keyspace) -> None:
    done = gqm("doctor", "--api-url", "http://ana:secret@127.0.0.1:1")
    assert "http://127.0.0.1:1:" in done.out
    assert "secret" not in done.out + done.err


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8080", "http://", "http://127.0.0.1:x"])
def test_an_address_that_is_none(gqm: Gqm, space: Keyspace, url: str) -> None:
    done = gqm("doctor", "--api-url", url)
    assert done.code == 4
    assert "✗ api " in done.out


@pytest.fixture
def stranger() -> Iterator[int]:
    """A web server of another program."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_an_address_of_another_program(gqm: Gqm, space: Keyspace, stranger: int) -> None:
    done = gqm("doctor", "--json", "--api-url", f"http://127.0.0.1:{stranger}")
    assert done.code == 1
    assert one(done, "api.reach")[0] == "fail"


@pytest.mark.parametrize(
    ("addr", "url"),
    [
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0:9000", "http://127.0.0.1:9000"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("localhost:80", "http://localhost:80"),
    ],
)
def test_where_the_api_of_a_file_is(addr: str, url: str) -> None:
    options = code_options(api=True, api_addr=addr, api_keys=KEYS)
    assert api_url(default_config(options, env={}), None) == url
    assert api_url(None, None) == ""


# ---------------------------------------------------------------------------------------- terminal


@pytest.mark.parametrize(
    ("columns", "rows", "status"),
    [(0, 0, "skip"), (59, 24, "warn"), (80, 14, "warn"), (80, 24, "ok"), (120, 36, "ok")],
)
def test_size(columns: int, rows: int, status: str) -> None:
    assert terminal.size_check(columns, rows).status == status


@pytest.mark.parametrize(
    ("environ", "status", "word"),
    [
        ({"TERM": "xterm-256color"}, "ok", "256"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "ok", "16 million"),
        ({"TERM": "vt100"}, "warn", "few"),
        ({"TERM": "dumb"}, "warn", "dumb"),
        ({}, "warn", "not set"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "ok", "monochrome"),
    ],
)
def test_colours(environ: dict[str, str], status: str, word: str) -> None:
    check = terminal.colour_check(environ)
    assert check.status == status
    assert word in check.detail


def test_encoding() -> None:
    assert terminal.encoding_check("UTF-8").status is Status.OK
    assert terminal.encoding_check("iso8859-1").status is Status.WARN


def test_width() -> None:
    assert terminal.width_check(3).status is Status.OK
    assert terminal.width_check(6).status is Status.WARN
    assert terminal.width_check(None).status is Status.SKIP


def test_clipboard() -> None:
    assert terminal.clipboard_check({"TERM_PROGRAM": "Apple_Terminal"}, "").status is Status.WARN
    assert terminal.clipboard_check({"TERM_PROGRAM": "Apple_Terminal"}, "pbcopy").status is Status.OK
    assert "set-clipboard" in terminal.clipboard_check({"TMUX": "x"}, "").detail
    assert terminal.clipboard_check({}, "").status is Status.OK


@pytest.mark.parametrize("answer", [b"\x1b[5;4R", b"", b"garbage"])
def test_a_terminal_is_asked_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    outer, inner = pty.openpty()
    before = termios.tcgetattr(inner)
    monkeypatch.setattr(terminal, "ANSWER_S", 0.2 if not answer.endswith(b"R") else 10.0)
    drawn: list[bytes] = []

    def draw() -> None:
        """What a terminal does: draws, and answers when it is asked."""
        while b"\x1b[6n" not in b"".join(drawn):
            drawn.append(os.read(outer, 100))
        os.write(outer, answer)

    painter = threading.Thread(target=draw)
    painter.start()
    with open(inner, "r+b", buffering=0, closefd=False) as raw, open(inner, "w", closefd=False) as out:
        monkeypatch.setattr("sys.stdin", raw)
        monkeypatch.setattr("sys.stdout", out)
        found = terminal.measure(terminal.GLYPHS)
    painter.join(10)
    assert found == (3 if answer.endswith(b"R") else None)
    assert termios.tcgetattr(inner) == before
    os.close(outer)
    os.close(inner)


# ---------------------------------------------------------------------------------------- embedded


@pytest.fixture
def home(gqm: Gqm) -> str:
    """A short folder, and a file that names it."""
    folder = short_folder()
    gqm.write("gqm.yaml", f'redis: {{addr: "embedded://{folder}/data"}}\n')
    return str(folder / "data")


def test_a_private_server_that_never_ran(gqm: Gqm, home: str) -> None:
    done = gqm("doctor", "--json")
    assert done.code == 0
    assert one(done, "embedded.folder")[0] == "ok"
    assert one(done, "redis.reach")[0] == "skip"
    assert not os.path.exists(home), "nothing was started"


def test_a_private_server_that_runs(gqm: Gqm, home: str) -> None:
    with attach(home, timeout=30):
        done = gqm("doctor", "--json")
        found = checks(done)
    assert done.code == 0, done
    for name in ("folder", "mode", "server", "users"):
        assert found[f"embedded.{name}"][0][0] == "ok"
    assert str(os.getpid()) in found["embedded.users"][0][1]
    assert found["redis.policy"][0][0] == "ok"


def test_a_folder_that_others_can_enter(gqm: Gqm, home: str) -> None:
    os.makedirs(home, mode=0o755)
    os.chmod(home, 0o755)
    done = gqm("doctor", "--json")
    assert done.code == 4  # such a folder is not used
    status, _, fix = one(done, "embedded.mode")
    assert status == "fail"
    assert fix.startswith("chmod 700 ")


# ------------------------------------------------------------- what takes more than a test can set up


def embedded_checks(**facts: Any) -> dict[str, Status]:
    found = Embedded(Path("data"), exists=True, owner="ana", mode=0o700, kind="valkey", version="9.1.2")
    return {check.id: check.status for check in embedded._server(replace(found, **facts))}


def test_a_private_server_without_its_guardian() -> None:
    found = embedded_checks(running=True, pid=7, users=(8,), guardian_pid=None)
    assert found["embedded.guardian"] is Status.WARN
    assert "embedded.guardian" not in embedded_checks(running=True, pid=7, users=(8,), guardian_pid=9)


def test_users_that_the_system_does_not_tell() -> None:
    assert embedded_checks(running=True, pid=7, users=None) == {"embedded.server": Status.OK}


def test_a_folder_of_somebody_else() -> None:
    found = Embedded(Path("data"), exists=True, owner="nobody-else", mode=0o700)
    (owner, _) = embedded._folder(found, "./data")
    assert owner.status is Status.FAIL
    assert "nobody-else" in owner.fix


@pytest.mark.parametrize(
    ("url", "headers", "secure", "statuses"),
    [
        ("http://a", {}, False, []),
        ("https://a", {}, False, [Status.FAIL]),
        ("https://a", {"strict-transport-security": "max-age=1"}, False, [Status.OK]),
        ("https://a", {}, True, [Status.OK]),
    ],
)
def test_the_cookie_behind_https(
    url: str, headers: dict[str, str], secure: bool, statuses: list[Status]
) -> None:
    config = default_config(code_options(cookie_secure=secure), env={})
    answer = api.Answer(200, b"{}", 1.0, headers)
    assert [check.status for check in api._cookie(config, url, answer)] == statuses


@pytest.mark.parametrize(
    ("status", "url", "expected"),
    [
        (200, "http://192.0.2.1:8080", Status.FAIL),
        (200, "http://127.0.0.1:8080", Status.OK),
        (500, "http://127.0.0.1:8080", Status.WARN),
        (403, "http://192.0.2.1:8080", Status.OK),
    ],
)
def test_calls_without_credentials(status: int, url: str, expected: Status) -> None:
    assert api._auth(None, url, status).status is expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"version": "1.0.0", "dashboard_version": "1.0.0"}, Status.OK),
        ({"version": "1.0.0", "dashboard_version": "0.9.0"}, Status.WARN),
        ({"version": "0.9.0", "dashboard_version": "0.9.0"}, Status.WARN),
        ({}, Status.SKIP),
        ([], Status.SKIP),
    ],
)
def test_the_version_of_the_dashboard(
    monkeypatch: pytest.MonkeyPatch, document: object, expected: Status
) -> None:
    monkeypatch.setattr(api, "get", lambda url, path: api.Answer(200, json.dumps(document).encode(), 1.0))
    (check,) = api._dashboard(None, "http://127.0.0.1")
    assert check.status is expected


def test_an_api_that_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b'{"status":"degraded","error":"redis unavailable"}'
    (check,) = api._health("http://127.0.0.1", api.Answer(503, body, 1.0))
    assert check.status is Status.FAIL
    assert "degraded: redis unavailable" in check.detail
