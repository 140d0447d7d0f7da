"""What a user of Redis must be allowed: the list is complete, it is enough, and the docs are made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

import gqm
from gqm.errors import RedisSetupError
from gqm.keys import Keys
from gqm.store.commands.access import NEEDED, acl_rules, probe_access, probe_wait
from gqm.store.connect import plain_link
from gqm.store.scripts import script, script_names
from gqm.store.sync import Store
from tests.engine.running import running
from tests.support.servers import Server, ServerFactory
from tests.support.wait import eventually

ROOT = Path(__file__).parents[2]
USER = "worker"


def used_in_scripts() -> set[str]:
    """Commands that stand in the scripts; words in capitals that are none are options of commands."""
    options = {"COUNT", "RANK", "MAXLEN", "MATCH", "LIMIT", "BYSCORE", "REV", "WITHSCORES", "NX"}
    found = set()
    for name in script_names():
        found |= set(re.findall(r"'([A-Z]{3,})'", script(name).source))
    return {word.lower() for word in found - options} - {"acl", "noperm"}


def used_in_commands() -> set[str]:
    """Commands that are sent as they are."""
    found = set()
    for path in (ROOT / "gqm" / "store").rglob("*.py"):
        found |= set(re.findall(r'(?:Command\(\(|_pack\()\s*"([A-Z]+)"', path.read_text("utf-8")))
    return {word.lower() for word in found}


def test_the_list_holds_every_command_that_is_used() -> None:
    used = used_in_scripts() | used_in_commands()
    assert len(used) > 50
    assert used - set(NEEDED) == set()


def test_the_list_holds_nothing_that_is_not_used() -> None:
    connecting = {"auth", "hello", "select", "eval", "evalsha", "unsubscribe", "blmove"}
    assert set(NEEDED) - used_in_scripts() - used_in_commands() - connecting == set()
    assert len(set(NEEDED)) == len(NEEDED)


@pytest.mark.security(24)
def test_nothing_dangerous_is_needed() -> None:
    assert not {"keys", "flushall", "flushdb", "config", "debug", "shutdown", "acl"} & set(NEEDED)


def test_the_rules_stand_in_the_docs() -> None:
    text = " ".join((ROOT / "docs" / "acl.md").read_text("utf-8").replace("\\\n", " ").split())
    assert acl_rules("gqm:") in text


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, start_server: ServerFactory) -> Server:
    return start_server(kind=request.param)


@pytest.fixture
def root(server: Server) -> Iterator[Any]:
    with redis.Redis(unix_socket_path=server.socket, protocol=2) as client:
        yield client


def store_of(server: Server, rules: str, root: Any) -> Store:
    root.execute_command("ACL", "SETUSER", USER, "on", ">secret", *rules.split())
    login = {"unix_socket_path": server.socket, "username": USER, "password": "secret"}
    return Store(plain_link(Keys("gqm:"), "the test server", login))


@pytest.mark.security(24)
def test_a_whole_server_works_with_no_more_than_that(server: Server, root: Any) -> None:
    store = store_of(server, acl_rules("gqm:"), root)
    assert store.run(probe_access(store.keys)) == []
    store.run(probe_wait(store.keys))
    assert root.keys("*") == [], "nothing is left behind"
    store.close()

    address = f"unix://{USER}:secret@{server.socket}"
    done: list[str] = []
    app = gqm.Server(address, poll_interval=0.05)
    app.handle("work", lambda job: done.append(job.id))
    with running(app), gqm.Client(address) as client:
        parent = client.enqueue("work")
        ids = {
            parent.id,
            client.enqueue("work", depends_on=[parent.id]).id,
            client.enqueue_in("work", None, 0.05).id,
        }
        eventually(lambda: set(done) == ids, 20)
    refused = [entry for entry in root.acl_log() if entry["username"] == USER]
    # The client library tells its name and version, and does without.
    assert [entry for entry in refused if not entry["object"].startswith("client|")] == []


@pytest.mark.parametrize("missing", ["hset", "zadd", "rpop", "xadd", "publish", "del"])
def test_a_command_that_is_refused_is_named(server: Server, root: Any, missing: str) -> None:
    store = store_of(server, f"{acl_rules('gqm:')} -{missing}", root)
    assert store.run(probe_access(store.keys)) == [missing]
    assert root.keys("*") == []
    store.close()


def test_waiting_that_is_refused_is_an_error_of_the_setup(server: Server, root: Any) -> None:
    store = store_of(server, f"{acl_rules('gqm:')} -blmove", root)
    with pytest.raises(RedisSetupError, match="blmove"):
        store.run(probe_wait(store.keys))
    store.close()
