"""Making jobs: every option, every limit, and errors that name what is wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqm.errors import InvalidJob, PayloadTooLarge
from gqm.job import MAX_META, MAX_PAYLOAD, OPTION_NAMES, NewJob, delay_ms, due_ms, encode_payload, new_job

HUGE = (10**400, 10**5000)
"""No float holds them, and Python does not even write out the second one."""


def make(payload: object = None, **options: Any) -> NewJob:
    return new_job("email.send", payload, options)  # type: ignore[arg-type]


def fields(job: NewJob) -> dict[str, object]:
    names, values = job.fields[::2], job.fields[1::2]
    assert len(names) == len(values) == len(set(names))
    return {str(name): value for name, value in zip(names, values, strict=True)}


def test_plain_job() -> None:
    job = new_job("email.send", {"to": "x"})
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", job.id)
    assert fields(job) == {
        "id": job.id,
        "type": "email.send",
        "queue": "default",
        "payload": b'{"to":"x"}',
        "max_retry": 3,
    }
    assert job._replace(fields=()) == NewJob(job.id, "", "email.send", "default", ())


def test_options_that_change_nothing_make_the_plain_job() -> None:
    job = make(queue="default")
    assert fields(job) == {**fields(new_job("email.send")), "id": job.id}


def test_every_option() -> None:
    options: dict[str, Any] = {
        "queue": "mail:eu",
        "job_id": "order-1",
        "max_retry": 3,
        "timeout": 1.2,
        "retry_intervals": [0, 5, 60],
        "meta": {"a": [1]},
        "enqueued_by": "Zoë",
        "enqueue_at_front": True,
        "unique": True,
        "depends_on": ["b", "a", "b"],
        "allow_failure": True,
        "result_ttl": timedelta(minutes=1),
        "failure_ttl": -5,
    }
    assert set(options) == OPTION_NAMES
    job = make({}, **options)
    assert fields(job) == {
        "id": "order-1",
        "type": "email.send",
        "queue": "mail:eu",
        "payload": b"{}",
        "nonce": job.nonce,
        "max_retry": 3,
        "max_retry_set": "1",
        "timeout": 2,
        "retry_intervals": b"[0,5,60]",
        "meta": b'{"a":[1]}',
        "enqueued_by": "Zoë",
        "enqueue_at_front": "1",
        "depends_on": b'["b","a","b"]',
        "allow_failure": "1",
        "result_ttl": 60,
        "failure_ttl": -1,
    }
    assert re.fullmatch("[0-9a-f]{16}", job.nonce)
    assert (job.parents, job.unique, job.front, job.allow_failure) == (("b", "a"), True, True, True)


def test_each_call_with_an_id_of_its_own_has_another_nonce() -> None:
    assert make(job_id="a").nonce != make(job_id="a").nonce


@pytest.mark.parametrize(
    ("name", "near"),
    [("prority", "retry|there are"), ("max_retries", '"max_retry"'), ("dependson", '"depends_on"')],
)
def test_unknown_option_names_the_nearest_word(name: str, near: str) -> None:
    with pytest.raises(InvalidJob, match=f'unknown option "{name}".*{near}'):
        make(**{name: 1})


def test_unknown_option_without_a_near_word_lists_all() -> None:
    with pytest.raises(InvalidJob, match=r"there are: allow_failure, .*, unique"):
        make(zzz=1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"queue": ""}, "queue is empty"),
        ({"queue": "a b"}, "queue 'a b' is not valid"),
        ({"queue": "q" * 129}, "queue"),
        ({"queue": None}, "queue must be a string"),
        ({"job_id": ""}, "job id is empty"),
        ({"job_id": "a:b"}, "job id 'a:b' is not valid"),
        ({"job_id": "j" * 257}, "job id"),
        ({"job_id": 7}, "job id must be a string"),
        ({"max_retry": -1}, "max_retry: -1"),
        ({"max_retry": 1.0}, "max_retry: 1.0"),
        ({"max_retry": True}, "max_retry: True"),
        ({"max_retry": "3"}, "max_retry: '3'"),
        ({"max_retry": 2**31}, "max_retry: 2147483648"),
        ({"timeout": 0}, "timeout must be more than 0"),
        ({"timeout": -1}, "timeout must be more than 0"),
        ({"timeout": "5"}, "timeout must be seconds or a timedelta"),
        ({"timeout": True}, "timeout must be seconds"),
        ({"timeout": float("nan")}, "timeout must be seconds"),
        ({"timeout": float("inf")}, "timeout must be seconds"),
        ({"timeout": 1e300}, "timeout: .* beyond the year 9999"),
        ({"timeout": timedelta(days=999_999_999)}, "timeout: .* beyond the year 9999"),
        ({"result_ttl": "1d"}, "result_ttl must be seconds"),
        ({"failure_ttl": 1e15}, "failure_ttl: .* beyond the year 9999"),
        ({"retry_intervals": []}, "retry_intervals is empty"),
        ({"retry_intervals": [1, -1]}, "retry_intervals: -1"),
        ({"retry_intervals": [1.5]}, "retry_intervals: 1.5"),
        ({"retry_intervals": [True]}, "retry_intervals: True"),
        ({"retry_intervals": 5}, "retry_intervals must be a list"),
        ({"retry_intervals": "55"}, "retry_intervals must be a list"),
        ({"enqueued_by": "x" * 257}, "enqueued_by"),
        ({"enqueued_by": "a\nb"}, "enqueued_by"),
        ({"enqueued_by": "\ud800"}, "enqueued_by"),
        ({"enqueued_by": 5}, "enqueued_by must be text"),
        ({"meta": [1]}, "meta must be a JSON object"),
        ({"meta": {"a": float("nan")}}, "meta: nan"),
        ({"meta": {"a": object()}}, "meta: "),
        ({"unique": True}, "unique=True needs a job_id"),
        ({"unique": "no", "job_id": "a"}, "unique must be True or False"),
        ({"enqueue_at_front": 1}, "enqueue_at_front must be True or False"),
        ({"allow_failure": None}, "allow_failure must be True or False"),
        ({"depends_on": ["a", ""]}, "depends_on is empty"),
        ({"depends_on": "a:b"}, "depends_on 'a:b'"),
        ({"depends_on": [1]}, "depends_on must be a string"),
        ({"depends_on": 7}, "depends_on must be one or more job ids"),
        ({"depends_on": ["a"] * 1001}, "depends_on has 1,001 parents"),
        ({"depends_on": ["a", "me"], "job_id": "me"}, "cannot depend on itself"),
    ],
)
def test_bad_option_is_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidJob, match=text):
        make(**options)


@pytest.mark.parametrize("name", ["", "a b", "é", "t" * 129, None, 5])
def test_bad_type(name: Any) -> None:
    with pytest.raises(InvalidJob, match="job type"):
        new_job(name)


def test_limits_that_still_fit() -> None:
    job = make(
        queue="q" * 128,
        job_id="j" * 256,
        max_retry=0,
        depends_on=[f"p{i}" for i in range(1000)],
        enqueued_by="x" * 256,
    )
    assert len(job.parents) == 1000
    assert fields(job)["max_retry"] == 0
    assert fields(job)["max_retry_set"] == "1"
    assert make(depends_on=[]).parents == ()
    assert fields(make(result_ttl=0))["result_ttl"] == 0
    assert fields(make(result_ttl=0.001))["result_ttl"] == 1
    assert fields(make(timeout=0.5))["timeout"] == 1
    assert fields(make(meta={}))["meta"] == b"{}"
    assert make(depends_on=(name for name in ("a", "b"))).parents == ("a", "b")


def test_payload_size_at_the_limit() -> None:
    room = MAX_PAYLOAD - len(b'{"a":""}')
    assert len(encode_payload({"a": "x" * room})) == MAX_PAYLOAD
    with pytest.raises(PayloadTooLarge, match=r"1,048,577 bytes encoded; the limit is 1,048,576"):
        encode_payload({"a": "x" * (room + 1)})
    assert len(encode_payload({"a": "x" * (room - 1)})) == MAX_PAYLOAD - 1


def test_size_counts_encoded_bytes_not_characters() -> None:
    with pytest.raises(PayloadTooLarge):
        encode_payload({"a": "€" * (MAX_PAYLOAD // 2)})


def test_meta_size_at_the_limit() -> None:
    room = MAX_META - len(b'{"a":""}')
    assert make(meta={"a": "x" * room})
    with pytest.raises(InvalidJob, match="meta must be a JSON object of at most 65,536 bytes"):
        make(meta={"a": "x" * (room + 1)})


@pytest.mark.parametrize("payload", [[1], "x", 5, True, (1,), {1}])
def test_payload_that_is_no_object(payload: object) -> None:
    with pytest.raises(InvalidJob, match=f"payload must be a JSON object.*{type(payload).__name__}"):
        make(payload)


@pytest.mark.parametrize("payload", [{"a": float("inf")}, {"a": "\ud800"}, {"a": object()}])
def test_payload_that_is_no_json(payload: object) -> None:
    with pytest.raises(InvalidJob, match="payload: "):
        make(payload)


def test_due_times() -> None:
    berlin = timezone(timedelta(hours=1))
    assert due_ms(1_764_000_000) == 1_764_000_000_000
    assert due_ms(1_764_000_000.123) == 1_764_000_000_123
    assert due_ms(datetime(2025, 1, 1, 1, tzinfo=berlin)) == due_ms(datetime(2025, 1, 1, tzinfo=UTC))
    assert due_ms(0) == 0
    for wrong in (datetime(2025, 1, 1), True, "tomorrow", float("nan"), None):
        with pytest.raises(InvalidJob, match="enqueue_at needs a datetime with a time zone"):
            due_ms(wrong)  # type: ignore[arg-type]
    for far in (-1, 1_764_000_000_000, 253_402_300_800):
        with pytest.raises(InvalidJob, match="not a unix time in seconds"):
            due_ms(far)


@given(st.integers(0, 10**12))
def test_due_time_of_whole_milliseconds_is_exact(ms: int) -> None:
    assert due_ms(ms / 1000) == ms


@pytest.mark.fault(8)
def test_delays_are_never_shorter_than_asked_for() -> None:
    assert delay_ms(0.3) == 300
    assert delay_ms(0.3001) == 301
    assert delay_ms(timedelta(milliseconds=1, microseconds=1)) == 2
    assert delay_ms(-5) == 0
    with pytest.raises(InvalidJob, match="delay"):
        delay_ms(1e12)
    with pytest.raises(InvalidJob, match="delay must be seconds or a timedelta"):
        delay_ms("1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["timeout", "max_retry", "unique", "retry_intervals", "enqueued_by", "depends_on"]
)
def test_numbers_too_long_for_anything_are_refused(name: str) -> None:
    for huge in HUGE if name != "timeout" else (*HUGE, -HUGE[-1]):
        with pytest.raises(InvalidJob, match=name):
            make(None, **{name: [huge] if name == "retry_intervals" else huge})


def test_times_too_long_for_anything_are_refused() -> None:
    for huge in HUGE:
        with pytest.raises(InvalidJob, match="delay: "):
            delay_ms(huge)
        with pytest.raises(InvalidJob, match="enqueue_at: "):
            due_ms(huge)
    assert delay_ms(-HUGE[-1]) == delay_ms(-1e308) == 0
