"""Jobs as they are read: every field, also when something else than GQM wrote it."""

from __future__ import annotations

import dataclasses
import logging
from typing import TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gqm.errors import InvalidPayload, JobStateError, SkipRetry
from gqm.job import LIVE, TERMINAL, Job, Status, decode_object


def job(**fields: str | bytes) -> Job:
    raw = {"id": b"j1", "type": b"email.send", "status": b"ready", **fields}
    return Job({name.encode(): v.encode() if isinstance(v, str) else v for name, v in raw.items()})


def test_every_status_is_live_or_terminal() -> None:
    assert set(Status) == LIVE | TERMINAL
    assert not LIVE & TERMINAL
    assert {status for status in Status if status.terminal} == TERMINAL
    assert sorted(LIVE) == ["deferred", "processing", "ready", "retry", "scheduled"]


def test_full_record() -> None:
    full = job(
        status="completed",
        queue="mail",
        payload='{"to":"x"}',
        max_retry="5",
        retry_count="2",
        timeout="30",
        created_at="100",
        scheduled_at="110",
        started_at="120",
        completed_at="130",
        worker_id="p@s",
        execution_duration="1500",
        error="E: x",
        traceback="tb",
        result='{"ok":1}',
        result_note="note",
        retry_intervals="[1,2]",
        enqueued_by="me",
        meta='{"a":1}',
        depends_on='["p1","p2"]',
        allow_failure="1",
        enqueue_at_front="1",
        result_ttl="-1",
        failure_ttl="0",
        attempt="3",
        crashes="1",
        progress='[1,2.5,"half"]',
        cancel_reason="why",
    )
    assert (full.id, full.type, full.queue, full.status) == ("j1", "email.send", "mail", Status.COMPLETED)
    assert (full.payload, full.meta, full.result) == ({"to": "x"}, {"a": 1}, {"ok": 1})
    assert (full.max_retry, full.retry_count, full.attempt, full.crashes) == (5, 2, 3, 1)
    assert (full.timeout, full.result_ttl, full.failure_ttl, full.duration_ms) == (30, -1, 0, 1500)
    assert (full.created_at, full.scheduled_at, full.started_at, full.completed_at) == (100, 110, 120, 130)
    assert (full.retry_intervals, full.depends_on) == ([1, 2], ["p1", "p2"])
    assert (full.error, full.traceback, full.result_note, full.cancel_reason) == ("E: x", "tb", "note", "why")
    assert (full.worker_id, full.enqueued_by) == ("p@s", "me")
    assert full.allow_failure
    assert full.enqueue_at_front
    assert full.progress_made == (1, 2.5, "half")
    assert repr(full) == "<Job j1 email.send completed>"


def test_bare_record_reads_as_defaults() -> None:
    bare = job()
    assert (bare.queue, bare.payload, bare.meta, bare.max_retry) == ("default", {}, {}, 3)
    assert (bare.retry_count, bare.timeout, bare.attempt, bare.created_at) == (0, 0, 0, 0)
    assert (bare.result_ttl, bare.failure_ttl, bare.result, bare.progress_made) == (None, None, None, None)
    assert (bare.depends_on, bare.retry_intervals, bare.error) == ([], [], "")
    assert not bare.allow_failure
    assert not bare.cancelled


@pytest.mark.parametrize("text", ["1.5", "abc", "1_0", " 7", "+7", "٣", "0x10", "1" * 400, "-"])
def test_number_that_is_no_integer_reads_as_0_and_is_logged_once(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "gqm"):
        # the field name is part of what is remembered, so each case has its own
        broken = Job({b"id": b"j", f"f{text}".encode(): text.encode()})
        assert broken._int(f"f{text}".encode(), 9) == 0
        assert broken._int(f"f{text}".encode(), 9) == 0
    assert len(caplog.records) == 1
    assert "no integer" in caplog.text


def test_max_retry_that_is_broken_is_0_and_empty_is_3() -> None:
    assert job(max_retry="x").max_retry == 0
    assert job(max_retry="").max_retry == 3
    assert job(max_retry="0").max_retry == 0


@pytest.mark.fault(61)
def test_huge_integers_are_exact() -> None:
    assert job(payload='{"n":9223372036854775807}').payload == {"n": 2**63 - 1}
    assert job(payload='{"n":-9223372036854775809}').payload == {"n": -(2**63) - 1}
    assert job(payload=f'{{"n":{2**200}}}').payload == {"n": 2**200}
    assert job(max_retry="1234567890123456789").max_retry == 1234567890123456789


@pytest.mark.parametrize("payload", ["", "null", "{}", None])
def test_no_payload_is_an_empty_object(payload: str | None) -> None:
    assert (job() if payload is None else job(payload=payload)).payload == {}


