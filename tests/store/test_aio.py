"""The async shell: the sync shell's promises on an event loop, and what cancellation may not do."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis

from gqm.errors import RedisSetupError, RedisUnavailable, StoreError
from gqm.ids import new_nonce
from gqm.job import new_job
from gqm.keys import Keys
from gqm.store.aio import AsyncStore
from gqm.store.command import Command
from gqm.store.commands.claim import ClaimPlan, claim, wait_ready
from gqm.store.commands.enqueue import enqueue, enqueue_batch
from gqm.store.commands.settle import Completion, complete
from gqm.store.connect import CALL_LIMIT_S, Link, plain_link
from gqm.store.scripts import script, script_names
from tests.support.answering import Answering
from tests.support.keyspace import SERVER, Keyspace
from tests.support.proxy import Proxy
from tests.support.servers import ServerFactory
from tests.support.wait import aeventually

PING: Command[object] = Command(("PING",), lambda raw: raw)
Run = Callable[[Coroutine[Any, Any, Any]], Any]


def echo(text: str) -> Command[str]:
    return Command(("ECHO", text), lambda raw: raw.decode())


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a coroutine on a loop of each kind."""
    factory = None
    if request.param == "uvloop":
        if importlib.util.find_spec("uvloop") is None:
            pytest.skip("uvloop is not installed")
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner.run


@pytest.fixture
def proxy(redis_socket: str) -> Iterator[Proxy]:
    with Proxy(redis_socket) as proxy:
        yield proxy


@pytest.fixture
def far(proxy: Proxy, keys: Keys) -> Link:
    """A link through the proxy."""
    return plain_link(keys, "the proxy", {"host": "127.0.0.1", "port": proxy.port})


@asynccontextmanager
async def opened(link: Link, limit_s: float = CALL_LIMIT_S) -> AsyncIterator[AsyncStore]:
    store = AsyncStore(link, limit_s=limit_s)
    try:
        yield store
    finally:
        await store.close()


async def unavailable_after(waiting: Awaitable[object], match: str = "cannot connect") -> float:
    begun = time.monotonic()
    with pytest.raises(RedisUnavailable, match=match):
        await waiting
    return time.monotonic() - begun


# -------------------------------------------------------------------------------- answers


def test_a_job_goes_all_the_way(run: Run, space: Keyspace, link: Link) -> None:
    async def main() -> None:
        async with opened(link) as store:
            space.raw.script_flush()
            job = new_job("t")
            assert await store.run(enqueue(store.keys, job)) == "ready"
            plan = ClaimPlan(SERVER, f"p@{SERVER}", (("default", None),), False, 60_000, 0, 10_000, 3)
            (held,) = (await store.run(claim(store.keys, plan, new_nonce(), 1))).jobs
            assert held.id == job.id
            done = complete(store.keys, "default", [Completion(held, 1)], result_ttl=None, failure_ttl=None)
            assert (await store.run(done)).answers == [1]
            assert await store.run_all([echo("a"), echo("b")]) == ["a", "b"]

    run(main())
    space.assert_sound()


@pytest.mark.parametrize("loss", ["answer", "request"])
def test_lost_lines_double_nothing(run: Run, space: Keyspace, far: Link, proxy: Proxy, loss: str) -> None:
    for name in script_names():
        space.raw.script_load(script(name).source)

    async def main() -> None:
        async with opened(far) as store:

            async def lossy(command: Command[Any]) -> Any:
                await store.run(PING)
                before = proxy.lost_answers + proxy.lost_requests
                (proxy.lose_answers if loss == "answer" else proxy.lose_requests)(1)
                answer = await store.run(command)
                assert proxy.lost_answers + proxy.lost_requests == before + 1
                return answer

            keys = store.keys
            job = new_job("t")
            assert await lossy(enqueue(keys, job)) == "ready"
            assert await lossy(enqueue_batch(keys, [new_job("t"), new_job("t")])) == 2
            plan = ClaimPlan(SERVER, f"p@{SERVER}", (("default", None),), False, 60_000, 0, 10_000, 3)
            held = (await lossy(claim(keys, plan, new_nonce(), 9))).jobs
            assert len(held) == 3
            done = complete(keys, "default", [Completion(held[0], 1)], result_ttl=None, failure_ttl=None)
            assert (await lossy(done)).answers == [2 if loss == "answer" else 1]

    run(main())
    space.assert_sound()
    assert space.raw.hgetall(space.keys.ledger("default")) == {b"accepted": b"3", b"processed": b"1"}


