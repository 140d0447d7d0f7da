"""``gqm run``: start, signals, exit codes, and what it says on the way."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import gqm as library
from tests.cli.helpers import GQM, Gqm, Running
from tests.support.servers import ServerFactory
from tests.support.wait import eventually

JOBS = """\
import logging, threading, time
import gqm

@gqm.handler("quick")
def quick(job: gqm.Job) -> int:
    return 42

@gqm.handler("slow")
async def slow(job: gqm.Job) -> None:
    logging.warning("began")
    import asyncio
    await asyncio.sleep(job.payload["s"])

@gqm.handler("stubborn")
def stubborn(job: gqm.Job) -> None:
    logging.warning("began")
    threading.Event().wait(60)

@gqm.handler("blocker")
async def blocker(job: gqm.Job) -> None:
    logging.warning("began")
    time.sleep(60)
"""


@pytest.fixture
def client(config: Path, redis_socket: str, prefix: str) -> Iterator[library.Client]:
    """A client on the test's prefix."""
    with library.Client(f"unix:{redis_socket}", prefix=prefix) as client:
        yield client


@pytest.fixture
def jobs(gqm: Gqm, config: Path) -> Path:
    """The configuration with a module of handlers beside it."""
    gqm.write("jobs.py", JOBS)
    config.write_text(config.read_text().replace("handlers: []", "handlers: [jobs]"))
    return config


def started(running: Running) -> Running:
    """Wait for the last line of a banner."""
    running.says("\napi  ")
    return running


# ------------------------------------------------------------------------------------- running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_runs_jobs_until_a_signal(
    gqm: Gqm, client: library.Client, jobs: Path, number: signal.Signals
) -> None:
    running = started(gqm.start("run"))
    made = client.enqueue("quick")
    assert client.wait(made.id, 10) == 42
    running.signal(number)
    assert running.ends() == 0
    *_, asked, last = running.err.splitlines()
    assert re.fullmatch(rf"\d\d:\d\d:\d\d\.\d{{3}} INFO  {number.name}: stopping", asked)
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} INFO  stopped in \d\.\d s: 1 finished, 0 handed back, 0 abandoned", last
    )


def test_a_running_job_may_finish(gqm: Gqm, client: library.Client, jobs: Path) -> None:
    running = started(gqm.start("run"))
    made = client.enqueue("slow", {"s": 1.0})
    running.says("began")
    running.signal(signal.SIGTERM)
    assert running.ends() == 0
    job = client.get(made.id)
    assert job is not None
    assert (job.status, job.attempt) == ("completed", 1)
    assert (
        "SIGTERM: no new jobs; 1 running have up to 30 s to end, a second signal cancels them" in running.err
    )
    assert "1 finished, 0 handed back, 0 abandoned" in running.err


@pytest.mark.parametrize("type_", ["slow", "stubborn"])
def test_a_second_signal_cuts_it_short_and_hands_the_job_back(
    gqm: Gqm, client: library.Client, jobs: Path, type_: str
) -> None:
    running = started(gqm.start("run"))
    made = client.enqueue(type_, {"s": 60})
    running.says("began")
    running.signal(signal.SIGINT)
    running.says("a second signal cancels them")
    running.signal(signal.SIGINT)
    assert running.ends() == 1
    job = client.get(made.id)
    assert job is not None
    assert (job.status, job.retry_count) == ("ready", 0)


def test_signals_work_while_a_handler_blocks_the_event_loop(
    gqm: Gqm, client: library.Client, jobs: Path
) -> None:
    running = started(gqm.start("run"))
    client.enqueue("blocker")
    running.says("began")

    def told_again() -> bool:
        running.signal(signal.SIGINT)
        return running.process.poll() is not None

    # Signals that come too close are one for the system; the third that arrives ends the process at once.
    eventually(told_again, timeout=3, interval=0.05)
    assert running.ends() == 1


