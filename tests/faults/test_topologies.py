"""The standard load where Redis is not one server for everybody: a Cluster, and a user who may do little."""

from __future__ import annotations

import pytest
import redis

from gqm.keys import Keys
from tests.faults.fleet import Fleet
from tests.faults.ledger import Ledger
from tests.security.test_least_privilege import PASSWORD, denied, documented
from tests.support.servers import ServerFactory
from tests.support.topology import start_cluster
from tests.support.wait import eventually

PIECES = [pytest.param(60, id="tiny"), pytest.param(5000, id="full", marks=pytest.mark.slow)]
ENTRY = {
    "id": "often",
    "cron_expr": "* * * * * *",
    "job_type": "made",
    "overlap_policy": "allow",
    "queue": "mix",
}


def run_mix(fleet: Fleet, socket: str, pieces: int, name: str) -> None:
    """Let two workers do all of the load, with a cron entry beside it, and one of them be killed."""
    doomed = fleet.worker(entries=[ENTRY])
    fleet.worker(entries=[ENTRY])
    ledger = Ledger(socket, fleet)
    producer = fleet.producer("p", pieces, rate=150, delays_s=(0.1, 0.5))
    producer.wait(120 + pieces / 50)
    if pieces > 100:
        server_id = doomed.server_id
        doomed.kill()
        ledger.hit(server_id)
        eventually(lambda: ledger.raw.zcard(ledger.keys.leases) == 1, 60, 0.05, "its lease is cleared away")
    ledger.wait_drained(120)
    fleet.stop()
    counts = ledger.check(name)
    assert counts.lost == 0, counts
    assert counts.duplicates <= counts.bound, counts
    assert counts.jobs >= pieces
    ledger.close()


@pytest.mark.fault(58)
@pytest.mark.parametrize("pieces", PIECES)
def test_the_mix_on_a_cluster_of_three(start_server: ServerFactory, pieces: int) -> None:
    keys = Keys("{gqm}:")
    servers = start_cluster(start_server, 3, "redis")
    with redis.cluster.RedisCluster("127.0.0.1", servers[0].port) as cluster:
        port = cluster.get_node_from_key(keys.queues).port
    owner = next(server for server in servers if server.port == port)
    other = next(server for server in servers if server.port != port)
    with Fleet(f"127.0.0.1:{other.port}", keys.prefix) as fleet:
        run_mix(fleet, owner.socket, pieces, "cluster")


@pytest.mark.security(24)
@pytest.mark.parametrize("pieces", PIECES)
def test_the_mix_under_the_documented_user(start_server: ServerFactory, pieces: int) -> None:
    server = start_server(kind="redis")
    with redis.Redis(unix_socket_path=server.socket, protocol=2) as raw:
        raw.execute_command("ACL", "SETUSER", "gqm", *documented("gqm:"))
        with Fleet(f"unix:{server.socket}", "gqm:", username="gqm", password=PASSWORD) as fleet:
            run_mix(fleet, server.socket, pieces, "acl")
        assert denied(raw) == set()
