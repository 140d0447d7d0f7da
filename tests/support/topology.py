"""Servers that belong together: a Cluster of masters, and a master with its replica under a Sentinel."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import redis

from tests.support.servers import Server, ServerFactory, binary, free_port
from tests.support.wait import eventually

__all__ = ["Watched", "start_cluster"]

LONG_S = 60.0
"""How long servers may take to find each other on a busy machine."""


def start_cluster(start_server: ServerFactory, nodes: int, kind: str) -> list[Server]:
    """Start a Cluster of masters; the slots are shared out evenly."""
    servers = [
        start_server("--cluster-enabled", "yes", "--cluster-port", str(free_port()), kind=kind, tcp=True)
        for _ in range(nodes)
    ]
    share = 16384 // nodes
    clients: list[Any] = [redis.Redis(port=server.port) for server in servers]
    for n, client in enumerate(clients):
        last = 16383 if n == nodes - 1 else (n + 1) * share - 1
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", n * share, last)
        client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
    for server, client in zip(servers[1:], clients[1:], strict=True):
        bus = client.config_get("cluster-port")["cluster-port"]
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", server.port, bus)

    def settled() -> bool:
        infos = [client.execute_command("CLUSTER", "INFO").decode().split("\r\n") for client in clients]
        wanted = {"cluster_state:ok", f"cluster_known_nodes:{nodes}", "cluster_slots_ok:16384"}
        return all(wanted <= set(info) for info in infos)

    eventually(settled, LONG_S, message="the Cluster is formed")
    for client in clients:
        client.close()
    return servers


class Watched:
    """A master, its replica and a Sentinel that watches them."""

    def __init__(self, start_server: ServerFactory, folder: Path, *args: str) -> None:
        """``args`` are more options of both servers."""
        args = ("--repl-diskless-sync-delay", "0", *args)
        self.master = start_server(*args, kind="redis", tcp=True)
        self.replica = start_server(
            *args, "--replicaof", f"127.0.0.1 {self.master.port}", kind="redis", tcp=True
        )
        self.port = free_port()
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor main 127.0.0.1 {self.master.port} 1\n"
            "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
        )
        self._process = subprocess.Popen(
            [binary("redis"), str(config), "--sentinel"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the Sentinel knows a replica that has everything."""
        with redis.Redis(port=self.port) as sentinel:

            def knows_replica() -> bool:
                try:
                    flags = [item["flags"] for item in sentinel.sentinel_slaves("main")]
                except redis.RedisError:
                    return False
                return flags == ["slave"]

            eventually(knows_replica, LONG_S, message="the Sentinel knows the replica")
        with redis.Redis(port=self.replica.port) as raw:
            eventually(lambda: raw.info("replication")["master_link_status"] == "up", LONG_S)

    def wait_promoted(self) -> None:
        """Wait until the replica is the master, also for the Sentinel; the two change their places here."""
        with redis.Redis(port=self.port) as sentinel, redis.Redis(port=self.replica.port) as raw:

            def promoted() -> bool:
                if raw.info("replication")["role"] != "master":
                    return False
                return int(sentinel.sentinel_get_master_addr_by_name("main")[1]) == self.replica.port

            eventually(promoted, LONG_S, message="the replica took over")
        self.master, self.replica = self.replica, self.master

    def follow(self) -> None:
        """Start the old master again, as a replica of the new one."""
        self.replica.start("--replicaof", f"127.0.0.1 {self.master.port}")
        self.wait_ready()

    def close(self) -> None:
        """End the Sentinel."""
        self._process.kill()
        self._process.wait(timeout=10)