def test_it_runs_and_ends_with_its_standard_streams_closed(gqm: Gqm, jobs: Path) -> None:
    script = f"exec {' '.join(GQM)} run 0<&- 1>&- 2>log"
    process = subprocess.Popen(["bash", "-c", script], cwd=gqm.folder, env=gqm.env)
    try:
        log = gqm.folder / "log"
        eventually(lambda: log.exists() and "\napi  " in log.read_text(), timeout=20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert "stopped in" in log.read_text().splitlines()[-1]
    finally:
        process.kill()
        process.wait()


def test_a_rolling_restart_of_one_process_is_only_logged(gqm: Gqm, jobs: Path) -> None:
    running = started(gqm.start("run"))
    running.signal(signal.SIGUSR2)
    running.says("SIGUSR2: a rolling restart needs more than one process")
    running.signal(signal.SIGTERM)
    assert running.ends() == 0


def test_two_processes_share_the_work(gqm: Gqm, client: library.Client, jobs: Path) -> None:
    running = started(gqm.start("run", "--processes", "2"))
    assert re.search(r"^gqm 1\.0\.0  gqm\.yaml  servers \S+, \S+  2 processes$", running.err, re.M)
    assert re.search(r"^pool       default  \d+ × 2 thread  ", running.err, re.M)
    made = client.enqueue("quick")
    assert client.wait(made.id, 10) == 42
    running.signal(signal.SIGTERM)
    assert running.ends() == 0
    assert running.err.splitlines()[-1].endswith("1 finished, 0 handed back, 0 abandoned")


def test_the_embedded_server(gqm: Gqm) -> None:
    gqm.write("jobs.py", JOBS)
    gqm.write("gqm.yaml", "redis: {addr: embedded}\napp: {handlers: [jobs]}\n")
    running = gqm.start("run")
    running.says("warning    embedded server: development and single-machine use; data in ./.gqm\n")
    assert re.search(
        r"^redis      embedded in \./\.gqm  prefix gqm:  (valkey|version) \d+\.\d+\.\d+  \d+\.\d ms$",
        running.err,
        re.M,
    )
    made = gqm.process("enqueue", "quick")
    running.says("quick done")
    running.signal(signal.SIGTERM)
    assert running.ends() == 0
    assert made.code == 0


def test_the_template_runs_at_once(gqm: Gqm) -> None:
    gqm("init")
    gqm.write("jobs.py", JOBS)
    running = started(gqm.start("run", "--handlers", "jobs", "--no-api"))
    assert gqm.process("enqueue", "quick").code == 0
    running.says("quick done")
    running.signal(signal.SIGTERM)
    assert running.ends() == 0


# -------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_a_broken_configuration_lists_all_problems(gqm: Gqm, place: str) -> None:
    gqm.write("gqm.yaml", "redis:\n  adr: x\napp:\n  processes: many\n")
    done = gqm.process("run") if place == "pipe" else gqm.terminal("run")
    assert (done.code, done.out) == (3, "")
    first, second = done.err.splitlines()
    assert first.startswith("gqm.yaml:2:3: redis.adr: unknown key (addr, ")
    assert second == 'gqm.yaml:4:14: app.processes: expected int, got text ("many")'


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_without_a_file(gqm: Gqm, place: str) -> None:
    done = gqm.process("run") if place == "pipe" else gqm.terminal("run", NO_COLOR="1")
    text = 'gqm: error: gqm.yaml not found; create one with "gqm init" or name it with --config\n'
    assert (done.code, done.out, done.err) == (3, "", text)


@pytest.mark.parametrize("place", ["pipe", "terminal"])
def test_redis_away(gqm: Gqm, place: str) -> None:
    gqm.write("gqm.yaml", "redis: {addr: '127.0.0.1:1'}\n")
    done = gqm.process("run") if place == "pipe" else gqm.terminal("run", NO_COLOR="1")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "gqm: error: cannot connect to Redis at 127.0.0.1:1: connection refused; "
        'is it running? see "gqm doctor"\n'
    )


def test_a_redis_that_refuses_the_password(gqm: Gqm, start_server: ServerFactory) -> None:
    server = start_server(tcp=True)
    with redis.Redis(port=server.port) as raw:
        raw.config_set("requirepass", "s3cret")
    gqm.write("gqm.yaml", f"redis: {{addr: '127.0.0.1:{server.port}', password: wrong}}\n")
    done = gqm.process("run")
    assert done.code == 4
    assert done.err.startswith(f"gqm: error: Redis at 127.0.0.1:{server.port} refuses this user: ")
    assert "wrong" not in done.err.replace("wrong password", "")


def test_it_can_wait_for_redis(gqm: Gqm, start_server: ServerFactory) -> None:
    server = start_server(tcp=True)
    server.stop()
    gqm.write("gqm.yaml", f"redis: {{addr: '127.0.0.1:{server.port}'}}\n")
    running = gqm.start("run", "--wait-redis", "60")
    running.says("connection refused; trying again for 60 s")
    server.start()
    started(running)
    running.signal(signal.SIGTERM)
    assert running.ends() == 0