def test_many_tasks_get_their_own_answers(run: Run, link: Link) -> None:
    async def main() -> None:
        async with opened(link) as store:

            async def work(task: int) -> None:
                for n in range(50):
                    assert await store.run(echo(f"{task}-{n}")) == f"{task}-{n}"

            await asyncio.gather(*(work(task) for task in range(20)))
            assert len(store._idle) <= 20

    run(main())


def test_error_of_the_server_keeps_the_connection(run: Run, link: Link) -> None:
    async def main() -> None:
        async with opened(link) as store:
            await store.run(PING)
            kept = list(store._idle)
            with pytest.raises(StoreError, match="unknown command"):
                await store.run(Command(("NOSUCH",), lambda raw: raw))
            assert store._idle == kept

    run(main())


def test_killed_connections_are_replaced(run: Run, link: Link, space: Keyspace) -> None:
    async def main() -> None:
        async with opened(link) as store:
            await asyncio.gather(*(store.run(wait_ready(store.keys, "q", 0.05)) for _ in range(4)))
            assert len(store._idle) == 4
            space.raw.client_kill_filter(_type="normal", skipme=True)
            assert [await store.run(echo(str(n))) for n in range(6)] == [str(n) for n in range(6)]

    run(main())


# ---------------------------------------------------------------------------------- cancellation


def test_cancelled_call_leaves_no_dirty_connection(run: Run, link: Link) -> None:
    async def main() -> None:
        async with opened(link) as store:
            waiting = asyncio.create_task(store.run(wait_ready(store.keys, "q", 5)))
            await aeventually(lambda: link_is_blocked(store))
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert len(store._idle) == 1, "only that of the other call"
            assert await store.run(echo("mine")) == "mine"

    async def link_is_blocked(store: AsyncStore) -> bool:
        return "cmd=blmove" in (await store.run(Command(("CLIENT", "LIST"), bytes.decode)))

    run(main())


def test_calls_cancelled_at_any_instant_never_mix_answers(run: Run, link: Link) -> None:
    async def main() -> None:
        async with opened(link) as store:
            for n in range(150):
                task = asyncio.create_task(store.run(echo(f"lost-{n}")))
                for _ in range(n % 7):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert await store.run(echo(f"kept-{n}")) == f"kept-{n}"

    run(main())


def test_time_limit_of_the_caller_leaves_no_dirty_connection(run: Run, link: Link) -> None:
    async def main() -> None:
        async with opened(link) as store:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await store.run(wait_ready(store.keys, "q", 5))
            assert await store.run(echo("mine")) == "mine"

    run(main())


# ------------------------------------------------------------------------------ Redis away or stuck


@pytest.mark.parametrize("when", ["before", "between"])
def test_no_answer_is_an_error_in_time(run: Run, far: Link, proxy: Proxy, when: str) -> None:
    async def main() -> None:
        async with opened(far, 0.4) as store:
            if when == "between":
                await store.run(PING)
            proxy.hang()
            took = await unavailable_after(store.run(PING))
            assert took < 1.4
            proxy.thaw()
            assert await store.run(echo("back")) == "back"

    run(main())


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "between"])
def test_frozen_redis_is_an_error_within_5_s(
    run: Run, keys: Keys, start_server: ServerFactory, when: str
) -> None:
    server = start_server(tcp=True)
    with redis.Redis(unix_socket_path=server.socket) as raw:
        raw.config_set("requirepass", "secret")
    link = plain_link(keys, "it", {"host": "127.0.0.1", "port": server.port, "password": "secret"})

    async def main() -> None:
        async with opened(link) as store:
            if when == "between":
                await store.run(PING)
            with server.stop_cont():
                assert await unavailable_after(store.run(PING)) < CALL_LIMIT_S + 0.3
                # large enough that the server's buffers cannot take it
                large = Command(("SET", keys.job("x"), b"x" * 30_000_000), lambda raw: raw)
                assert await unavailable_after(store.run(large)) < CALL_LIMIT_S + 0.3

    run(main())


def test_nobody_listens(run: Run, keys: Keys) -> None:
    async def main() -> None:
        for kwargs, why in (
            ({"host": "127.0.0.1", "port": 1}, "connection refused"),
            ({"unix_socket_path": "/nowhere/redis.sock"}, "no such file or directory"),
        ):
            async with opened(plain_link(keys, "it", kwargs)) as store:
                took = await unavailable_after(store.run(PING), f"cannot connect to Redis at it: {why}")
                assert took < CALL_LIMIT_S

    run(main())


