"""``gqm doctor``: the report, its exit codes, and the checks of the file and of Redis."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from gqm.config import code_options, default_config
from gqm.keys import Keys
from gqm.store.commands.access import Persistence, acl_rules
from gqm.store.commands.facts import Facts
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from gqm_cli.doctor import redis as checks_of_redis
from gqm_cli.doctor.checks import Check, Status, fail, ok, report, skip, summary, warn
from tests.cli.helpers import Done, Gqm
from tests.cli.operators import AWAY
from tests.support.keyspace import Keyspace
from tests.support.servers import ServerFactory


def checks(done: Done) -> dict[str, list[tuple[str, str, str]]]:
    """The checks of a JSON report by id: status, detail and fix of each."""
    document = json.loads(done.out)
    assert document["ok"] is not any(item["status"] == "fail" for item in document["checks"])
    found: dict[str, list[tuple[str, str, str]]] = {}
    for item in document["checks"]:
        found.setdefault(item.pop("id"), []).append((item["status"], item["detail"], item["fix"]))
        assert set(item) == {"status", "detail", "fix"}
    return found


def one(done: Done, check_id: str) -> tuple[str, str, str]:
    """The only check of an id."""
    (found,) = checks(done)[check_id]
    return found


# --------------------------------------------------------------------------------------- the report


@pytest.mark.fault(14)
def test_the_report_of_a_sound_installation(gqm: Gqm, space: Keyspace) -> None:
    (gqm.folder / "gqm.yaml").chmod(0o600)
    done = gqm("doctor")
    lines = [re.sub(r"(under )?\d+\.\d ms", "T ms", line) for line in done.out.splitlines()]
    where = gqm.folder / "gqm.yaml"
    assert where.exists()
    assert (done.code, done.err) == (0, "")
    assert lines == [
        "✓ file     gqm.yaml is there and valid: 0 pools, 0 cron entries",
        "✓ file     mode 0600, nobody else reads it",
        "✓ file     no API key stands in clear",
        "! file     no handlers, so no job runs here: name modules in app.handlers",
        lines[4],
        "✓ redis    new enough; not a Cluster",
        "✓ redis    maxmemory-policy is noeviction",
        "✓ redis    the append-only file is on",
        "✓ redis    it is on this machine",
        "✓ redis    this user may run all commands that are needed",
        "✓ redis    its clock agrees with this machine's",
        f'✓ redis    keys begin with "{space.keys.prefix}"',
        '! engine   no server runs, jobs wait: start one with "gqm run"',
        "0 problems, 2 warnings",
    ]
    assert re.fullmatch(r"✓ redis    unix:/\S+ answers in T ms, (valkey|version) [\d.]+", lines[4])


def test_the_document(gqm: Gqm, space: Keyspace) -> None:
    done = gqm("doctor", "--json")
    document = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert set(document) == {"ok", "checks"}
    assert document["ok"] is True
    found = checks(done)
    assert found["redis.policy"] == [("ok", "maxmemory-policy is noeviction", "")]
    assert one(done, "api.reach")[0] == "skip"
    assert one(done, "terminal.size") == ("skip", "this is not a terminal", "")
    assert one(done, "embedded.folder")[0] == "skip"


def test_reading_changes_nothing(gqm: Gqm, space: Keyspace) -> None:
    space.enqueue()
    before = space.dump()
    gqm("doctor", "--ledger")
    assert space.dump() == before


def test_signs_where_text_is_not_utf8(gqm: Gqm, space: Keyspace) -> None:
    done = gqm.process("doctor", PYTHONIOENCODING="ascii")
    assert done.code == 0
    assert done.out.startswith("+ file     ")


def test_on_a_terminal(gqm: Gqm, space: Keyspace) -> None:
    done = gqm.terminal("doctor")
    assert done.code == 0
    assert "\x1b[32m✓\x1b[0m redis" in done.out
    assert "\x1b[32m✓\x1b[0m terminal 256 colours, TERM is xterm-256color" in done.out
    assert "text is UTF-8" in done.out


def test_lines_of_a_report() -> None:
    found = [
        ok("a.x", "fine"),
        warn("b.y", "hm", "think"),
        fail("embedded.z", "bad \x1b[2J"),
        skip("c.w", "not asked"),
    ]
    assert list(report(found)) == ["✓ a        fine", "! b        hm: think", "✗ embedded bad \\x1b[2J"]
    assert summary(found) == "1 problem, 1 warning"
    assert summary([ok("a.x", "fine")]) == "no problems"


# -------------------------------------------------------------------------------------- exit codes


@pytest.mark.parametrize(
    "args",
    [
        ("--yes",),
        ("--redis-url", "redis://127.0.0.1:1", "-c", "gqm.yaml"),
        ("--redis-url", "redis://:secret@127.0.0.1:1"),
        ("extra",),
        ("--fix",),  # in a pipe nobody can be asked
    ],
)
@pytest.mark.fault(15)
def test_wrong_use(gqm: Gqm, space: Keyspace, args: tuple[str, ...]) -> None:
    before = space.dump()
    done = gqm("doctor", *args)
    assert (done.code, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert "secret" not in done.err
    assert space.dump() == before


def test_without_a_file(gqm: Gqm) -> None:
    done = gqm("doctor")
    assert (done.code, done.err) == (3, "")
    assert done.out.startswith('✗ file     gqm.yaml not found: create one with "gqm init"')
    assert one(gqm("doctor", "--json"), "redis.reach")[0] == "skip"


@pytest.mark.parametrize(
    ("text", "args", "code"),
    [
        ("", ("--nonsense",), 2),
        ("redis: [1]\n", (), 3),
        (AWAY, (), 4),
        ("", ("-c", "other.yaml"), 3),
    ],
)
def test_exit_codes_on_a_terminal(
    gqm: Gqm, space: Keyspace, text: str, args: tuple[str, ...], code: int
) -> None:
    if text:
        gqm.write("gqm.yaml", text)
    done = gqm.terminal("doctor", *args, NO_COLOR="1")
    assert done.code == code
    assert "Traceback" not in done.out + done.err


@pytest.mark.fault(19)
def test_a_broken_file_names_all_its_problems(gqm: Gqm) -> None:
    gqm.write("gqm.yaml", "redis:\n  adr: x\npools:\n  - name: a\n    concurrency: ten\n")
    done = gqm("doctor")
    assert done.code == 3
    lines = [line for line in done.out.splitlines() if line.startswith("✗ file     gqm.yaml:")]
    assert len(lines) >= 3
    assert 'did you mean "addr"?' in lines[0]


def test_redis_away(gqm: Gqm) -> None:
    gqm.write("gqm.yaml", AWAY)
    done = gqm("doctor")
    assert done.code == 4
    assert "✗ redis    cannot connect to Redis at 127.0.0.1:1: connection refused: is it running?" in done.out
    assert "1 problem" in done.out
    assert "engine" not in done.out


def test_redis_of_a_url(gqm: Gqm, redis_socket: str) -> None:
    done = gqm("doctor", "--json", "--redis-url", f"unix://{redis_socket}")
    assert done.code == 0
    assert one(done, "file.found") == ("skip", "no file is used", "")
    assert one(done, "redis.policy")[0] == "ok"


def test_redis_of_the_environment(gqm: Gqm, redis_socket: str) -> None:
    done = gqm("doctor", "--json", GQM_REDIS_URL=f"unix://{redis_socket}")
    assert one(done, "redis.policy")[0] == "ok"


# -------------------------------------------------------------------------------------------- file


def with_(gqm: Gqm, text: str) -> Done:
    """The document for the fixture's file with more in it."""
    path = gqm.folder / "gqm.yaml"
    path.write_text(path.read_text().replace("app:\n  handlers: []\n", "") + text)
    path.chmod(0o600)
    return gqm("doctor", "--json")


