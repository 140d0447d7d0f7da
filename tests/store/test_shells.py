"""The sync shell: what a caller sees when connections, answers or servers are lost."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
import redis

from gqm.errors import RedisSetupError, RedisUnavailable, StoreError
from gqm.ids import new_nonce
from gqm.job import new_job
from gqm.keys import Keys
from gqm.store.command import Command
from gqm.store.commands.claim import ClaimPlan, claim, return_unstarted, wait_ready
from gqm.store.commands.enqueue import enqueue, enqueue_batch
from gqm.store.commands.jobs import get_job
from gqm.store.commands.settle import Burial, Completion, RetryLater, complete, dead_letter, retry
from gqm.store.connect import CALL_LIMIT_S, Link, plain_link
from gqm.store.scripts import script, script_names
from gqm.store.sync import Store
from tests.support.answering import Answering
from tests.support.keyspace import SERVER, Keyspace
from tests.support.proxy import Proxy
from tests.support.servers import Server, ServerFactory
from tests.support.wait import eventually

MARGIN_S = 1.0


def echo(text: str) -> Command[str]:
    return Command(("ECHO", text), lambda raw: raw.decode())


PING = Command(("PING",), lambda raw: raw)


@pytest.fixture
def proxy(redis_socket: str) -> Iterator[Proxy]:
    with Proxy(redis_socket) as proxy:
        yield proxy


@pytest.fixture
def far(proxy: Proxy, keys: Keys) -> Iterator[Store]:
    """A store whose connections go through the proxy."""
    store = Store(plain_link(keys, "the proxy", {"host": "127.0.0.1", "port": proxy.port}))
    yield store
    store.close()


def hurried(store: Store, limit_s: float) -> Store:
    """A store to the same server that gives up earlier."""
    return Store(store.link, limit_s=limit_s)


def require_password(server: Server, password: str = "secret") -> None:
    with redis.Redis(unix_socket_path=server.socket) as raw:
        raw.config_set("requirepass", password)


def unavailable_after(store: Store, command: Command[Any], match: str) -> float:
    """Run a command that must fail as unavailable; return how long it took."""
    begun = time.monotonic()
    with pytest.raises(RedisUnavailable, match=match):
        store.run(command)
    return time.monotonic() - begun


# -------------------------------------------------------------------------------- scripts, answers


def test_flushed_scripts_are_loaded_again(space: Keyspace) -> None:
    for _ in range(3):
        space.raw.script_flush()
        space.enqueue()
        space.raw.script_flush()
        (job,) = space.claim()
        space.raw.script_flush()
        done = complete(space.keys, "default", [Completion(job, 1)], result_ttl=None, failure_ttl=None)
        assert space.store.run(done).answers == [1]
    space.assert_sound()


def test_script_is_sent_whole_only_once(space: Keyspace) -> None:
    space.raw.script_flush()
    space.raw.config_resetstat()
    for _ in range(5):
        space.enqueue()
    calls = space.raw.info("commandstats")
    assert calls["cmdstat_eval"]["calls"] == 1
    assert calls["cmdstat_evalsha"]["calls"] == 5


@pytest.mark.parametrize("loss", ["answer", "request"])
@pytest.mark.fault(15)
def test_every_command_of_a_job_survives_a_lost_line(
    space: Keyspace, proxy: Proxy, far: Store, loss: str
) -> None:
    """Each call is sent twice, or never arrives the first time; nothing happens twice."""

    def run(command: Command[Any]) -> Any:
        far.run(PING)  # a line that was good before
        before = proxy.lost_answers + proxy.lost_requests
        (proxy.lose_answers if loss == "answer" else proxy.lose_requests)(1)
        result = far.run(command)
        assert proxy.lost_answers + proxy.lost_requests == before + 1
        space.assert_sound()
        return result

    keys = space.keys
    for name in script_names():  # so that no answer is the one that a script is not known
        space.raw.script_load(script(name).source)
    jobs = [new_job("t"), new_job("t", None, {"job_id": "own", "unique": True})]
    assert [run(enqueue(keys, job)) for job in jobs] == ["ready", "ready"]
    more = [new_job("t"), new_job("t", None, {"job_id": "own2"}), new_job("t")]
    assert run(enqueue_batch(keys, more)) == 3
    child = new_job("t", None, {"depends_on": "own"})
    assert run(enqueue(keys, child)) == "deferred"
    assert run(enqueue(keys, new_job("t"), mode="in", when_ms=60_000)) == "scheduled"

    plan = ClaimPlan(SERVER, f"p@{SERVER}", (("default", None),), False, 60_000, 0, 10_000, 3)
    held = run(claim(keys, plan, new_nonce(), 9)).jobs
    assert [job.id for job in held] == [job.id for job in jobs + more]
    assert [space.field(job.id, "attempt") for job in held] == ["1"] * 5

    expected = 2 if loss == "answer" else 1
    done = complete(keys, "default", [Completion(held[1], 1)], result_ttl=None, failure_ttl=None)
    assert run(done).answers == [expected]
    assert space.status(child.id) == "ready"
    assert run(retry(keys, "default", [RetryLater(held[2], 9, "E", "", 1, b"{}")])).answers == [expected]
    assert run(dead_letter(keys, "default", [Burial(held[3], 1, "E")], failure_ttl=None)).answers == [
        expected
    ]
    assert run(return_unstarted(keys, "default", [(held[4], False)])) == [expected]
    assert run(get_job(keys, held[4].id)).status == "ready"
    ledger = {name.decode(): int(n) for name, n in space.raw.hgetall(keys.ledger("default")).items()}
    assert ledger == {"accepted": 7, "processed": 1, "dead": 1}


def test_many_lost_answers_in_a_row(space: Keyspace, proxy: Proxy, far: Store) -> None:
    proxy.lose_answers(4, only=lambda request: b"EVAL" in request)
    job = new_job("t")
    assert far.run(enqueue(space.keys, job)) == "ready"
    assert proxy.lost_answers == 4
    assert space.ready() == [job.id]


def test_killed_connections_are_replaced(space: Keyspace, store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store.run, [wait_ready(space.keys, "default", 0.05)] * 4))
    assert len(store._idle) == 4
    space.raw.client_kill_filter(_type="normal", skipme=True)
    assert [store.run(echo(str(n))) for n in range(6)] == [str(n) for n in range(6)]


def test_error_of_the_server_keeps_the_connection(store: Store) -> None:
    store.run(PING)
    (kept,) = store._idle
    with pytest.raises(StoreError, match=r"answered: .*unknown command"):
        store.run(Command(("NOSUCH",), lambda raw: raw))
    assert store._idle == [kept]
    assert store.run(echo("x")) == "x"


def test_answer_that_the_reader_refuses_leaves_no_dirty_connection(store: Store) -> None:
    def refuse(raw: Any) -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        store.run(Command(("ECHO", "first"), refuse))
    assert store.run(echo("second")) == "second"


def test_answer_out_of_step_ends_its_connection(keys: Keys) -> None:
    with Answering(b"what is this\r\n") as server:
        store = Store(plain_link(keys, "it", {"host": "127.0.0.1", "port": server.port}))
        with pytest.raises(RedisSetupError, match="not Redis"):
            store.run(PING)
        assert store._idle == []
        server.answer = b"+PONG\r\n"
        assert store.run(PING) == b"PONG"
        store.close()


def test_large_answers_come_in_pieces(store: Store) -> None:
    large = "x" * 1_000_000
    assert store.run(echo(large)) == large
    assert store.run(echo("small")) == "small"


def test_interrupt_in_the_middle_leaves_no_dirty_connection(store: Store, keys: Keys) -> None:
    class Interrupt(BaseException):
        pass

    def interrupt(signum: int, frame: object) -> None:
        raise Interrupt

    old = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Interrupt):
            store.run(wait_ready(keys, "default", 3))
    finally:
        signal.signal(signal.SIGALRM, old)
    assert store._idle == []
    assert store.run(echo("mine")) == "mine"


# ----------------------------------------------------------------------------- Redis away or stuck


def test_nobody_listens(keys: Keys) -> None:
    store = Store(plain_link(keys, "127.0.0.1:1", {"host": "127.0.0.1", "port": 1}))
    took = unavailable_after(store, PING, "cannot connect to Redis at 127.0.0.1:1: connection refused")
    assert took < CALL_LIMIT_S
    store = Store(plain_link(keys, "a path", {"unix_socket_path": "/nowhere/redis.sock"}))
    unavailable_after(store, PING, "cannot connect to Redis at a path: no such file or directory")


@pytest.mark.parametrize("when", ["before", "between"])
@pytest.mark.parametrize("fault", ["frozen", "half-open"])
def test_no_answer_is_an_error_in_time(
    proxy: Proxy, keys: Keys, start_server: ServerFactory, fault: str, when: str
) -> None:
    server = start_server(tcp=True) if fault == "frozen" else None
    port = server.port if server else proxy.port
    store = Store(plain_link(keys, "it", {"host": "127.0.0.1", "port": port}), limit_s=0.4)
    if when == "between":
        store.run(PING)
    if server:
        server.freeze()
    else:
        proxy.hang()
    took = unavailable_after(store, PING, "cannot connect to Redis at it")
    assert took < 2.0 + MARGIN_S if when == "before" else took < 0.4 + MARGIN_S
    if server:
        server.thaw()
    else:
        proxy.thaw()
    assert eventually(lambda: store.run(echo("back"))) == "back"
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "between"])
def test_frozen_redis_is_an_error_within_5_s(keys: Keys, start_server: ServerFactory, when: str) -> None:
    server = start_server(tcp=True)
    require_password(server)
    store = Store(plain_link(keys, "it", {"host": "127.0.0.1", "port": server.port, "password": "secret"}))
    if when == "between":
        store.run(PING)
    with server.stop_cont():
        assert unavailable_after(store, PING, "cannot connect") < CALL_LIMIT_S + 0.3
        # large enough that the server's buffers cannot take it
        large = Command(("SET", keys.job("x"), b"x" * 30_000_000), lambda raw: raw)
        assert unavailable_after(store, large, "cannot connect") < CALL_LIMIT_S + 0.3
    store.close()


def test_blocking_command_may_take_its_time(store: Store, keys: Keys) -> None:
    quick = hurried(store, 0.2)
    begun = time.monotonic()
    assert quick.run(wait_ready(keys, "default", 0.6)) is False
    assert time.monotonic() - begun >= 0.6
    quick.close()


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_restart_inside_the_window_goes_unnoticed(keys: Keys, start_server: ServerFactory, kind: str) -> None:
    server = start_server(kind=kind)
    store = Store(plain_link(keys, "it", {"unix_socket_path": server.socket}))
    first = new_job("t")
    store.run(enqueue(keys, first))
    server.stop()
    restart = threading.Timer(0.3, server.start)
    restart.start()
    second = new_job("t")
    assert store.run(enqueue(keys, second)) == "ready"
    restart.join()
    assert store.run(get_job(keys, first.id)) is not None
    store.close()


def test_killed_redis_is_named_and_comes_back(keys: Keys, start_server: ServerFactory) -> None:
    server = start_server()
    store = Store(plain_link(keys, "it", {"unix_socket_path": server.socket}))
    store.run(PING)
    server.kill()
    assert unavailable_after(store, PING, "cannot connect to Redis at it") < CALL_LIMIT_S
    server.start()
    assert store.run(echo("back")) == "back"
    store.close()


def test_lines_that_break_again_and_again(proxy: Proxy, far: Store) -> None:
    stop = threading.Event()

    def break_lines() -> None:
        while not stop.wait(0.02):
            proxy.reset()

    breaker = threading.Thread(target=break_lines)
    breaker.start()
    try:
        for n in range(100):
            assert far.run(echo(str(n))) == str(n)
    finally:
        stop.set()
        breaker.join()


def test_slow_line(proxy: Proxy, far: Store) -> None:
    far.run(PING)
    proxy.latency_s = 0.1
    begun = time.monotonic()
    assert far.run(echo("x")) == "x"
    assert 0.2 <= time.monotonic() - begun < 1.0


def test_refused_lines(proxy: Proxy, far: Store) -> None:
    far.run(PING)
    proxy.refuse()
    assert unavailable_after(far, PING, "cannot connect") < CALL_LIMIT_S
    proxy.accept()
    assert far.run(echo("back")) == "back"


# --------------------------------------------------------------------------------- refusing words


@pytest.mark.parametrize(
    "word",
    [
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "NOREPLICAS Not enough good replicas to write.",
        "MISCONF Errors writing to the AOF file: No space left on device",
        "READONLY You can't write against a read only replica.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed when used memory",
        "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write against a replica",
    ],
)
def test_refusal_that_passes_is_unavailable(keys: Keys, word: str) -> None:
    with Answering(f"-{word}\r\n".encode()) as server:
        store = Store(plain_link(keys, "it", {"host": "127.0.0.1", "port": server.port}))
        took = unavailable_after(
            store, enqueue(keys, new_job("t")), "Redis at it does not serve requests now: "
        )
        assert took < CALL_LIMIT_S
        server.answer = b"$5\r\nready\r\n"
        assert store.run(enqueue(keys, new_job("t"))) == "ready"
        store.close()


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_replica_refuses_and_serves_again_as_master(
    keys: Keys, start_server: ServerFactory, kind: str
) -> None:
    server = start_server(kind=kind)
    store = Store(plain_link(keys, "it", {"unix_socket_path": server.socket}))
    with redis.Redis(unix_socket_path=server.socket) as raw:
        raw.replicaof("127.0.0.1", "1")
        for job in (new_job("t"), new_job("t", None, {"job_id": "own"})):
            unavailable_after(store, enqueue(keys, job), "does not serve requests now: .*replica")
        raw.replicaof("NO", "ONE")
        assert store.run(enqueue(keys, new_job("t"))) == "ready"
    store.close()


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_disk_that_takes_no_snapshot_refuses(keys: Keys, start_server: ServerFactory, kind: str) -> None:
    server = start_server("--appendonly", "no", kind=kind)
    (server.folder / "dump.rdb").mkdir()  # a snapshot cannot take its name
    store = Store(plain_link(keys, "it", {"unix_socket_path": server.socket}))
    with redis.Redis(unix_socket_path=server.socket) as raw:
        raw.config_set("save", "3600 1000000")
        raw.bgsave()
        eventually(lambda: raw.info("persistence")["rdb_last_bgsave_status"] == "err")
        unavailable_after(store, enqueue(keys, new_job("t")), "does not serve requests now")
        assert not list(raw.scan_iter(keys.prefix + "*"))
        raw.config_set("stop-writes-on-bgsave-error", "no")
        assert store.run(enqueue(keys, new_job("t"))) == "ready"
    store.close()


@pytest.mark.parametrize("login", [{}, {"password": "wrong"}, {"username": "nobody", "password": "secret"}])
def test_wrong_login_is_a_setup_error_at_once(
    keys: Keys, start_server: ServerFactory, login: dict[str, str]
) -> None:
    server = start_server()
    require_password(server)
    begun = time.monotonic()
    store = Store(plain_link(keys, "it", {"unix_socket_path": server.socket, **login}))
    with pytest.raises(RedisSetupError, match="Redis at it refuses this user: ") as caught:
        store.run(PING)
    assert time.monotonic() - begun < 1.0
    assert "secret" not in str(caught.value)
    store.close()


def test_user_without_the_right_is_a_setup_error(keys: Keys, start_server: ServerFactory) -> None:
    server = start_server()
    with redis.Redis(unix_socket_path=server.socket) as raw:
        raw.acl_setuser(
            "reader", enabled=True, passwords=["+pw"], keys="*", categories=["+@read", "+@connection"]
        )
    login = {"username": "reader", "password": "pw"}
    store = Store(plain_link(keys, "it", {"unix_socket_path": server.socket, **login}))
    assert store.run(get_job(keys, "x")) is None
    with pytest.raises(RedisSetupError, match=r"refuses this user: .*permission"):
        store.run(enqueue(keys, new_job("t")))
    store.close()


# ------------------------------------------------------------------------------ threads, processes


def test_threads_share_a_store_and_get_their_own_answers(store: Store) -> None:
    def work(thread: int) -> None:
        for n in range(150):
            assert store.run(echo(f"{thread}-{n}")) == f"{thread}-{n}"

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    assert len(store._idle) <= 12


def test_more_threads_than_connections_wait_for_their_turn(redis_socket: str, keys: Keys) -> None:
    store = Store(plain_link(keys, "it", {"unix_socket_path": redis_socket}, pool_size=2))
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: (store.run(wait_ready(keys, "q", 0.05)), store.run(echo(n)))[1], "abcdefgh")
        )
    assert answers == list("abcdefgh")
    store.close()


def test_full_pool_is_an_error_in_time_and_breaks_no_other_call(redis_socket: str, keys: Keys) -> None:
    store = Store(plain_link(keys, "it", {"unix_socket_path": redis_socket}, pool_size=1), limit_s=0.3)
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(store.run, wait_ready(keys, "q", 1.0))
        eventually(lambda: store._idle == [] and busy.running())
        assert unavailable_after(store, PING, "cannot connect") < 1.0
        assert busy.result() is False
    assert store.run(echo("x")) == "x"
    store.close()


FORK = """
import os, sys
from gqm.keys import Keys
from gqm.store.command import Command
from gqm.store.connect import plain_link
from gqm.store.sync import Store

