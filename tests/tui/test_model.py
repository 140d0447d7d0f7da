"""Reading the API's objects: what may be missing, what may be new, what must not be wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gqm_tui.core import answers, model
from gqm_tui.core.errors import ApiError, Kind
from tests.support import tui

BUILDERS: tuple[tuple[Callable[..., Any], type[msgspec.Struct]], ...] = (
    (tui.queue, model.Queue),
    (tui.job, model.Job),
    (tui.job_detail, model.Job),
    (tui.attempt, model.Attempt),
    (tui.group, model.FailedGroup),
    (tui.worker, model.Worker),
    (tui.server, model.Server),
    (tui.cron, model.CronEntry),
    (tui.cron_run, model.CronRun),
    (tui.graph, model.Graph),
    (tui.stats, model.Stats),
    (tui.runtime, model.Runtime),
    (tui.minutes, model.MinutesSeries),
    (tui.audit, model.AuditEntry),
    (tui.me, model.Me),
)


def read(data: object, kind: type[msgspec.Struct]) -> Any:
    return msgspec.json.decode(msgspec.json.encode(data), type=kind)


def names(kind: type[msgspec.Struct], *, required: bool) -> list[str]:
    return [one.encode_name for one in msgspec.structs.fields(kind) if one.required is required]


@pytest.mark.parametrize(("build", "kind"), BUILDERS)
def test_what_is_optional_may_be_missing_and_what_is_new_may_come(
    build: Callable[..., Any], kind: type[msgspec.Struct]
) -> None:
    data = {**build(), "of_next_year": [{"deep": True}]}
    for name in names(kind, required=False):
        data.pop(name, None)
    found = read(data, kind)
    assert not hasattr(found, "of_next_year")
    for name in names(kind, required=False):
        assert getattr(found, name) in (None, False, 0, "", (), model.NO_JSON)


@pytest.mark.parametrize(("build", "kind"), BUILDERS)
def test_what_is_needed_is_named_when_it_is_missing(
    build: Callable[..., Any], kind: type[msgspec.Struct]
) -> None:
    for name in names(kind, required=True):
        data = build()
        del data[name]
        with pytest.raises(msgspec.ValidationError, match=f"missing required field `{name}`"):
            read(data, kind)


@pytest.mark.parametrize(
    ("build", "kind", "change"),
    [
        (tui.queue, model.Queue, {"ready": "12"}),
        (tui.queue, model.Queue, {"ready": 1.5}),
        (tui.queue, model.Queue, {"ready": None}),
        (tui.queue, model.Queue, {"paused": 1}),
        (tui.queue, model.Queue, {"pools": "fast"}),
        (tui.job, model.Job, {"created_at": "1790000000"}),
        (tui.node, model.Node, {"id": "x", "created_at": 1_790_000_000}),
        (tui.stats, model.Stats, {"in_per_min": "fast"}),
        (tui.worker, model.Worker, {"longest": {"id": "x"}}),
    ],
)
def test_a_wrong_type_is_never_taken(
    build: Callable[..., Any], kind: type[msgspec.Struct], change: dict[str, Any]
) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.|missing"):
        read(build(**change), kind)


def test_equal_rows_are_equal_values() -> None:
    first, second = read(tui.job_detail(), model.Job), read(tui.job_detail(), model.Job)
    assert first == second
    assert first != read(tui.job_detail(payload={"to": "b@b.example"}), model.Job)


def test_free_json_is_kept_as_text_and_told_from_its_absence() -> None:
    found = read(tui.job_detail(payload=None, result=msgspec.UNSET), model.Job)
    assert bytes(found.payload) == b"null"
    assert found.result == model.NO_JSON
    text = b'[0.10,1E3,"\\u00e9",\n 18446744073709551616]'
    raw = msgspec.json.encode(tui.job_detail(payload=msgspec.Raw(text)))
    assert bytes(msgspec.json.decode(raw, type=model.Job).payload) == text


def test_values_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        read(tui.queue(), model.Queue).ready = 0


def test_answers_of_actions_can_be_empty_but_a_dry_run_cannot() -> None:
    for kind in (
        answers.Switched, answers.QueueDone, answers.JobDone, answers.CronDone,
        answers.BatchAnswer, answers.LoggedIn, answers.LoggedOut,
    ):  # fmt: skip
        assert isinstance(msgspec.convert({}, kind), kind)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({}, answers.DryRun)


def test_the_work_of_a_queue_action_is_one_number() -> None:
    for name in ("removed", "retried", "cleared"):
        assert read({"queue": "a", name: 5, "remaining": 7}, answers.QueueDone).done == 5


@pytest.mark.parametrize(
    ("error", "unknown"),
    [
        (ApiError(Kind.TIMEOUT), True),
        (ApiError(Kind.TIMEOUT, sent=False), False),
        (ApiError(Kind.REFUSED), False),
        (ApiError(Kind.REFUSED, sent=True), True),
        (ApiError(Kind.UNAVAILABLE, 502), True),
        (ApiError(Kind.UNAVAILABLE, 504), True),
        (ApiError(Kind.UNAVAILABLE, 503), False),
        (ApiError(Kind.TIMEOUT, 408), False),
        (ApiError(Kind.CONFLICT, 409), False),
        (ApiError(Kind.TLS), False),
    ],
)
def test_whether_a_write_was_carried_out_is_said_honestly(error: ApiError, unknown: bool) -> None:
    assert error.outcome_unknown is unknown


def test_an_error_without_words_says_its_kind() -> None:
    assert ApiError(Kind.NOT_FOUND).sentence == "not found"
    assert ApiError(Kind.LIMITED, text=" \n ").sentence == "limited"
    assert [kind for kind in Kind if kind.is_away] == [
        Kind.REFUSED, Kind.TIMEOUT, Kind.TLS, Kind.UNAVAILABLE,
    ]  # fmt: skip
