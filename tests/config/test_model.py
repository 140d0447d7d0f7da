"""What a loaded configuration has filled in, and files that were written for the Go version."""

from __future__ import annotations

import os
import pickle
from dataclasses import FrozenInstanceError

import pytest

from gqm.config import is_loopback, merge, require_complete, split_host_port
from gqm.errors import ConfigIncomplete
from tests.config.helpers import HASH, KEY, SAMPLE, lines, load

USERS = f"users: [{{username: a, password_hash: '{HASH}'}}]"


def test_a_pool_has_the_values_of_the_application_where_it_gives_none() -> None:
    text = "app: {grace_period: 3, shutdown_timeout: 4, global_job_timeout: 5m, timezone: Asia/Jakarta}\n"
    own = "{name: b, job_types: [y], grace_period: 0, job_timeout: 7}"
    first, second = load(f"{text}pools: [{{name: a, job_types: [x]}}, {own}]").pools
    assert (first.grace_period_s, first.shutdown_timeout_s, first.job_timeout_s) == (3, 4, 300)
    assert (second.grace_period_s, second.shutdown_timeout_s, second.job_timeout_s) == (0, 4, 7)


def test_a_cron_entry_has_the_zone_of_the_application() -> None:
    entry = "job_type: x, cron_expr: '@daily'"
    entries = f"[{{id: a, {entry}}}, {{id: b, {entry}, timezone: UTC}}]"
    config = load(f"app: {{timezone: Asia/Jakarta}}\nscheduler: {{cron_entries: {entries}}}")
    assert [entry.timezone for entry in config.scheduler.cron_entries] == ["Asia/Jakarta", "UTC"]


@pytest.mark.parametrize(
    ("queues", "expected"),
    [
        ("[]", ("default",)),
        ("[{name: b}, {name: a}]", ("default",)),
        (
            "[{name: low, priority: -1}, {name: b, priority: 5}, {name: c}, {name: a, priority: 5}]",
            ("b", "a", "c", "default", "low"),
        ),
        ("[{name: default, priority: 0}, {name: a}]", ("default", "a")),
        ("[{name: a, priority: 0}]", ("a", "default")),
    ],
)  # fmt: skip
def test_pools_without_queues_read_by_priority(queues: str, expected: tuple[str, ...]) -> None:
    config = load(f"queues: {queues}\npools: [{{name: p, job_types: ['*']}}]")
    assert config.pools[0].queues == expected


def test_an_explicit_order_of_queues_wins() -> None:
    text = "queues: [{name: a, priority: 9}]\npools: [{name: p, job_types: ['*'], queues: [default, a]}]"
    assert load(text).pools[0].queues == ("default", "a")


def test_counts_follow_the_machine_where_zero_says_so() -> None:
    config = load("app: {processes: 0}\npools: [{name: p, job_types: ['*']}]")
    assert config.app.process_count == config.pools[0].slots == (os.cpu_count() or 1)
    config = load("app: {processes: 3}\npools: [{name: p, job_types: ['*'], concurrency: 7}]")
    assert (config.app.process_count, config.pools[0].slots) == (3, 7)


@pytest.mark.parametrize(
    ("redis", "prefix"),
    [
        ("{prefix: gqm}", "gqm:"),
        ("{prefix: 'a:'}", "a:"),
        ("{prefix: '{a}'}", "{a}:"),
        ("{prefix: gqm, exact_prefix: y}", "gqm"),
    ],
)
def test_the_prefix_ends_with_a_colon(redis: str, prefix: str) -> None:
    assert load(f"redis: {redis}").redis.prefix == prefix


def test_a_key_has_the_same_digest_as_text_and_as_hash() -> None:
    from hashlib import sha256

    digest = sha256(KEY.encode()).hexdigest()
    (clear,) = load(f"monitoring: {{api: {{api_keys: [{{name: a, key: {KEY}}}]}}}}").monitoring.api.api_keys
    (hashed,) = load(
        f"monitoring: {{api: {{api_keys: [{{name: a, key_hash: 'sha256:{digest}'}}]}}}}"
    ).monitoring.api.api_keys
    assert clear.digest == hashed.digest == digest
    assert load("monitoring: {api: {api_keys: [{name: a}]}}").monitoring.api.api_keys[0].digest == ""


