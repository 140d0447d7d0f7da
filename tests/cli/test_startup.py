"""What ``gqm run`` warns of, and how the banner says who, where and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from gqm.config import Config, parse_config
from gqm.engine.handlers import Registry, make_spec
from gqm.engine.plan import plan_pools
from gqm.store.commands.facts import Facts
from gqm_cli.banner import Reached, Running, banner
from gqm_cli.startup import config_warnings, handler_warnings, spaced_duration


def registry_of(*types: str, workers: int = 0) -> Registry:
    registry = Registry()
    for type_ in types:
        registry.add(make_spec(type_, lambda job: None, {"workers": workers}))
    return registry


def warnings(text: str, *types: str) -> list[str]:
    """What is said about handlers, for a configuration and the types that have one."""
    config, registry = parse_config(text, env={}), registry_of(*types)
    return list(handler_warnings(config, plan_pools(config, registry), registry))


def test_no_handlers() -> None:
    (text,) = warnings("")
    assert text.startswith("no handlers: no job runs here; ")


def test_all_in_order() -> None:
    assert warnings("pools: [{name: p, job_types: [a]}]", "a") == []
    assert warnings("", "a") == []


@pytest.mark.parametrize(
    ("ttl", "types", "said"),
    [
        ("1h", "[a, b]", "lists b, which has no handler: its jobs wait 1 h, then go to dead_letter"),
        ("90m", "[a, b, c]", "lists b, c, which have no handler: their jobs wait 1 h 30 m, then go"),
        ("0", "[a, b]", "lists b, which has no handler: its jobs go to dead_letter at once"),
    ],
)
def test_types_without_a_handler(ttl: str, types: str, said: str) -> None:
    text = f"app: {{unknown_type_ttl: {ttl}}}\npools: [{{name: p, job_types: {types}}}]"
    (warning,) = warnings(text, "a")
    assert warning.startswith(f'pool "p" {said}')


def test_handlers_without_a_pool() -> None:
    assert warnings("pools: [{name: p, job_types: [a]}]", "a", "b", "c") == [
        'no pool runs b, c: add it to a pool\'s job_types, or a pool with ["*"]'
    ]


def test_queues_without_a_pool_where_the_configuration_has_none() -> None:
    assert warnings("queues: [{name: mail}]", "a") == ['no pool reads queue "mail"']


def test_the_configurations_own_warnings_keep_their_place() -> None:
    config = parse_config("redis: {addr: 'localhost:1', tls: {insecure: true}}", env={})
    assert list(config_warnings(config)) == [
        "gqm.yaml:1:46: redis.tls.insecure: the server's certificate is not verified"
    ]


def test_a_redis_without_a_password_has_its_own_banner() -> None:
    config = parse_config("redis: {addr: 'db.example:6379'}", env={})
    assert [problem.rule for problem in config.startup_warnings] == ["W6"]
    assert list(config_warnings(config)) == []


def test_the_banner_says_where_the_api_listens() -> None:
    assert "api        off" in lines(parse_config("", env={}))
    text = "monitoring: {api: {addr: '127.0.0.1:81'}, dashboard: {enabled: true, path_prefix: /panel}}"
    assert "api        http://127.0.0.1:81  dashboard /panel/" in lines(parse_config(text, env={}))
    key = "{name: ci, role: viewer, key_hash: 'sha256:%s'}" % ("0" * 64)
    text = f"monitoring: {{api: {{enabled: true, addr: ':81', api_keys: [{key}]}}}}"
    assert "api        http://127.0.0.1:81  on all addresses  users 0, keys 1" in lines(
        parse_config(text, env={})
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(3600, "1 h"), (5400, "1 h 30 m"), (0.05, "50 ms"), (86_461, "1 d 1 m 1 s")]
)
def test_durations_for_reading(seconds: float, text: str) -> None:
    assert spaced_duration(seconds) == text


def lines(config: Config, where: str = "localhost:6379", ids: tuple[str, ...] = ("a-1-0",)) -> list[str]:
    registry = registry_of("mail")
    reached = Reached(Facts("redis", "7.2.5", False, "noeviction"), 0.42, where)
    return list(banner(Running(config, registry, plan_pools(config, registry), ids, reached)))


@pytest.mark.parametrize(
    ("redis", "where", "shown"),
    [
        ("{addr: 'localhost:6379'}", "localhost:6379", "localhost:6379/0"),
        ("{addr: 'db:6379', db: 3, tls: true, password: x}", "db:6379/3", "db:6379/3 tls"),
        ("{url: 'rediss://u:p@db:6380/2'}", "rediss://db:6380/2", "db:6380/2 tls"),
        ("{url: 'redis://localhost/2'}", "redis://localhost/2", "localhost/2"),
        ("{addr: 'unix:/run/r.sock'}", "unix:/run/r.sock", "unix:/run/r.sock"),
        ("{sentinels: ['localhost:1'], master: m}", "m by Sentinel", "m by Sentinel"),
        ("{}", "embedded server in /x", "embedded in ./.gqm"),
    ],
)
def test_where_redis_is(
    redis: str, where: str, shown: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    said = lines(parse_config(f"redis: {redis}", env={}), where)
    assert said[1] == f"redis      {shown}  prefix gqm:  version 7.2.5  0.4 ms"


def test_many_processes_multiply_the_slots() -> None:
    text = "redis: {addr: 'localhost:1'}\npools: [{name: p, job_types: [mail], concurrency: 3}]"
    said = lines(parse_config(text, env={}), ids=("a-1-0", "a-2-0"))
    assert said[0] == "gqm 1.0.0  gqm.yaml  servers a-1-0, a-2-0  2 processes"
    assert said[2] == "pool       p  3 × 2 thread  mail  default  1800 s"


def test_long_lists_are_cut() -> None:
    types = ", ".join(f"t{i}" for i in range(9))
    said = lines(parse_config(f"pools: [{{name: p, job_types: [mail, {types}], concurrency: 1}}]", env={}))
    assert said[2] == "pool       p  1 thread  mail, t0, t1, t2, t3, t4 and 4 more  default  1800 s"


@pytest.mark.parametrize(
    ("scheduler", "shown"),
    [
        ("{enabled: false}", "off"),
        ("{}", "none"),
        ("{cron_entries: [{id: a, cron_expr: '@yearly', job_type: mail, enabled: false}]}", "1 entry"),
    ],
)
def test_what_is_said_of_cron(scheduler: str, shown: str) -> None:
    said = lines(parse_config(f"scheduler: {scheduler}", env={}))
    assert said[3].endswith(f"      cron  {shown}")