def test_a_signal_ends_the_waiting(gqm: Gqm) -> None:
    gqm.write("gqm.yaml", "redis: {addr: '127.0.0.1:1'}\n")
    running = gqm.start("run", "--wait-redis", "60")
    running.says("trying again for 60 s")
    running.signal(signal.SIGTERM)
    assert running.ends() == 0
    assert running.err.endswith("INFO  stopped before the start\n")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("jobs", "import gqm\nx = y\n", "NameError: name 'y' is not defined (jobs.py:2)"),
        ("my.jobs", "def f():\n    return y\n\nf()\n", "NameError: name 'y' is not defined (my/jobs.py:2)"),
        ("jobs", "def (:\n", "SyntaxError: invalid syntax (jobs.py:1)"),
        ("jobs", "import json\njson.loads('')\n", "line 1 column 1 (char 0) (jobs.py:2)"),
        ("jobs", "import nope.sub\n", "ModuleNotFoundError: No module named 'nope' (jobs.py:1)"),
        ("jobs", "raise SystemExit(3)\n", "SystemExit: 3 (jobs.py:1)"),
        ("jobs", "raise ValueError('a\\nb\\x1b[1m')\n", "ValueError: a\\x0ab\\x1b[1m (jobs.py:1)"),
        ("jobs", "raise ValueError\n", "ValueError (jobs.py:1)"),
        ("jobs", "import gqm\n@gqm.handler('a')\ndef a(): ...\n", "must be callable (job) (jobs.py:2)"),
        ("jobs", "import gqm\n@gqm.handler('a b')\ndef a(job): ...\n", "job type 'a b' is not valid"),
    ],
)
def test_a_broken_module_is_one_line(gqm: Gqm, config: Path, name: str, text: str, message: str) -> None:
    gqm.write(f"{name.replace('.', '/')}.py", text)
    done = gqm.process("run", "--handlers", name)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f'gqm: error: handlers module "{name}": ')
    assert done.err.count("\n") == 1
    assert message in done.err


def test_a_module_that_is_not_there(gqm: Gqm, config: Path) -> None:
    for name, text in (
        ("nope", f"there is no module nope in {gqm.folder}, nor an installed one"),
        ("nope.py", 'not a module name; write it without .py, like "nope"'),
    ):
        done = gqm.process("run", "--handlers", name)
        assert (done.code, done.err) == (1, f'gqm: error: handlers module "{name}": {text}\n')
    done = gqm.process("run", "--handlers", "./jobs.py")
    assert (done.code, done.err) == (
        2,
        'gqm: error: --handlers ./jobs.py: not a module name; write it like "myapp.jobs"\n',
    )


def test_two_handlers_of_one_type(gqm: Gqm, jobs: Path) -> None:
    gqm.write("more.py", "import gqm\n@gqm.handler('quick')\ndef other(job): ...\n")
    done = gqm.process("run", "--handlers", "more")
    assert done.code == 1
    assert done.err == (
        "gqm: error: handlers module \"more\": job type 'quick' has a handler already: quick; "
        "cannot add other\n"
    )


def test_a_broken_module_with_its_traceback(gqm: Gqm, config: Path) -> None:
    gqm.write("jobs.py", "x = y\n")
    done = gqm.process("run", "--handlers", "jobs", "--debug")
    assert done.code == 1
    assert "Traceback (most recent call last):" in done.err
    assert "NameError: name 'y' is not defined" in done.err.splitlines()[-1]


def test_secrets_to_be_filled_in_stop_it_only_with_the_api(gqm: Gqm, config: Path) -> None:
    keys = "    api_keys:\n      - {name: grafana, key: ''}\n"
    config.write_text(
        f"{config.read_text()}monitoring:\n  api:\n    enabled: true\n    addr: 127.0.0.1:0\n{keys}"
    )
    done = gqm.process("run")
    assert done.code == 3
    assert 'no key for "grafana" yet; run "gqm add-api-key grafana"' in done.err
    running = started(gqm.start("run", "--no-api"))
    assert 'no key for "grafana" yet' in running.err
    running.signal(signal.SIGTERM)
    assert running.ends() == 0


# --------------------------------------------------------------------------------------- logging


def records(running: Running) -> list[dict[str, object]]:
    return [json.loads(line) for line in running.err.splitlines()]


def test_json_logs_are_objects_and_nothing_else(gqm: Gqm, client: library.Client, jobs: Path) -> None:
    running = gqm.start("run", GQM_LOG_FORMAT="json")
    running.says('"event": "started"')
    made = client.enqueue("quick", {"secret": "s3cret"})
    client.wait(made.id, 10)
    running.says('"event": "done"')
    running.signal(signal.SIGTERM)
    assert running.ends() == 0
    start, *_, end = found = records(running)
    done = next(record for record in found if record["event"] == "done")
    assert (done["job"], done["type"], done["queue"]) == (made.id, "quick", "default")
    assert (done["pool"], done["attempt"], done["level"]) == ("default", 1, "info")
    assert start["handlers"] == ["quick", "slow", "stubborn", "blocker"]
    assert end["event"] == "stopped"
    assert {record.get("server") for record in found} == {start["servers"][0]}  # type: ignore[index]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(record["ts"])) for record in found)
    assert "s3cret" not in running.err