def test_a_role_left_out_is_the_least_one() -> None:
    text = "monitoring: {api: {api_keys: [{name: a}]}, auth: {users: [{username: b, password_hash: ''}]}}"
    monitoring = load(text).monitoring
    assert (monitoring.api.api_keys[0].role, monitoring.auth.users[0].role) == ("viewer", "viewer")


def test_a_configuration_is_frozen() -> None:
    config = load("")
    with pytest.raises(FrozenInstanceError):
        config.app.processes = 2  # type: ignore[misc]


def test_a_long_fixed_delay_needs_no_limit_of_its_own() -> None:
    policy = load("pools: [{name: a, job_types: [x], retry: {backoff_base: 2d}}]").pools[0].retry.policy()
    assert (policy.base_s, policy.max_s) == (172_800, 172_800)


def test_a_configuration_can_be_pickled() -> None:
    config = load(SAMPLE.read_text())
    copy = pickle.loads(pickle.dumps(config))
    assert copy == config
    assert merge(copy, {"app.processes": 2}).app.processes == 2


def test_incomplete_is_an_error_for_who_needs_it_complete() -> None:
    with pytest.raises(ConfigIncomplete) as caught:
        require_complete(load(SAMPLE.read_text()))
    assert [str(problem).partition(" ")[0] for problem in caught.value.problems] == [
        "gqm.yaml:59:24:",
        "gqm.yaml:66:14:",
    ]
    require_complete(load(""))


def test_anonymous_access_ends_with_users_or_keys() -> None:
    assert load("").monitoring.anonymous
    assert not load(f"monitoring: {{auth: {{enabled: true, {USERS}}}}}").monitoring.anonymous
    assert not load(f"monitoring: {{api: {{api_keys: [{{name: a, key: {KEY}}}]}}}}").monitoring.anonymous
    assert load("monitoring: {api: {api_keys: [{name: a}]}}").monitoring.anonymous


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "192.0.2.1", "::ffff:127.0.0.1", "2001:db8::1", "a..b"]
)
def test_no_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (":80", ("", 80)),
        ("h:0", ("h", 0)),
        ("[::1]:8", ("::1", 8)),
        *((bad, None) for bad in ("h", "h:", "h:65536", "::1:8", "h:8:")),
    ],
)
def test_host_and_port(text: str, parts: tuple[str, int] | None) -> None:
    assert split_host_port(text) == parts


# ------------------------------------------------------------------- files written for Go GQM v0.5.0


@pytest.mark.parametrize(
    "text",
    [
        "app: {global_job_timeout: 0}",
        "scheduler: {poll_interval: 0}",
        "monitoring: {auth: {session_ttl: 0}}",
        "monitoring: {api: {rate_limit: 0}}",
        "app: {shutdown_timeout: 1.5}",
        "app: {shutdown_timeout: 0x1E}",
        "app: {shutdown_timeout: 0o36}",
        "app: {shutdown_timeout: 036}",
        "app: {timezone: Local}",
        "app: {grace_period: -1}",
        "scheduler: {cron_entries: [{id: a, job_type: x, cron_expr: '@daily', queue: undeclared}]}",
        "monitoring: {auth: {users: [{username: a, password_hash: $2a$10$broken}]}}",
    ],
)
def test_what_go_accepted_and_this_does_not(text: str) -> None:
    assert len(lines(text)) == 1
    assert "warning" not in lines(text)[0]


def test_what_go_meant_otherwise() -> None:
    config = load("redis: {prefix: app}\napp: {grace_period: 0, shutdown_timeout: 0}")
    assert config.redis.addr == "embedded"
    assert config.redis.prefix == "app:"
    assert (config.app.grace_period_s, config.app.shutdown_timeout_s) == (0, 0)
    entry = "{id: a, job_type: x, cron_expr: '0 5/20 * * * *'}"
    assert (
        load(f"scheduler: {{cron_entries: [{entry}]}}").scheduler.cron_entries[0].cron_expr
        == "0 5/20 * * * *"
    )
