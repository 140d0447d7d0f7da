"""Values: what each type takes, the environment in them, and what messages may show."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gqm.config import format_duration, parse_duration
from tests.config.helpers import found, lines, load


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(0, 0), (30, 30), ("500ms", 0.5), ("30s", 30), ("5m", 300), ("24h", 86_400), ("7d", 604_800),
     ("1h30m", 5400), ("1.5h", 5400), ("0.5s", 0.5), ("1d2h3m4s5ms", 93_784.005), ("0s", 0),
     ("36500d", 3_153_600_000), ("1.1ms", 0.0011)],
)  # fmt: skip
def test_durations(value: str | int, seconds: float) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value",
    ["", "30", "s", "5 s", "30S", "1m1h", "1s1s", "-5s", "1,5s", ".5s", "1.s", "1e3s", "٣s", True, 1.5, None,
     -1, "36501d", 10**30, "9" * 400 + "d"],
)  # fmt: skip
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match=r"not a duration|out of range"):
        parse_duration(value)  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=3_153_600_000_000))
def test_a_shown_duration_can_be_typed(milliseconds: int) -> None:
    shown = format_duration(milliseconds / 1000)
    assert parse_duration(shown) == pytest.approx(milliseconds / 1000, abs=1e-6)


def test_a_duration_of_a_billion_is_no_trouble() -> None:
    assert lines(f"app: {{result_ttl: {'9' * 500}}}") == [
        f"1:19: app.result_ttl: {'9' * 60}… is out of range (0s to 36500d)"
    ]


@pytest.mark.parametrize("word", ["true", "True", "YES", "on", "y"])
def test_true(word: str) -> None:
    assert load(f"redis: {{exact_prefix: {word}}}").redis.exact_prefix is True


@pytest.mark.parametrize("word", ["false", "FALSE", "no", "Off", "n"])
def test_false(word: str) -> None:
    assert load(f"scheduler: {{enabled: {word}}}").scheduler.enabled is False


@pytest.mark.parametrize(("text", "number"), [("7", 7), ("+7", 7), ("1_000", 1000), ("0", 0)])
def test_ints(text: str, number: int) -> None:
    assert load(f"redis: {{pool_size: {text}}}").redis.pool_size == number


@pytest.mark.parametrize(
    "text", ["1.0", "0b1", "0o7", "007", "1__0", "_1", "1_", "1e3", "0x1F", "1:30", "'1'", "on"]
)
def test_what_is_no_int(text: str) -> None:
    assert [item.rule for item in found(f"redis: {{pool_size: {text}}}")] == ["R9"]


@pytest.mark.parametrize("text", ["0123", "5", "true", "1e3", "2026-01-01", "0x1F"])
def test_text_without_quotes_is_taken_as_written(text: str) -> None:
    config = load(
        f"queues: [{{name: {text}}}]\npools: [{{name: {text}, job_types: [{text}], queues: [{text}]}}]"
    )
    assert (config.queues[0].name, config.pools[0].job_types, config.pools[0].queues) == (
        text,
        (text,),
        (text,),
    )


@pytest.mark.parametrize("empty", ["", "~", "null", "Null", "NULL"])
def test_null_means_not_given(empty: str) -> None:
    config = load(f"app:\n  processes: {empty}\n  timezone: {empty}\nredis: {empty}\npools: {empty}")
    assert (config.app.processes, config.app.timezone, config.pools) == (1, "UTC", ())


def test_quoted_null_is_text() -> None:
    assert load("queues: [{name: 'null'}]").queues[0].name == "null"


def test_empty_text_means_not_given() -> None:
    config = load("redis: {addr: '', prefix: ''}\napp: {timezone: '', log_level: ''}")
    assert (config.redis.addr, config.redis.prefix, config.app.log_level) == ("embedded", "gqm:", "info")


def test_core_tags_decide_the_type() -> None:
    assert load("queues: [{name: !!str null}]").queues[0].name == "null"
    assert load("app: {processes: !!int '2'}").app.processes == 2
    assert lines("app: {processes: !!str 2}") == ['1:18: app.processes: expected int, got text ("2")']


# ---------------------------------------------------------------------------------- environment


def test_a_variable_is_converted_to_the_type_of_the_key() -> None:
    pool = "{name: a, job_types: [x], concurrency: '${N:-4}', job_timeout: \"${T}\"}"
    text = f"pools: [{pool}]\nscheduler: {{enabled: '${{ON}}'}}"
    config = load(text, env={"T": "30", "ON": "no"})
    assert (config.pools[0].concurrency, config.pools[0].job_timeout_s, config.scheduler.enabled) == (
        4,
        30,
        False,
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("${A}", "one"),
        ("${A}-${B:-two}", "one-two"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY}y", "y"),
        ("${NONE:-}z", "z"),
        ("${NONE:-a:-b}", "a:-b"),
        ("p.${A}.q", "p.one.q"),
    ],
)
def test_references(value: str, expected: str) -> None:
    config = load(f"queues: [{{name: '{value}'}}]", env={"A": "one", "EMPTY": ""})
    assert config.queues[0].name == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("$${A}", "${A}"), ("$$${A}", "$${A}"), ("$A $ $$ a$", "$A $ $$ a$"), ("$${A} ${A}", "${A} one")],
)
def test_dollars_that_are_no_references(value: str, expected: str) -> None:
    assert (
        load(f"redis: {{addr: 'localhost:1', password: '{value}'}}", env={"A": "one"}).redis.password
        == expected
    )


def test_a_replaced_text_is_not_replaced_again_nor_read_as_yaml() -> None:
    env = {"A": "${B}", "B": "x", "NULL": "null", "LIST": "[a, b]"}
    text = "redis: {addr: 'localhost:1', username: '${A}', password: '${LIST}'}\napp: {timezone: '${NULL}'}"
    assert lines(text, env=env) == [
        '2:17: app.timezone: unknown time zone "***"; use an IANA name such as "Asia/Jakarta"'
    ]
    redis = load(text.partition("\n")[0], env=env).redis
    assert (redis.username, redis.password) == ("${B}", "[a, b]")


def test_an_empty_variable_is_an_empty_value() -> None:
    assert load("pools: [{name: a, job_types: [x], concurrency: '${N:-}'}]").pools[0].concurrency == 0
    assert load("redis: {password: '${P:-}'}").redis.password == ""


def test_references_in_keys_and_comments_stay() -> None:
    assert lines("${A}: 1 # ${B}")[0].startswith("1:1: ${A}: unknown key (")


def test_every_unset_variable_of_a_value_is_named() -> None:
    assert lines("redis: {prefix: '${A}${B}'}") == [
        "1:17: redis.prefix: environment variable A is not set; give it or write ${A:-default}",
        "1:17: redis.prefix: environment variable B is not set; give it or write ${B:-default}",
    ]


def test_a_broken_reference_is_the_only_problem_of_its_key() -> None:
    assert [
        item.rule for item in found("queues: [{name: '${A}'}]\npools: [{name: a, job_types: ['${A}']}]")
    ] == [
        "R10",
        "R10",
    ]


# --------------------------------------------------------------------------------------- secrets

SECRET = "s3cr3t value"


@pytest.mark.parametrize(
    "text",
    [
        "redis: {url: '%s'}",
        "redis: {password: ['%s']}",
        "redis: {password: {a: '%s'}}",
        "monitoring: {auth: {users: [{username: a, password_hash: '%s'}]}}",
        "monitoring: {api: {api_keys: [{name: a, key: '%s'}]}}",
        "monitoring: {api: {api_keys: [{name: a, key_hash: '%s'}]}}",
    ],
)
def test_secrets_are_never_shown(text: str) -> None:
    shown = lines(text % SECRET)
    assert shown
    assert "s3cr3t" not in "".join(shown)


@pytest.mark.parametrize(
    "text",
    [
        "app: {timezone: '${S}'}",
        "app: {log_level: '${S}'}",
        "app: {processes: '${S}'}",
        "app: {processes: '${N}'}",
        "app: {grace_period: '${N}'}",
        "app: {handlers: ['${S}']}",
        "redis: {prefix: '${S}'}",
        "redis: {prefix: '${W}'}",
        "redis: {addr: 'localhost:1', tls: {ca: '${S}'}}",
        "queues: [{name: '${S}'}]",
        "queues: [{name: '${W}'}, {name: '${W}'}]",
        "pools: [{name: '${W}', job_types: ['${W}', '${W}']}, {name: '${W}', job_types: ['${W}']}]",
        "pools: [{name: a, job_types: [x], queues: ['${W}']}]",
        "pools: [{name: '${W}', job_types: ['*'], queues: ['${W}']}, {name: b, job_types: ['*']}]",
        "pools: [{name: a, job_types: [x], retry: {backoff_base: '${N}', backoff_max: 1}}]",
        "scheduler: {cron_entries: [{id: '${S}', job_type: '${S}', cron_expr: '${S}', payload: '${S}'}]}",
        "scheduler: {cron_entries: [{id: '${W}', job_type: x, cron_expr: '@daily', queue: '${W}'}]}",
        "monitoring: {auth: {users: [{username: '${W}', password_hash: x}, {username: '${W}'}]}}",
        "monitoring: {api: {api_keys: [{name: '${W}', key: x}, {name: '${W}'}]}}",
        "monitoring: {api: {enabled: true, addr: '${ADDR}'}}",
        "monitoring: {dashboard: {custom_dir: '${S}', path_prefix: '${S}'}}",
    ],
)
def test_values_from_the_environment_are_never_shown(text: str) -> None:
    env = {"S": SECRET, "W": "s3cr3t", "N": "31536777", "ADDR": "203.0.113.99:8080"}
    shown = lines(text, env=env)
    assert shown
    assert not any(value in line for line in shown for value in ("s3cr3t", "31536777", "203.0.113.99"))


def test_the_representation_of_a_configuration_shows_no_secret() -> None:
    text = (
        "redis: {addr: 'localhost:1', password: s3cr3t}\nmonitoring: {api: {api_keys: [{name: a, key: %s}]}}"
    )
    config = load(text % ("s3cr3t" * 6))
    assert config.redis.password == "s3cr3t"
    assert "s3cr3t" not in repr(config)


def test_control_characters_are_escaped() -> None:
    assert lines('app: {timezone: "a\\e[31m\\x07\\u202e"}') == [
        '1:17: app.timezone: unknown time zone "a\\x1b[31m\\x07\\u202e"; '
        'use an IANA name such as "Asia/Jakarta"'
    ]
    assert lines('"\\e[2J": 1')[0].startswith("1:1: \\x1b[2J: unknown key (")


def test_long_values_are_cut() -> None:
    (line,) = lines(f"app: {{timezone: {'x' * 61}}}")
    assert f'"{"x" * 60}…"' in line


# --------------------------------------------------------------------------------------- payload


def test_a_payload_may_be_a_mapping_or_json() -> None:
    entry = "scheduler: {cron_entries: [{id: a, job_type: x, cron_expr: '@daily', payload: %s}]}"
    mapping = "{n: 1, f: 1.5, t: true, z: ~, s: yes, o: 0123, q: '5', e: '${N}', l: [1, {a: b}]}"
    payload = load(entry % mapping, env={"N": "7"}).scheduler.cron_entries[0].payload
    assert payload == {
        "n": 1, "f": 1.5, "t": True, "z": None, "s": "yes", "o": "0123", "q": "5", "e": "7",
        "l": [1, {"a": "b"}],
    }  # fmt: skip
    assert load(entry % "'{\"a\": [1, null]}'").scheduler.cron_entries[0].payload == {"a": [1, None]}
    assert load(entry % "''").scheduler.cron_entries[0].payload is None
    assert load(entry % "{}").scheduler.cron_entries[0].payload == {}


def test_a_payload_of_code_is_checked_like_any_other() -> None:
    entry = {"id": "a", "job_type": "x", "cron_expr": "@daily"}

    def with_payload(payload: object) -> list[str]:
        return lines("", overrides={"scheduler.cron_entries": [{**entry, "payload": payload}]})

    assert with_payload({"a": [1, None, {"b": True}], "${X}": "${X}"}) == []
    assert with_payload({"a": datetime.datetime.now()}) == [
        "code: scheduler.cron_entries[0].payload: not a JSON object: datetime has no place in JSON"
    ]
    endless: dict[str, object] = {}
    endless["self"] = endless
    assert with_payload(endless) == [
        "code: scheduler.cron_entries[0].payload: not a JSON object: "
        "more than 128 levels has no place in JSON"
    ]