store = Store(plain_link(Keys("x:"), "it", {"unix_socket_path": sys.argv[1]}))
def echo(text):
    return store.run(Command(("ECHO", text), bytes.decode))
def client_id():
    return store.run(Command(("CLIENT", "ID"), int))
assert echo("parent") == "parent"
mine = client_id()
children = []
for n in range(4):
    pid = os.fork()
    if pid == 0:
        for i in range(200):
            assert echo(f"{n}-{i}") == f"{n}-{i}"
        assert client_id() != mine
        os._exit(7)
    children.append(pid)
for i in range(200):
    assert echo(f"p-{i}") == f"p-{i}"
assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [7] * 4
assert client_id() == mine
print("sound")
"""


def test_forked_children_do_not_share_connections(redis_socket: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, redis_socket],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.stdout, done.stderr, done.returncode) == ("sound\n", "", 0)


def test_closing_gives_everything_back(redis_socket: str, raw: redis.Redis, keys: Keys) -> None:
    def lines() -> int:
        return len(raw.client_list())

    base = lines()
    store = Store(plain_link(keys, "it", {"unix_socket_path": redis_socket}))
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(store.run, [wait_ready(keys, "q", 0.05)] * 3))
    assert lines() == base + 3
    store.close()
    eventually(lambda: lines() == base)


def test_run_all_goes_in_turn(store: Store) -> None:
    assert store.run_all([echo("a"), echo("b")]) == ["a", "b"]


def test_revive_is_called_before_each_further_try(keys: Keys, start_server: ServerFactory) -> None:
    server = start_server()
    revived = []

    def revive() -> None:
        revived.append(time.monotonic())
        server.start()

    link = plain_link(keys, "it", {"unix_socket_path": server.socket})
    store = Store(dataclasses.replace(link, revive=revive))
    store.run(PING)
    server.kill()
    assert store.run(echo("back")) == "back"
    assert len(revived) == 1
    store.close()


# -------------------------------------------------------------------------------- subscription


@pytest.fixture
def protocol_links(redis_socket: str, keys: Keys) -> Callable[[int], Link]:
    return lambda protocol: plain_link(keys, "it", {"unix_socket_path": redis_socket, "protocol": protocol})


@pytest.mark.parametrize("protocol", [2, 3])
def test_messages_arrive_and_silence_ticks(
    protocol_links: Callable[[int], Link], raw: redis.Redis, protocol: int
) -> None:
    store = Store(protocol_links(protocol))
    channel = store.keys.control
    ready: list[bool] = []
    messages = store.subscribe(channel, tick_s=0.05, idle_s=0.12, subscribed=lambda: ready.append(True))
    assert next(messages) is None
    assert ready == [True]
    raw.publish(channel, "first")
    raw.publish(channel, b"\xff\0")
    heard = [message for message, _ in zip(messages, range(12), strict=False)]
    assert [message for message in heard if message is not None] == [b"first", b"\xff\0"]
    assert heard.count(None) == 10, "alive over several PINGs"
    messages.close()  # type: ignore[attr-defined]  # a generator
    store.close()


def test_lost_subscription_is_told(far: Store, proxy: Proxy, keys: Keys) -> None:
    messages = far.subscribe(keys.control, tick_s=0.05)
    assert next(messages) is None
    proxy.reset()
    with pytest.raises(RedisUnavailable, match="cannot connect"):
        for _ in messages:
            pass


def test_half_open_subscription_is_told(far: Store, proxy: Proxy, keys: Keys) -> None:
    messages = far.subscribe(keys.control, tick_s=0.05, idle_s=0.2)
    assert next(messages) is None
    proxy.hang()
    begun = time.monotonic()
    with pytest.raises(RedisUnavailable, match="does not answer"):
        for _ in messages:
            pass
    assert time.monotonic() - begun < 2
    proxy.thaw()


def test_subscription_to_nobody_is_told(keys: Keys) -> None:
    store = Store(plain_link(keys, "it", {"unix_socket_path": "/nowhere"}))
    with pytest.raises(RedisUnavailable):
        next(store.subscribe(keys.control))


# ------------------------------------------------------------------------------- pauses of retries


def test_backoff_grows_to_its_most_and_ends() -> None:
    from gqm.store.connect import Backoff

    backoff = Backoff(until=10.0, first_s=0.1, most_s=1.0)
    pauses = [backoff.pause(0.0) for _ in range(8)]
    assert all(pause is not None for pause in pauses)
    assert 0.075 <= (pauses[0] or 0) <= 0.125
    assert all(0.75 <= (pause or 0) <= 1.25 for pause in pauses[4:])
    assert all((later or 0) > (earlier or 0) for earlier, later in pairwise(pauses[:4]))
    assert backoff.pause(9.9) == pytest.approx(0.1)
    assert backoff.pause(10.0) is None
    backoff.reset()
    assert (backoff.pause(0.0) or 9) <= 0.125


def test_store_of_a_server_alone(start_server: ServerFactory) -> None:
    """A store makes no connection before its first call."""
    server: Server = start_server()
    store = Store(plain_link(Keys("x:"), "it", {"unix_socket_path": server.socket}))
    with redis.Redis(unix_socket_path=server.socket) as raw:
        assert len(raw.client_list()) == 1
    store.close()
