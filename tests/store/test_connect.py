"""Ways to reach Redis: addresses, URLs, TLS, Sentinel, Cluster, ready clients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.cluster
import redis.cluster

from gqm.config import RedisConfig
from gqm.config.model import TLSConfig
from gqm.errors import RedisSetupError, RedisUnavailable
from gqm.ids import new_nonce
from gqm.job import new_job
from gqm.keys import Keys
from gqm.store.aio import AsyncStore
from gqm.store.command import Command
from gqm.store.commands.claim import ClaimPlan, claim
from gqm.store.commands.enqueue import enqueue, enqueue_batch
from gqm.store.commands.facts import Facts, check_facts, facts
from gqm.store.commands.jobs import get_job, get_outcome, list_queues
from gqm.store.commands.settle import Completion, complete
from gqm.store.connect import Link, open_link, plain_link
from gqm.store.sync import Store
from tests.support.servers import ServerFactory, free_port
from tests.support.topology import Watched, start_cluster
from tests.support.wait import eventually

PING: Command[object] = Command(("PING",), lambda raw: raw)


@contextlib.contextmanager
def opened(link: Link) -> Iterator[Store]:
    store = Store(link)
    try:
        yield store
    finally:
        store.close()


def journey(store: Store) -> None:
    """A job and its child from enqueue to end, by every reader that a foreign client could break."""
    keys = store.keys
    parent = new_job("t", {"n": 2**63 - 1}, {"queue": "q", "meta": {"ü": "€"}})
    child = new_job("t", None, {"queue": "q", "depends_on": parent.id, "job_id": f"child-{new_nonce()}"})
    assert store.run(enqueue(keys, parent)) == "ready"
    assert store.run(enqueue(keys, child)) == "deferred"
    assert store.run(enqueue_batch(keys, [new_job("t"), new_job("t")])) == 2
    plan = ClaimPlan("s", "p@s", (("q", None),), False, 60_000, 0, 10_000, 3)
    (held,) = store.run(claim(keys, plan, new_nonce(), 5)).jobs
    assert held.fields[b"payload"] == b'{"n":9223372036854775807}'
    done = complete(keys, "q", [Completion(held, 5, b"[1]")], result_ttl=None, failure_ttl=None)
    assert store.run(done).answers == [1]
    read = store.run(get_job(keys, parent.id))
    assert read is not None
    assert (read.status, read.result, read.meta) == ("completed", [1], {"ü": "€"})
    outcome = store.run(get_outcome(keys, child.id))
    assert outcome is not None
    assert outcome.status == "ready"
    queues = store.run(list_queues(keys))
    assert sorted(queues) == ["default", "q"]
    assert store.run(facts()).kind in ("redis", "valkey")


async def async_journey(link: Link) -> None:
    store = AsyncStore(link)
    try:
        job = new_job("t", {"a": "€"}, {"queue": "aq"})
        assert await store.run(enqueue(store.keys, job)) == "ready"
        plan = ClaimPlan("s", "p@s", (("aq", None),), False, 60_000, 0, 10_000, 3)
        (held,) = (await store.run(claim(store.keys, plan, new_nonce(), 5))).jobs
        done = complete(store.keys, "aq", [Completion(held, 5)], result_ttl=None, failure_ttl=None)
        assert (await store.run(done)).answers == [1]
        read = await store.run(get_job(store.keys, job.id))
        assert read is not None
        assert read.payload == {"a": "€"}
    finally:
        await store.close()


def both_ways(link: Link) -> None:
    with opened(link) as store:
        journey(store)
    asyncio.run(async_journey(link))


# ----------------------------------------------------------------------------- addresses and URLs


def test_unix_socket(redis_socket: str, prefix: str) -> None:
    for address in (f"unix:{redis_socket}", f"unix://{redis_socket}"):
        link = open_link(RedisConfig(addr=address, prefix=f"{prefix}{len(address)}:"))
        assert (link.where, link.remote, link.embedded) == (address, False, False)
        both_ways(link)


def test_host_and_port_with_db_and_login(start_server: ServerFactory) -> None:
    server = start_server(tcp=True)
    with redis.Redis(unix_socket_path=server.socket) as raw:
        raw.acl_setuser(
            "joe", enabled=True, passwords=["+p@:/ss"], keys="*", channels="*", categories=["+@all"]
        )
        raw.config_set("requirepass", "other")
        address = f"127.0.0.1:{server.port}"
        link = open_link(RedisConfig(addr=address, db=3, username="joe", password="p@:/ss", prefix="a"))
        assert (link.where, link.keys.prefix, link.has_password) == (f"{address}/3", "a:", True)
        both_ways(link)
    with redis.Redis(unix_socket_path=server.socket, db=3, password="other") as raw:
        assert raw.exists("a:queues")


def test_url_with_everything(start_server: ServerFactory) -> None:
    server = start_server(tcp=True)
    with redis.Redis(unix_socket_path=server.socket) as raw:
        raw.config_set("requirepass", "p@:/ss")
    link = open_link(RedisConfig(url=f"redis://:p%40%3A%2Fss@127.0.0.1:{server.port}/5"))
    assert link.where == f"redis://127.0.0.1:{server.port}/5"
    assert link.has_password
    both_ways(link)
    with redis.Redis(unix_socket_path=server.socket, db=5, password="p@:/ss") as raw:
        assert raw.exists("gqm:queues")
    path = open_link(RedisConfig(url=f"unix://{server.socket}?db=6&password=p%40%3A%2Fss"))
    assert path.where == f"unix://{server.socket}"
    both_ways(path)


def test_password_never_shows_in_an_error() -> None:
    link = open_link(RedisConfig(url="redis://joe:secret@127.0.0.1:1/5"))
    with opened(link) as store, pytest.raises(RedisUnavailable) as caught:
        store.run(PING)
    assert str(caught.value) == "cannot connect to Redis at redis://127.0.0.1:1/5: connection refused"


@pytest.mark.parametrize("url", ["http://x", "redis://h:port", "redis://[::1", "nonsense"])
def test_wrong_url(url: str) -> None:
    with pytest.raises(RedisSetupError, match=r"redis\.url: not a Redis URL"):
        open_link(RedisConfig(url=url))


@pytest.mark.parametrize(
    ("address", "remote"),
    [
        ("127.0.0.1:6379", False),
        ("localhost:6379", False),
        ("[::1]:6379", False),
        ("redis.example:6379", True),
    ],
)
def test_other_machines_are_told_apart(address: str, remote: bool) -> None:
    assert open_link(RedisConfig(addr=address)).remote is remote


def test_address_that_is_none() -> None:
    with pytest.raises(RedisSetupError, match="'nowhere' is not an address"):
        open_link(RedisConfig(addr="nowhere"))


def test_exact_prefix() -> None:
    assert open_link(RedisConfig(addr="a:1", prefix="go", exact_prefix=True)).keys.queues == "goqueues"
    assert open_link(RedisConfig(addr="a:1", prefix="go")).keys.queues == "go:queues"


# --------------------------------------------------------------------------------------- facts


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_facts_of_a_server(start_server: ServerFactory, keys: Keys, kind: str) -> None:
    server = start_server("--maxmemory-policy", "allkeys-lru", kind=kind)
    with opened(plain_link(keys, "it", {"unix_socket_path": server.socket})) as store:
        found = store.run(facts())
    assert (found.kind, found.cluster, found.policy) == (kind, False, "allkeys-lru")
    assert int(found.version.partition(".")[0]) >= 7
    check_facts(found, keys, "it")


@pytest.mark.parametrize(
    ("version", "fits"), [("6.0.16", False), ("5.0", False), ("6.2.0", True), ("6.2", True), ("10.0", True)]
)
def test_old_servers_are_named(version: str, fits: bool) -> None:
    found = Facts("redis", version, False, "noeviction")
    if fits:
        check_facts(found, Keys("gqm:"), "it")
    else:
        with pytest.raises(
            RedisSetupError, match=f"Redis at it is version {version}; GQM needs 6.2 or newer"
        ):
            check_facts(found, Keys("gqm:"), "it")


@pytest.mark.fault(58)
def test_prefix_of_a_cluster_needs_a_tag() -> None:
    found = Facts("redis", "7.0.0", True, "noeviction")
    check_facts(found, Keys("{gqm}:"), "it")
    for prefix in ("gqm:", "{}:", "gqm{:", "gqm}:"):
        with pytest.raises(RedisSetupError, match=r'has no hash tag; set redis\.prefix to "{gqm}:"'):
            check_facts(found, Keys(prefix), "it")


# ----------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the certificates of an authority, a server, a client and, as other.pem, of a stranger."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other"):
        new = ("-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}")
        openssl("req", "-x509", *new, "-keyout", f"{name}.key", "-out", f"{name}.pem")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        request = ("-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}")
        openssl("req", *request, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        sign = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san")
        openssl("x509", "-req", "-in", f"{name}.csr", *sign, "-out", f"{name}.pem")
    return folder


@pytest.fixture
def tls_server(certificates: Path, start_server: ServerFactory) -> Callable[[str], int]:
    """Starts a server that speaks TLS, with or without asking for client certificates; returns its port."""

    def start(auth: str) -> int:
        port = free_port()
        files = {"tls-cert-file": "server.pem", "tls-key-file": "server.key", "tls-ca-cert-file": "ca.pem"}
        args = [word for name, file in files.items() for word in (f"--{name}", str(certificates / file))]
        start_server("--tls-port", str(port), "--tls-auth-clients", auth, *args, kind="redis")
        return port

    return start


def tls_config(port: int, **files: Any) -> RedisConfig:
    return RedisConfig(addr=f"127.0.0.1:{port}", tls=TLSConfig(enabled=True, **files))


def test_tls_with_our_authority(tls_server: Callable[[str], int], certificates: Path) -> None:
    both_ways(open_link(tls_config(tls_server("no"), ca=str(certificates / "ca.pem"))))


def test_tls_by_url(tls_server: Callable[[str], int], certificates: Path) -> None:
    port = tls_server("no")
    both_ways(
        open_link(RedisConfig(url=f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificates / 'ca.pem'}"))
    )


def test_tls_with_a_client_certificate(tls_server: Callable[[str], int], certificates: Path) -> None:
    port = tls_server("yes")
    ca = str(certificates / "ca.pem")
    pair = {"cert": str(certificates / "client.pem"), "key": str(certificates / "client.key")}
    both_ways(open_link(tls_config(port, ca=ca, **pair)))
    with opened(open_link(tls_config(port, ca=ca))) as store, pytest.raises(RedisUnavailable):
        store.run(PING)


def test_tls_of_a_stranger_is_refused_unless_insecure(
    tls_server: Callable[[str], int], certificates: Path
) -> None:
    port = tls_server("no")
    for trust in ({"ca": str(certificates / "other.pem")}, {}):
        with (
            opened(open_link(tls_config(port, **trust))) as store,
            pytest.raises(RedisSetupError, match=r"the certificate of Redis at .* is not accepted: .*self"),
        ):
            store.run(PING)
    both_ways(open_link(tls_config(port, insecure=True)))


# ---------------------------------------------------------------------------------- ready clients


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True])
def test_ready_sync_client(redis_socket: str, prefix: str, protocol: int, decode: bool) -> None:
    with redis.Redis(unix_socket_path=redis_socket, decode_responses=decode, protocol=protocol) as client:
        link = open_link(RedisConfig(prefix=prefix), client=client)
        assert not link.owned
        with opened(link) as store:
            journey(store)
        assert client.ping(), "it stays open"
        with pytest.raises(RedisSetupError, match="this needs an async client of redis-py"):
            AsyncStore(link)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True])
def test_ready_async_client(redis_socket: str, prefix: str, protocol: int, decode: bool) -> None:
    async def main() -> None:
        client = redis.asyncio.Redis(
            unix_socket_path=redis_socket, decode_responses=decode, protocol=protocol
        )
        link = open_link(RedisConfig(prefix=prefix), client=client)
        await async_journey(link)
        assert await client.ping(), "it stays open"
        with pytest.raises(RedisSetupError, match="this needs a sync client of redis-py"):
            Store(link)
        await client.aclose()

    asyncio.run(main())


def test_ready_client_without_time_limit_gets_ours(redis_socket: str, keys: Keys) -> None:
    with redis.Redis(unix_socket_path=redis_socket, socket_timeout=None) as client:
        link = open_link(RedisConfig(prefix=keys.prefix), client=client)
        store = Store(link, limit_s=0.2)
        with pytest.raises(RedisUnavailable, match="cannot connect"):
            store.run(Command(("BLPOP", keys.ready("q"), 2), lambda raw: raw))
        assert store.run(Command(("ECHO", "x"), lambda raw: raw)) == b"x"
        store.close()


def test_closing_leaves_the_ready_client_its_connections(redis_socket: str, prefix: str) -> None:
    with redis.Redis(unix_socket_path=redis_socket, max_connections=1) as client:
        for _ in range(3):
            with opened(open_link(RedisConfig(prefix=prefix), client=client)) as store:
                store.run(PING)
            assert client.ping()


@pytest.mark.parametrize("client", ["redis://x", 5, object()])
def test_what_is_no_client_is_named(client: object) -> None:
    with pytest.raises(RedisSetupError, match=f"or a client of redis-py, got .*{type(client).__name__}"):
        open_link(RedisConfig(), client=client)


# ------------------------------------------------------------------------------------------ Cluster


@pytest.mark.fault(58)
@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_cluster_of_one_node(start_server: ServerFactory, kind: str) -> None:
    (server,) = start_cluster(start_server, 1, kind)
    address = f"127.0.0.1:{server.port}"
    both_ways(open_link(RedisConfig(addr=address, prefix="{gqm}:")))
    wrong = open_link(RedisConfig(addr=address, prefix="gqm:"))
    with opened(wrong) as store:
        found = store.run(facts())
        assert found.cluster
        with pytest.raises(RedisSetupError, match="has no hash tag"):
            check_facts(found, store.keys, "it")
        with pytest.raises(RedisSetupError, match="has no hash tag"):
            store.run(enqueue(store.keys, new_job("t")))


@pytest.mark.fault(58)
@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_cluster_of_three_nodes_by_the_address_of_any(start_server: ServerFactory, kind: str) -> None:
    servers = start_cluster(start_server, 3, kind)
    for n, server in enumerate(servers):
        both_ways(open_link(RedisConfig(addr=f"127.0.0.1:{server.port}", prefix=f"{{gqm{n}}}:")))
    link = open_link(RedisConfig(addr=f"127.0.0.1:{servers[0].port}", prefix="gqm:"))
    with opened(link) as store, pytest.raises(RedisSetupError, match="has no hash tag"):
        store.run(enqueue(store.keys, new_job("t")))


@pytest.mark.fault(58)
def test_ready_cluster_clients(start_server: ServerFactory) -> None:
    servers = start_cluster(start_server, 3, "valkey")
    port = servers[1].port
    with redis.cluster.RedisCluster("127.0.0.1", port) as client:
        with opened(open_link(RedisConfig(prefix="{sync}:"), client=client)) as store:
            journey(store)
        assert client.ping()
        with pytest.raises(RedisSetupError, match="has no hash tag"):
            open_link(RedisConfig(prefix="gqm:"), client=client)

    async def main() -> None:
        ready = redis.asyncio.cluster.RedisCluster("127.0.0.1", port)
        await async_journey(open_link(RedisConfig(prefix="{async}:"), client=ready))
        assert await ready.ping()
        await ready.aclose()

    asyncio.run(main())


def test_ready_client_of_one_node_of_a_cluster_is_told(start_server: ServerFactory) -> None:
    servers = start_cluster(start_server, 2, "valkey")
    refusals = 0
    for server in servers:
        with redis.Redis(port=server.port) as client:
            link = open_link(RedisConfig(prefix="{gqm}:"), client=client)
            with opened(link) as store:
                try:
                    store.run(enqueue(store.keys, new_job("t")))
                except RedisSetupError as error:
                    assert "is one node of a Cluster" in str(error)  # noqa: PT017 - one of two refuses
                    refusals += 1
    assert refusals == 1


# ----------------------------------------------------------------------------------------- Sentinel


@pytest.fixture
def watched(start_server: ServerFactory, tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(start_server, tmp_path)
    yield watched
    watched.close()


def sentinel_link(watched: Watched) -> Link:
    return open_link(RedisConfig(sentinels=(f"127.0.0.1:{watched.port}",), master="main"))


def test_sentinel_names_the_master(watched: Watched) -> None:
    link = sentinel_link(watched)
    assert link.where == "main by Sentinel"
    both_ways(link)
    with redis.Redis(port=watched.master.port) as raw:
        assert raw.exists("gqm:queues")
    unknown = open_link(RedisConfig(sentinels=(f"127.0.0.1:{watched.port}",), master="nobody"))
    with opened(unknown) as store, pytest.raises(RedisUnavailable, match="cannot connect to Redis at nobody"):
        store.run(PING)


def test_no_sentinel_answers(keys: Keys) -> None:
    link = open_link(RedisConfig(sentinels=("127.0.0.1:1",), master="main"))
    with opened(link) as store, pytest.raises(RedisUnavailable, match="cannot connect to Redis at main"):
        store.run(PING)


@pytest.mark.slow
def test_failover_is_followed(watched: Watched) -> None:
    link = sentinel_link(watched)

    async def after() -> None:
        store = AsyncStore(link)
        await store.run(enqueue(store.keys, new_job("t")))
        watched.master.kill()
        eventually(lambda: _made(sync, job), timeout=20, interval=0.1, message="the replica took over")
        assert await store.run(enqueue(store.keys, new_job("t"))) == "ready"
        await store.close()

    with opened(link) as sync:
        job = new_job("t")
        sync.run(enqueue(link.keys, new_job("t")))
        asyncio.run(after())
    with redis.Redis(port=watched.replica.port) as raw:
        assert raw.exists(link.keys.job(job.id))


def _made(store: Store, job: Any) -> bool:
    try:
        return store.run(enqueue(store.keys, job)) == "ready"
    except RedisUnavailable:
        return False


@pytest.mark.slow
def test_demoted_master_is_left(watched: Watched) -> None:
    with opened(sentinel_link(watched)) as store:
        store.run(enqueue(store.keys, new_job("t")))
        with redis.Redis(port=watched.port) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", "main")
        job = new_job("t")
        with redis.Redis(port=watched.replica.port) as raw, redis.Redis(port=watched.master.port) as old:
            # Until it hears of it, the old master takes writes that are lost: that is Sentinel's promise.
            eventually(lambda: old.info("replication")["role"] == "slave", timeout=30, interval=0.1)
            eventually(lambda: _made(store, job), timeout=20, interval=0.1)
            assert raw.exists(store.keys.job(job.id))


def test_a_pair_of_clients_serves_both_shells(redis_socket: str, keys: Keys) -> None:
    sync = redis.Redis(unix_socket_path=redis_socket)
    other = redis.asyncio.Redis(unix_socket_path=redis_socket)
    for pair in ((sync, other), (other, sync)):
        link = open_link(RedisConfig(prefix=keys.prefix), client=pair)
        assert (link.make_sync(), link.make_async(), link.owned) == (sync, other, False)
    with pytest.raises(RedisSetupError, match="one sync and one async"):
        open_link(RedisConfig(prefix=keys.prefix), client=(sync, sync))
    sync.close()


def test_what_is_not_redis_is_said_to_be_none(keys: Keys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        host, port = listener.getsockname()
        store = Store(plain_link(keys, "it", {"host": host, "port": port, "db": 1}))
        with pytest.raises(RedisSetupError, match="not Redis"):
            store.run(facts())
        store.close()
        thread.join()