def test_a_file_that_others_can_read(gqm: Gqm, space: Keyspace) -> None:
    (gqm.folder / "gqm.yaml").chmod(0o644)
    status, detail, fix = one(gqm("doctor", "--json"), "file.mode")
    assert (status, fix) == ("warn", "chmod 600 gqm.yaml")
    assert "0644" in detail


def test_a_file_with_secrets_that_others_can_read(gqm: Gqm, space: Keyspace) -> None:
    with_(gqm, f"monitoring: {{api: {{api_keys: [{{name: a, key_hash: 'sha256:{'a' * 64}'}}]}}}}\n")
    (gqm.folder / "gqm.yaml").chmod(0o644)
    done = gqm("doctor", "--json")
    assert done.code == 1
    assert one(done, "file.mode")[0] == "fail"


def test_a_key_in_clear(gqm: Gqm, space: Keyspace) -> None:
    done = with_(gqm, f"monitoring: {{api: {{api_keys: [{{name: a, key: '{'k' * 40}'}}]}}}}\n")
    status, detail, _ = one(done, "file.secrets")
    assert status == "warn"
    assert "clear text" in detail
    assert "kkkk" not in done.out


def test_a_user_without_password(gqm: Gqm, space: Keyspace) -> None:
    users = "auth: {enabled: true, users: [{username: ana, password_hash: ''}]}"
    done = with_(gqm, f"monitoring: {{api: {{enabled: true, addr: '127.0.0.1:1'}}, {users}}}\n")
    assert done.code == 3  # as "gqm run" and "gqm check" end with such a file
    status, _, fix = one(done, "file.password_hash")
    assert status == "fail"
    assert 'run "gqm set-password ana"' in fix


