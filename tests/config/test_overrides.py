"""Precedence, options of code, variables of the environment, and laying more over a configuration."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from gqm.config import INJECTED, Config, code_options, default_config, load_config, merge, parse_config
from gqm.errors import ConfigError
from tests.config.helpers import HASH, KEY, lines, load

YAML = "redis: {addr: 'localhost:1', prefix: 'yaml:'}\napp: {timezone: Asia/Jakarta, log_level: warn}\n"
ENV = {
    "GQM_REDIS_URL": "redis://localhost:9",
    "GQM_REDIS_PREFIX": "env:",
    "GQM_TIMEZONE": "Europe/Berlin",
    "GQM_LOG_LEVEL": "debug",
}


def _facts(config: Config) -> tuple[str, str, str, str, str]:
    redis, app = config.redis, config.app
    return redis.addr, redis.url, redis.prefix, app.timezone, app.log_level


def test_code_beats_yaml_beats_environment_beats_default() -> None:
    assert _facts(load("")) == ("embedded", "", "gqm:", "UTC", "info")
    assert _facts(load("", env=ENV)) == ("", "redis://localhost:9", "env:", "Europe/Berlin", "debug")
    assert _facts(load(YAML, env=ENV)) == ("localhost:1", "", "yaml:", "Asia/Jakarta", "warn")
    overrides = code_options(
        redis="localhost:2", prefix="code:", timezone="America/New_York", log_level="error"
    )
    assert _facts(load(YAML, env=ENV, overrides=overrides)) == (
        ("localhost:2", "", "code:", "America/New_York", "error")
    )


def test_precedence_is_per_key() -> None:
    config = load("redis: {prefix: 'yaml:'}\n", env=ENV, overrides={"app.log_level": "error"})
    assert _facts(config) == ("", "redis://localhost:9", "yaml:", "Europe/Berlin", "error")


def test_empty_variables_and_empty_keys_count_as_not_given() -> None:
    assert _facts(load("", env=dict.fromkeys(ENV, ""))) == ("embedded", "", "gqm:", "UTC", "info")
    assert load("redis: {addr: '', prefix: ~}", env=ENV).redis.url == "redis://localhost:9"


def test_a_bad_variable_is_named_without_its_value() -> None:
    env = {"GQM_LOG_LEVEL": "louder", "GQM_REDIS_URL": "http://secret"}
    assert lines("", env=env) == [
        "GQM_REDIS_URL: redis.url: not a Redis URL; use redis://, rediss:// or unix://",
        'GQM_LOG_LEVEL: app.log_level: "***" is not allowed (debug, info, warn, error)',
    ]


def test_an_address_in_code_replaces_any_address_of_the_file() -> None:
    sentinels = "redis: {sentinels: ['localhost:1'], master: m}"
    assert load(sentinels, overrides=code_options(redis="localhost:2")).redis.addr == "localhost:2"
    redis = load("redis: {addr: 'localhost:1'}", overrides=code_options(redis="redis://localhost:3")).redis
    assert (redis.addr, redis.url) == ("", "redis://localhost:3")


@pytest.mark.parametrize(
    ("given", "addr", "url"),
    [
        ("localhost:1", "localhost:1", ""),
        ("embedded", "embedded", ""),
        ("embedded:///srv/gqm", "embedded:///srv/gqm", ""),
        ("unix:/run/redis.sock", "unix:/run/redis.sock", ""),
        ("unix:///run/redis.sock", "", "unix:///run/redis.sock"),
        ("rediss://localhost", "", "rediss://localhost"),
    ],
)
def test_the_redis_option_is_an_address_or_a_url(given: str, addr: str, url: str) -> None:
    redis = default_config(code_options(redis=given), env={}).redis
    assert (redis.addr, redis.url) == (addr, url)


def test_a_client_that_exists_replaces_all_but_the_prefix() -> None:
    text = "redis: {url: 'redis://h', db: 70000, prefix: 'yaml:', exact_prefix: true, tls: {ca: nowhere}}"
    config = load(text, env=ENV, overrides=code_options(redis=object()))
    redis = config.redis
    assert (redis.addr, redis.url, redis.prefix, redis.exact_prefix) == ("", "", "yaml:", True)
    assert (redis.tls.enabled, redis.embedded_folder, config.warnings) == (False, "", ())
    again = merge(config, {"app.processes": 2, "redis.addr": "localhost:1"})
    assert (again.redis.addr, again.redis.embedded_folder) == ("", "")
    assert lines(text.replace("db", "dbx"), overrides={"redis": INJECTED})[0].startswith(
        "1:27: redis.dbx: unknown"
    )


def test_problems_of_code_have_code_as_their_place() -> None:
    overrides = code_options(timezone="Mars/Base", processes=99, log_level="loud", password=["x"])
    assert lines("redis: {addr: 'localhost:1'}", overrides=overrides) == [
        "code: redis.password: expected text, got list (1 item)",
        'code: app.timezone: unknown time zone "Mars/Base"; use an IANA name such as "Asia/Jakarta"',
        "code: app.processes: 99 is out of range (0 to 64)",
        'code: app.log_level: "loud" is not allowed (debug, info, warn, error)',
    ]


def test_unknown_paths_and_options_are_refused() -> None:
    assert lines("", overrides={"app.timezon": "UTC"})[0].startswith("code: app.timezon: unknown key (")
    assert lines("", overrides={"ap.timezone": "UTC"})[0].startswith("code: ap: unknown key (")
    with pytest.raises(TypeError, match="unknown option 'timezon'"):
        code_options(timezon="UTC")


def test_options_that_are_none_are_not_given() -> None:
    assert code_options(redis=None, timezone=None) == {}
    assert load(YAML, overrides={"app.timezone": None}).app.timezone == "Asia/Jakarta"


def test_the_file_may_be_wrong_where_code_replaces_it() -> None:
    assert load("app: {processes: lots}", overrides={"app.processes": 2}).app.processes == 2
    assert load("app: {processes: '${NONE}'}", overrides={"app.processes": 2}).app.processes == 2
    assert lines("app: 5", overrides={"app.processes": 2}) == ["1:6: app: expected mapping, got int (5)"]


def test_seconds_of_code_may_be_floats_and_timedeltas() -> None:
    config = default_config(
        {
            "app.grace_period": 2.5,
            "app.shutdown_timeout": datetime.timedelta(minutes=1),
            "scheduler.poll_interval": "250ms",
            "app.result_ttl": -1,
        },
        env={},
    )
    assert (config.app.grace_period_s, config.app.shutdown_timeout_s) == (2.5, 60)
    assert (config.scheduler.poll_interval_s, config.app.result_ttl_s) == (0.25, -1)
    assert lines("", overrides={"app.grace_period": float("nan")}) == [
        "code: app.grace_period: expected duration, got object (float)"
    ]
    assert lines("", overrides={"app.grace_period": "2.5"})[0].startswith(
        "code: app.grace_period: not a duration"
    )


def test_text_of_code_is_taken_as_it_is() -> None:
    config = default_config(code_options(redis="localhost:1", password="${HOME}", username="null"), env={})
    assert (config.redis.password, config.redis.username) == ("${HOME}", "null")
    assert lines("", overrides={"app.processes": "2"}) == [
        'code: app.processes: expected int, got text ("2")'
    ]


def test_values_of_code_may_be_tuples_mappings_and_paths(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("x")
    config = default_config(
        code_options(
            custom_dir=tmp_path,
            trusted_proxies=("10.0.0.0/8",),
            api_keys=[{"name": "ci", "key": KEY}],
            auth_users=({"username": "ana", "password_hash": HASH, "role": "admin"},),
        ),
        env={},
    )
    monitoring = config.monitoring
    assert monitoring.dashboard.custom_dir == str(tmp_path)
    assert monitoring.api.trusted_proxies == ("10.0.0.0/8",)
    assert (monitoring.api.api_keys[0].name, monitoring.auth.users[0].role) == ("ci", "admin")
    assert lines("", overrides={"app.handlers": [object()]}) == [
        "code: app.handlers[0]: expected text, got object (object)"
    ]


def test_lists_are_replaced_and_more_handlers_are_added() -> None:
    text = "app: {handlers: [a, b]}"
    assert load(text, overrides={"app.handlers": ["c"]}).app.handlers == ("c",)
    assert load(text, overrides={"+app.handlers": ["c", "b"]}).app.handlers == ("a", "b", "c")
    assert load("", overrides={"+app.handlers": ["c"]}).app.handlers == ("c",)
    assert lines(text, overrides={"+app.handlers": ["c/d"]}) == [
        'code: app.handlers[2]: not a module name; write it like "myapp.jobs"'
    ]


# ----------------------------------------------------------------------------------- the API gate


def test_code_passes_the_same_gate_as_a_file() -> None:
    expected = [
        'code: monitoring.api.addr: ":8080" needs users or API keys; '
        'run "gqm set-password admin" or bind 127.0.0.1'
    ]
    assert _refused(code_options(api=True)) == expected
    assert _refused(code_options(dashboard=True)) == expected
    assert default_config(code_options(api=True, api_addr="127.0.0.1:0"), env={}).monitoring.api.enabled
    assert (
        default_config(code_options(api=True, api_keys=[{"name": "a", "key": KEY}]), env={}).incomplete == ()
    )
    assert _refused(code_options(api=True, auth_enabled=True)) == [
        'code: monitoring.auth.enabled: auth is on but there is no user; run "gqm set-password NAME"'
    ]


def _refused(overrides: dict[str, object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        default_config(overrides, env={})
    return str(caught.value).splitlines()


def test_a_dashboard_turns_the_api_on_and_api_false_turns_both_off() -> None:
    text = "monitoring: {dashboard: {enabled: true}, api: {addr: '127.0.0.1:1'}}"
    assert load(text).monitoring.api.enabled is True
    off = load(text, overrides=code_options(api=False)).monitoring
    assert (off.api.enabled, off.dashboard.enabled) == (False, False)


# ------------------------------------------------------------------------------------------ merge

BASE = "queues: [{name: mail}]\npools:\n  - {name: a, job_types: [x], queues: [mail]}\n"


def test_pools_and_cron_entries_of_code_stand_beside_those_of_the_file() -> None:
    config = merge(
        load(BASE),
        {
            "pools": [{"name": "b", "job_types": ["*"], "concurrency": 2, "retry": {"max_retry": 9}}],
            "scheduler.cron_entries": [{"id": "c", "job_type": "x", "cron_expr": "@hourly", "queue": "mail"}],
        },
    )
    assert [(pool.name, pool.queues, pool.slots) for pool in config.pools][1] == ("b", ("default",), 2)
    assert config.pools[1].retry.policy().max_retry == 9
    assert config.scheduler.cron_entries[0].queue == "mail"
    more = merge(config, {"pools": [{"name": "d", "job_types": ["y"]}]})
    assert [pool.name for pool in more.pools] == ["a", "b", "d"]
    assert [pool.name for pool in load(BASE).pools] == ["a"]


def _pool(**keys: object) -> dict[str, object]:
    return {"pools": [{"name": "b", "job_types": ["y"], **keys}]}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (_pool(name="a"), '.name: pool "a" is already defined on line 3'),
        (_pool(job_types=["x"]), '.job_types[0]: "x" already belongs to pool "a" (line 3)'),
        (_pool(job_types=[]), '.job_types: needs at least one job type, or ["*"]'),
        (_pool(job_types=["y", "y"]), '.job_types[1]: "y" is listed twice'),
        (_pool(job_types=["y", "*"]), '.job_types[1]: "*" must stand alone'),
        (_pool(job_types=None), ': required key "job_types" is missing'),
        (
            _pool(queues=["mial"]),
            '.queues[0]: queue "mial" is not declared under queues; did you mean "mail"?',
        ),
        (_pool(queues=["mail", "mail"]), '.queues[1]: "mail" is listed twice'),
        ({"pools": ["b"]}, ': expected mapping, got text ("b")'),
    ],
)
def test_a_pool_of_code_is_checked_against_the_whole(overrides: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        merge(load(BASE), overrides)
    assert str(caught.value) == f"code: pools[1]{expected}"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"pools": {"name": "b"}}, "pools: expected list, got mapping (1 key)"),
        ({"queues": [{"name": "mail"}]}, 'queues[1].name: queue "mail" is already defined on line 1'),
    ],
)
def test_what_else_code_adds_is_checked_too(overrides: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        merge(load(BASE), overrides)
    assert str(caught.value) == f"code: {expected}"


def test_a_cron_entry_of_code_is_checked_against_the_whole() -> None:
    entry = {"id": "c", "job_type": "x", "cron_expr": "@daily"}
    text = "scheduler: {cron_entries: [{id: c, job_type: x, cron_expr: '@daily'}]}"
    overrides = {"scheduler.cron_entries": [{**entry, "cron_expr": "soon", "queue": "q"}]}
    assert lines(text, overrides=overrides) == [
        'code: scheduler.cron_entries[1].id: cron id "c" is already defined on line 1',
        "code: scheduler.cron_entries[1].cron_expr: not a cron expression: it has 1 field; "
        'write 6 fields "sec min hour dom month dow" or 5 without sec',
        'code: scheduler.cron_entries[1].queue: queue "q" is not declared under queues',
    ]


def test_two_definitions_in_code_name_code() -> None:
    pool = {"name": "b", "job_types": ["*"]}
    with pytest.raises(ConfigError) as caught:
        merge(load(BASE), {"pools": [pool, pool]})
    assert str(caught.value).splitlines() == [
        'code: pools[2].name: pool "b" is already defined in code',
        'code: pools[2].job_types[0]: only one pool may be the catch-all; the first is "b" (code)',
    ]


def test_queues_of_code_may_be_plain_names() -> None:
    config = merge(
        load(BASE),
        {
            "queues": ["mail", "reports", "reports", {"name": "slow", "priority": 3}],
            "pools": [{"name": "b", "job_types": ["y"], "queues": ["reports"]}],
        },
    )
    assert [(queue.name, queue.priority) for queue in config.queues] == [
        ("mail", None),
        ("reports", None),
        ("slow", 3),
    ]


def test_merging_replaces_options_given_before() -> None:
    config = default_config({"app.processes": 2, "app.log_level": "warn"}, env={})
    config = merge(config, {"app.processes": 3})
    assert (config.app.processes, config.app.log_level) == (3, "warn")


def test_merging_keeps_places_in_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        merge(
            load("app: {grace_period: 20s}\nqueues: [{name: a}]\n"),
            {"queues": [{"name": "a"}], "app.lease_ttl": 1},
        )
    assert str(caught.value).splitlines() == [
        "code: app.lease_ttl: 1 is out of range (4s to 5m)",
        'code: queues[1].name: queue "a" is already defined on line 2',
    ]


def test_warnings_are_those_of_the_whole() -> None:
    config = load("redis: {prefix: gqm}")
    assert [problem.rule for problem in config.warnings] == ["W12"]
    assert merge(config, {"redis.prefix": "jobs:"}).warnings == ()


def test_a_configuration_made_by_hand_cannot_be_merged() -> None:
    with pytest.raises(TypeError, match="merge needs a configuration made by load_config"):
        merge(Config(), {})


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "conf" / "gqm.yaml"
    file.parent.mkdir()
    file.write_text("redis: {addr: 'embedded://data/redis'}")
    config = load_config(file, env={})
    assert (config.file, config.folder) == (str(file), str(file.parent))
    assert config.redis.embedded_folder == str(file.parent / "data" / "redis")
    monkeypatch.chdir(tmp_path)
    assert load_config("conf/gqm.yaml", env={}).folder == str(file.parent)
    assert default_config(env={}).folder == str(tmp_path)
    assert default_config(env={}, folder="conf").redis.embedded_folder == str(file.parent / ".gqm")
    assert parse_config("", file="conf/x.yaml", env={}).folder == str(file.parent)