def test_the_option_beats_the_variable(gqm: Gqm, jobs: Path) -> None:
    running = started(gqm.start("run", "--log-format", "text", GQM_LOG_FORMAT="json"))
    running.signal(signal.SIGTERM)
    assert running.ends() == 0


def test_data_cannot_forge_lines(gqm: Gqm, client: library.Client, config: Path) -> None:
    gqm.write(
        "jobs.py",
        "import gqm\n@gqm.handler('bad')\n"
        "def bad(job):\n    raise gqm.SkipRetry('x\\n12:00 \\x1b[31m\\u202e')\n",
    )
    for form, escaped in (
        ("text", "SkipRetry: x\\x0a12:00 \\x1b[31m\\u202e"),
        ("json", "x\\n12:00 \\u001b[31m\\u202e"),
    ):
        running = gqm.start("run", "--handlers", "jobs", "--log-format", form)
        client.enqueue("bad")
        running.says("bad failed")
        running.signal(signal.SIGTERM)
        assert running.ends() == 0
        assert escaped in running.err
        assert "\x1b" not in running.err
        assert "\u202e" not in running.err


def test_the_level_is_obeyed(gqm: Gqm, client: library.Client, jobs: Path) -> None:
    running = started(gqm.start("run", "--log-level", "ERROR"))
    client.wait(client.enqueue("quick").id, 10)
    running.signal(signal.SIGTERM)
    assert running.ends() == 0
    assert running.err.splitlines()[-1].startswith("api ")


def test_debug_sets_the_level(gqm: Gqm, config: Path) -> None:
    gqm.write("jobs.py", "import gqm, logging\nlogging.getLogger('mine').debug('deep')\n")
    running = started(gqm.start("run", "--debug", "--handlers", "jobs"))
    running.signal(signal.SIGTERM)
    assert running.ends() == 0
    assert re.search(r"^\S+ DEBUG mine: deep$", running.err, re.M)


# --------------------------------------------------------------------------------------- banner


def test_the_banner(gqm: Gqm, config: Path, redis_socket: str, prefix: str) -> None:
    gqm.write("jobs.py", JOBS)
    config.write_text(
        config.read_text().replace("handlers: []", "handlers: [jobs]")
        + "queues: [{name: critical}, {name: low}]\n"
        "pools:\n"
        "  - {name: fast, job_types: [quick, push], queues: [critical, default], concurrency: 10, "
        "job_timeout: 60}\n"
        "  - {name: background, job_types: ['*'], queues: [default], concurrency: 3}\n"
        "scheduler:\n"
        "  cron_entries: [{id: sync, cron_expr: '0 0 1 1 *', job_type: quick}]\n"
        "monitoring: {api: {enabled: true, addr: '127.0.0.1:0'}}\n"
    )
    running = gqm.start("run")
    running.says("warning    pool ")
    lines = running.err.splitlines()
    server = re.fullmatch(r"gqm 1\.0\.0  gqm\.yaml  server (\S+)  1 process", lines[0])
    assert server
    assert re.fullmatch(
        rf"redis      unix:{re.escape(redis_socket)}  prefix {prefix}  (valkey|version) \S+  \d+\.\d ms",
        lines[1],
    )
    assert lines[2] == "pool       fast        10 thread  quick, push  critical, default    60 s"
    assert lines[3] == "pool       background   3 thread  *            default            1800 s"
    assert re.fullmatch(
        r"handlers   4 from jobs \(2 async\)      cron  1 entry, next sync in [0-9dhms]+", lines[4]
    )
    assert lines[5] == "api        http://127.0.0.1:0"
    assert lines[6] == 'warning    gqm.yaml:6:35: queues[1].name: no pool reads queue "low"'
    assert lines[7] == (
        'warning    pool "fast" lists push, which has no handler: its jobs wait 1 h, then go to dead_letter'
    )
    running.signal(signal.SIGTERM)
    assert running.ends() == 0


def test_without_handlers_it_says_so(gqm: Gqm, config: Path) -> None:
    running = started(gqm.start("run"))
    running.says("warning    no handlers: no job runs here; ")
    assert "handlers   none      cron  none\n" in running.err
    running.signal(signal.SIGTERM)
    assert running.ends() == 0