def test_handlers(gqm: Gqm, space: Keyspace) -> None:
    gqm.write("docjobs.py", "import gqm\nprint('hello')\n\n@gqm.handler('a')\ndef a(job): ...\n")
    done = with_(gqm, "app: {handlers: [docjobs]}\n")
    assert done.err == "hello\n"
    assert one(done, "file.handlers") == ("ok", "1 handler from docjobs", "")


def test_handlers_that_cannot_be_imported(gqm: Gqm, space: Keyspace) -> None:
    gqm.write("brokenjobs.py", "x = nothing\n")
    done = with_(gqm, "app: {handlers: [brokenjobs]}\n")
    assert done.code == 1
    status, detail, _ = one(done, "file.handlers")
    assert status == "fail"
    assert "NameError" in detail
    assert "brokenjobs.py:1" in detail


# ------------------------------------------------------------------------------------------- redis


def test_a_server_that_may_lose_jobs(gqm: Gqm, start_server: ServerFactory) -> None:
    server = start_server("--maxmemory-policy", "allkeys-lru", "--appendonly", "no", kind="redis")
    done = gqm("doctor", "--json", "--redis-url", f"unix://{server.socket}")
    assert done.code == 0
    policy = ("warn", "maxmemory-policy is allkeys-lru, jobs can vanish", "set it to noeviction")
    assert one(done, "redis.policy") == policy
    assert one(done, "redis.persistence")[::2] == ("warn", "set appendonly yes")


def test_a_server_whose_memory_is_full(gqm: Gqm, start_server: ServerFactory) -> None:
    server = start_server("--maxmemory", "1")
    done = gqm("doctor", "--json", "--redis-url", f"unix://{server.socket}")
    assert one(done, "redis.memory")[0] == "warn"


@pytest.mark.security(24)
def test_a_user_that_may_too_little(gqm: Gqm, start_server: ServerFactory) -> None:
    server = start_server()
    with redis.Redis(unix_socket_path=server.socket) as root:
        rules = f"{acl_rules('gqm:')} -zadd -blmove -subscribe -scan"
        root.execute_command("ACL", "SETUSER", "worker", "on", ">secret", *rules.split())
    gqm.env["GQM_REDIS_URL"] = f"unix://worker:secret@{server.socket}"
    done = gqm("doctor", "--json")
    assert done.code == 1
    status, detail, fix = one(done, "redis.acl")
    assert (status, fix) == ("fail", "ACL SETUSER NAME +zadd +scan +blmove +subscribe")
    assert detail == "this user may not run zadd, scan, blmove, subscribe"
    assert "secret" not in done.out


@pytest.mark.security(24)
def test_checks_that_a_user_may_not_make_do_not_end_the_others(gqm: Gqm, start_server: ServerFactory) -> None:
    server = start_server()
    with redis.Redis(unix_socket_path=server.socket) as root:
        rules = f"{acl_rules('gqm:')} -sscan -zrange"
        root.execute_command("ACL", "SETUSER", "worker", "on", ">secret", *rules.split())
    gqm.env["GQM_REDIS_URL"] = f"unix://worker:secret@{server.socket}"
    done = gqm("doctor", "--json", "--ledger", "--api-url", "http://127.0.0.1:1")
    found = checks(done)
    assert found["redis.acl"][0][0] == "fail"
    assert found["engine.keys"][0][0] == "fail"
    assert found["api.reach"][0][0] == "fail"