def test_restart_inside_the_window_goes_unnoticed(run: Run, keys: Keys, start_server: ServerFactory) -> None:
    server = start_server()

    async def main() -> None:
        async with opened(plain_link(keys, "it", {"unix_socket_path": server.socket})) as store:
            await store.run(PING)
            server.kill()
            call = asyncio.create_task(store.run(enqueue(keys, new_job("t"))))
            await asyncio.to_thread(server.start)
            assert await call == "ready"

    run(main())


def test_lines_that_break_again_and_again(run: Run, far: Link, proxy: Proxy) -> None:
    async def main() -> None:
        async with opened(far) as store:

            async def break_lines() -> None:
                while True:
                    await asyncio.sleep(0.02)
                    proxy.reset()

            breaking = asyncio.create_task(break_lines())
            for n in range(100):
                assert await store.run(echo(str(n))) == str(n)
            breaking.cancel()

    run(main())


def test_refusals_and_wrong_logins(run: Run, keys: Keys, start_server: ServerFactory) -> None:
    server = start_server()
    with redis.Redis(unix_socket_path=server.socket) as raw:
        raw.config_set("requirepass", "secret")

    async def main() -> None:
        async with opened(plain_link(keys, "it", {"unix_socket_path": server.socket})) as store:
            with pytest.raises(RedisSetupError, match="refuses this user"):
                await store.run(PING)
        with Answering(b"-READONLY You can't write against a read only replica.\r\n") as answering:
            link = plain_link(keys, "it", {"host": "127.0.0.1", "port": answering.port})
            async with opened(link) as store:
                await unavailable_after(store.run(PING), "does not serve requests now")
                assert store._idle == [], "the next call looks for the master anew"

    run(main())


def test_more_tasks_than_connections_wait_for_their_turn(run: Run, redis_socket: str, keys: Keys) -> None:
    link = plain_link(keys, "it", {"unix_socket_path": redis_socket}, pool_size=2)

    async def main() -> None:
        async with opened(link) as store:

            async def work(text: str) -> str:
                await store.run(wait_ready(keys, "q", 0.05))
                return await store.run(echo(text))

            assert await asyncio.gather(*(work(text) for text in "abcdefgh")) == list("abcdefgh")

    run(main())


def test_closing_gives_everything_back(run: Run, link: Link, raw: redis.Redis) -> None:
    base = len(raw.client_list())

    async def main() -> None:
        async with opened(link) as store:
            await asyncio.gather(*(store.run(wait_ready(store.keys, "q", 0.05)) for _ in range(3)))
            assert len(raw.client_list()) == base + 3
        await aeventually(lambda: len(raw.client_list()) == base)

    run(main())


# -------------------------------------------------------------------------------- subscription


@pytest.mark.parametrize("protocol", [2, 3])
def test_messages_arrive_over_long_silence(
    run: Run, redis_socket: str, raw: redis.Redis, keys: Keys, protocol: int
) -> None:
    link = plain_link(keys, "it", {"unix_socket_path": redis_socket, "protocol": protocol})
    heard: list[bytes] = []

    async def main() -> None:
        async with opened(link) as store:
            ready = asyncio.Event()

            async def listen() -> None:
                async for message in store.subscribe(keys.control, idle_s=0.05, subscribed=ready.set):
                    heard.append(message)

            listening = asyncio.create_task(listen())
            await ready.wait()
            raw.publish(keys.control, "first")
            await aeventually(lambda: heard == [b"first"])
            before = raw.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"]
            await aeventually(
                lambda: raw.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"] >= before + 3
            )
            raw.publish(keys.control, b"\xff")
            await aeventually(lambda: heard == [b"first", b"\xff"])
            assert not listening.done()
            listening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await listening
        assert raw.pubsub_numsub(keys.control)[0][1] == 0

    run(main())


@pytest.mark.parametrize("fault", ["reset", "half-open"])
def test_lost_subscription_is_told(run: Run, far: Link, proxy: Proxy, fault: str) -> None:
    async def main() -> None:
        async with opened(far) as store:
            ready = asyncio.Event()

            async def listen() -> None:
                async for _ in store.subscribe(far.keys.control, idle_s=0.1, subscribed=ready.set):
                    pass

            listening = asyncio.create_task(listen())
            await ready.wait()
            if fault == "reset":
                proxy.reset()
            else:
                proxy.hang()
            assert await unavailable_after(listening, "cannot connect") < 2
            proxy.thaw()
            assert await store.run(echo("other calls go on")) == "other calls go on"

    run(main())