@pytest.mark.fault(61)
@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ("[1]", "it is an array"),
        ('"x"', "it is a string"),
        ("true", "it is a boolean"),
        ("12", "it is a number"),
        ("1.5", "it is a number"),
        ("{", "truncated"),
        ('{"a":NaN}', "malformed"),
        ('{"a":"\\ud800"}', "truncated|surrogate|malformed"),
        ('{"a":' + "[" * 5000 + "]" * 5000 + "}", "nested too deep"),
    ],
)
def test_payload_that_is_no_object_says_why(payload: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        _ = job(payload=payload).payload


def test_payload_of_broken_utf8_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        _ = job(payload=b'{"a":"\xff"}').payload


@pytest.mark.parametrize("text", ["{", "null", '"x"', "{}", "[[", "\0"])
def test_broken_lists_read_as_empty(text: str) -> None:
    broken = job(depends_on=text, retry_intervals=text, progress=text)
    assert (broken.depends_on, broken.retry_intervals, broken.progress_made) == ([], [], None)


def test_lists_keep_only_what_fits() -> None:
    mixed = job(depends_on='["a",1,null,"b"]', retry_intervals='[1,true,"2",3,1.5]', progress='["1",2,"x"]')
    assert (mixed.depends_on, mixed.retry_intervals, mixed.progress_made) == (["a", "b"], [1, 3], None)


def test_text_that_is_no_utf8_is_read_with_marks() -> None:
    broken = Job({b"id": b"a\xff", b"type": b"t\xfe", b"error": b"\xff"})
    assert (broken.id, broken.type, broken.error) == ("a\ufffd", "t\ufffd", "\ufffd")


@given(st.dictionaries(st.sampled_from([n for n in dir(Job) if n[0] != "_"]), st.binary(max_size=40)))
def test_no_bytes_in_redis_make_a_property_raise_anything_but_value_error(fields: dict[str, bytes]) -> None:
    read = Job({name.encode(): value for name, value in fields.items()})
    for name in dir(Job):
        if not name.startswith("_"):
            try:
                getattr(read, name)
            except ValueError:
                assert name in ("status", "payload", "meta", "result")


def test_unknown_status_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="melting"):
        _ = job(status="melting").status


def test_raw_gives_fields_that_this_version_does_not_know() -> None:
    assert job(new_field="x").raw("new_field") == b"x"
    assert job().raw("new_field") is None


class Mail(TypedDict):
    to: str


@dataclasses.dataclass
class Letter:
    to: str
    copies: int = 1


def test_decode_into_a_shape() -> None:
    assert job(payload='{"to":"x","copies":2}').decode(Letter) == Letter("x", 2)
    assert job(payload='{"to":"x"}').decode(Mail) == {"to": "x"}
    with pytest.raises(InvalidPayload, match=r"payload does not fit Letter: .*\$\.to"):
        job(payload='{"to":1}').decode(Letter)
    with pytest.raises(InvalidPayload, match="to"):
        job().decode(Letter)


def test_nothing_and_null_are_an_empty_object() -> None:
    for stored in ({}, {"payload": ""}, {"payload": "null"}, {"payload": "{}"}):
        assert job(**stored).decode(dict[str, int]) == {}


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ('{"to":5}', r"payload does not fit Letter: Expected `str`, got `int` - at `\$\.to`"),
        ('{"to":"a","copies":"x"}', r"at `\$\.copies`"),
        ("[1]", "Expected `object`, got `array`"),
        ('{"to":', "truncated"),
        ('{"x":' + "[" * 5000 + "]" * 5000 + "}", "depth|recurs"),
    ],
)
def test_a_payload_of_another_shape_says_where_and_that_no_retry_helps(payload: str, says: str) -> None:
    with pytest.raises(InvalidPayload, match=f"(?i){says}") as caught:
        job(payload=payload).decode(Letter)
    assert isinstance(caught.value, SkipRetry)
    assert isinstance(caught.value, ValueError)


def test_shapes_without_a_name_are_named_as_they_are_written() -> None:
    with pytest.raises(InvalidPayload, match=r"payload does not fit dict\[str, int\] \| None: "):
        job(payload='{"a":"x"}').decode(dict[str, int] | None)  # type: ignore[arg-type]


class FakeRun:
    def __init__(self) -> None:
        self.cancelled = False
        self.sent: list[bytes] = []

    def progress(self, text: bytes) -> None:
        self.sent.append(text)


def test_running_job_reports_and_hears_of_its_end() -> None:
    run = FakeRun()
    running = Job({b"id": b"j1"}, run)
    running.progress(3, 10, "third")
    running.progress(50)
    assert run.sent == [b'[3,10,"third"]', b'[50,100,""]']
    assert not running.cancelled
    run.cancelled = True
    assert running.cancelled


def test_progress_outside_a_handler_is_refused() -> None:
    with pytest.raises(JobStateError, match="j1 is not running here"):
        job().progress(1)


def test_decode_object_of_nothing() -> None:
    assert decode_object(None) == decode_object(b"") == decode_object(b"null") == {}