@pytest.mark.security(24)
def test_a_user_that_may_just_enough(gqm: Gqm, start_server: ServerFactory) -> None:
    server = start_server()
    with redis.Redis(unix_socket_path=server.socket) as root:
        root.execute_command("ACL", "SETUSER", "worker", "on", ">secret", *acl_rules("gqm:").split())
    gqm.env["GQM_REDIS_URL"] = f"unix://worker:secret@{server.socket}"
    done = gqm("doctor", "--json", "--ledger")
    assert done.code == 0, done
    assert one(done, "redis.acl")[0] == "ok"
    assert one(done, "redis.prefix")[0] == "skip"
    assert one(done, "ledger.all")[0] == "ok"


def test_jobs_under_the_other_spelling_of_the_prefix(gqm: Gqm, space: Keyspace) -> None:
    other = Keys(space.keys.prefix.removesuffix(":"))
    space.raw.sadd(other.queues, "default")
    status, detail, _ = one(gqm("doctor", "--json"), "redis.prefix")
    space.raw.delete(other.queues)
    assert status == "warn"
    assert f'"{other.prefix}"' in detail


@pytest.fixture
def store(redis_socket: str, prefix: str) -> Iterator[Store]:
    """A store on the test's prefix."""
    store = Store(plain_link(Keys(prefix), "the test server", {"unix_socket_path": redis_socket}))
    yield store
    store.close()


@pytest.mark.parametrize(("off_s", "word"), [(90.0, "behind"), (-90.0, "ahead of")])
def test_a_clock_that_is_wrong(
    store: Store, monkeypatch: pytest.MonkeyPatch, off_s: float, word: str
) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + off_s)
    check = checks_of_redis._clock(store)
    assert check.status is Status.WARN
    assert re.match(rf"its clock is (89|90)\.\d s {word} this machine's", check.detail)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (Facts("redis", "6.0.16", False, "noeviction"), "GQM needs 6.2"),
        (Facts("redis", "7.2.5", True, "noeviction"), "no hash tag"),
    ],
)
def test_a_server_that_cannot_be_used(store: Store, facts: Facts, words: str) -> None:
    check = checks_of_redis._version(store, facts)
    assert check.status is Status.FAIL
    assert words in f"{check.detail}: {check.fix}"


def protection(**options: Any) -> dict[str, Check]:
    config = default_config(code_options(**options), env={})
    from gqm.store.connect import open_link

    store = Store(open_link(config.redis))
    found = {check.id: check for check in checks_of_redis._protection(config, store)}
    store.close()
    return found


def test_a_server_on_another_machine() -> None:
    found = protection(redis="192.0.2.9:6379")
    assert found["redis.password"].status is Status.WARN
    assert found["redis.tls"].status is Status.WARN


def test_a_protected_server_on_another_machine() -> None:
    found = protection(redis="rediss://:secret@192.0.2.9:6379/0")
    assert found["redis.password"].status is Status.OK
    assert found["redis.tls"].status is Status.OK
    assert not any("secret" in check.detail for check in found.values())


def test_the_file_of_another_folder(gqm: Gqm, space: Keyspace, tmp_path: Path) -> None:
    (gqm.folder / "deploy").mkdir()
    (gqm.folder / "gqm.yaml").rename(gqm.folder / "deploy" / "gqm.yaml")
    done = gqm("doctor", "--json", "-c", "deploy/gqm.yaml")
    assert done.code == 0
    assert "deploy/gqm.yaml is there" in one(done, "file.valid")[1]


class Told:
    """A store that answers every command with the same."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def run(self, command: object) -> object:
        return self._answer


@pytest.mark.parametrize(
    ("found", "status", "word"),
    [
        (Persistence(True, True, True, 1, 0), Status.OK, "is on"),
        (Persistence(False, True, True, 1, 0), Status.WARN, "is off"),
        (Persistence(True, True, False, 1, 0), Status.FAIL, "append-only file could not"),
        (Persistence(False, False, True, 1, 0), Status.FAIL, "snapshot could not"),
    ],
)
def test_how_data_are_kept(found: Persistence, status: Status, word: str) -> None:
    (check,) = checks_of_redis._persistence(Told(found))  # type: ignore[arg-type]
    assert check.status is status
    assert word in check.detail


def test_a_slow_round_trip(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_of_redis, "SLOW_MS", 0.0)
    config = default_config(code_options(redis="127.0.0.1:1"), env={})
    (check,) = checks_of_redis._answers(config, store, Facts("redis", "7.2.5", False, "noeviction"))
    assert check.status is Status.WARN
    assert "version 7.2.5" in check.detail
