"""Which actions are offered is what a real server accepts; and the plans say what they will do."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import msgspec
import pytest
import redis

from gqm.job import Status
from gqm.keys import Keys
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from gqm_tui.core import actions
from gqm_tui.core.actions import Action, Call, Care, Plan, allowed, cron_allowed, job_filter
from gqm_tui.core.client import HttpClient, path
from gqm_tui.core.clock import SystemClock
from gqm_tui.core.model import CronEntry, Job, Queue
from gqm_tui.core.perform import Progress, Result, Survey, run_bulk, run_one, survey
from tests.api.support import ADMIN_KEY, SIGN_IN, Api, serve
from tests.support import tui
from tests.support.crontab import Crontab, entry
from tests.support.keyspace import SERVER, Keyspace
from tests.support.states import MAKE

T = TypeVar("T")
JOB_ACTIONS = (Action.RETRY, Action.CANCEL, Action.DELETE)
PAIRS = [(status, action) for status in Status for action in JOB_ACTIONS]


class Real:
    """A real server, its key space, and our client for it."""

    def __init__(self, api: Api, space: Keyspace) -> None:
        self.api = api
        self.space = space

    def run(self, work: Callable[[HttpClient], Awaitable[T]]) -> T:
        async def inside() -> T:
            client = HttpClient(f"http://127.0.0.1:{self.api.port}", api_key=ADMIN_KEY)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(inside())

    def job(self, job_id: str) -> Job:
        async def ask(client: HttpClient) -> Job:
            return (await client.get(path("jobs", job_id), None, Job)).data

        return self.run(ask)

    def queue(self, name: str) -> Queue:
        async def ask(client: HttpClient) -> Queue:
            return (await client.get(path("queues", name), None, Queue)).data

        return self.run(ask)

    def cron(self, name: str) -> CronEntry:
        async def ask(client: HttpClient) -> CronEntry:
            return (await client.get(path("cron", name), None, CronEntry)).data

        return self.run(ask)

    def do(self, plan: Plan) -> Result:
        return self.run(lambda client: run_one(client, plan, SystemClock()))

    def survey(self, plan: Plan) -> Survey:
        return self.run(lambda client: survey(client, plan))

    def bulk(self, plan: Plan, as_of: float | None = None) -> list[Progress]:
        async def inside(client: HttpClient) -> list[Progress]:
            return [progress async for progress in run_bulk(client, plan, as_of)]

        return self.run(inside)


@pytest.fixture(scope="module")
def real(redis_socket: str) -> Iterator[Real]:
    prefix = f"t-{uuid.uuid4().hex[:12]}:"
    keys = Keys(prefix)
    store = Store(plain_link(keys, "the test server", {"unix_socket_path": redis_socket}))
    with (
        redis.Redis(unix_socket_path=redis_socket, protocol=2) as raw,
        serve(f"unix:{redis_socket}", prefix, **SIGN_IN, rate_limit=-1) as api,
    ):
        yield Real(api, Keyspace(store, raw))
        store.close()


@pytest.fixture
def queue_name() -> str:
    return f"q-{uuid.uuid4().hex[:8]}"


# -- against a real server


@pytest.mark.fault(17)
@pytest.mark.parametrize(("status", "action"), PAIRS, ids=lambda word: str(word.value))
def test_an_action_is_offered_exactly_where_the_server_accepts_it(
    real: Real, queue_name: str, status: Status, action: Action
) -> None:
    job_id = MAKE[status](real.space, queue=queue_name)
    job = real.job(job_id)
    assert job.status == status.value

    result = real.do(actions.job_plan(action, job))

    assert result.ok is allowed(job.status, action)
    assert job_id in result.text or not result.ok
    if not result.ok:
        assert (result.status, result.unknown) == (409, False)
        assert "{" not in result.text


@pytest.mark.parametrize("action", JOB_ACTIONS, ids=lambda action: str(action.value))
def test_a_dry_run_counts_as_eligible_what_is_offered(real: Real, queue_name: str, action: Action) -> None:
    ids = [MAKE[status](real.space, queue=f"{queue_name}-{status.value}") for status in Status]
    plan = actions.marks_plan(action, [*ids, "gone"])

    found = real.survey(plan)

    can = sum(allowed(status.value, action) for status in Status)
    assert (found.eligible, found.skipped) == (can, {"CONFLICT": len(ids) - can, "NOT_FOUND": 1})
    (last,) = real.bulk(plan)
    assert last.ended
    assert (last.succeeded, last.skipped) == (can, found.skipped)
    assert last.sentence(action).startswith(f"{can} {actions.PAST[action]}, ")


def test_no_more_jobs_than_were_confirmed(real: Real, queue_name: str) -> None:
    first = [MAKE[Status.READY](real.space, queue=queue_name) for _ in range(230)]
    wanted = job_filter(["ready"], {}, real.space.now(), queue=queue_name)
    plan = actions.filter_plan(Action.CANCEL, wanted, 230)
    found = real.survey(plan)
    later = MAKE[Status.READY](real.space, queue=queue_name)

    told = real.bulk(plan, found.as_of)

    assert found.eligible == 230
    assert [progress.handled for progress in told] == [100, 200, 230]
    assert [progress.ended for progress in told] == [False, False, True]
    assert real.space.ready(queue_name) == [later]
    assert {real.space.status(job_id) for job_id in first} == {"canceled"}


def test_scheduled_jobs_are_in_the_future_and_met_all_the_same(real: Real, queue_name: str) -> None:
    job_id = MAKE[Status.SCHEDULED](real.space, queue=queue_name)
    plan = actions.filter_plan(Action.RETRY, job_filter(["scheduled"], {}, 0, queue=queue_name), 1)
    found = real.survey(plan)
    assert found.eligible == 1
    assert real.bulk(plan, found.as_of)[-1].succeeded == 1
    assert real.space.status(job_id) == "ready"


def test_an_emptied_queue(real: Real, queue_name: str) -> None:
    for _ in range(3):
        MAKE[Status.READY](real.space, queue=queue_name)
    plan = actions.empty_plan(real.queue(queue_name))
    assert real.survey(plan).sentence(Action.EMPTY) == "3 can be canceled"
    (last,) = real.bulk(plan)
    assert (last.succeeded, last.ended) == (3, True)
    assert real.space.ready(queue_name) == []


def test_pause_and_its_undo(real: Real, queue_name: str) -> None:
    name = queue_name + " /?#%é"
    MAKE[Status.READY](real.space, queue=queue_name)
    real.space.raw.sadd(real.space.keys.queues, name)
    plan = actions.queue_plan(Action.PAUSE, real.queue(name))
    assert real.do(plan).text == f"{name} paused"
    assert real.queue(name).paused
    again = real.do(plan)
    assert (again.ok, again.changed, again.text) == (True, False, f"{name} was paused already")
    assert plan.undo is not None
    assert real.do(plan.undo).ok
    assert not real.queue(name).paused


def test_cron_entries(real: Real) -> None:
    real.space.beat(SERVER, fields={"hostname": "host", "cron_ids": '["tidy","off"]'})
    tab = Crontab(real.space)
    tab.put(entry("tidy", cron_expr="0 0 1 1 *"))
    tab.put(entry("off", cron_expr="0 0 1 1 *", enabled=False))
    tab.put(entry("old", cron_expr="0 0 1 1 *"))
    tab.put(entry("old-off", cron_expr="0 0 1 1 *", enabled=False))

    for name in ("tidy", "off", "old", "old-off"):
        for action in (Action.TRIGGER, Action.ENABLE, Action.DISABLE, Action.FORGET):
            item = real.cron(name)
            result = real.do(actions.cron_plan(action, item))
            assert (result.ok and result.changed) is cron_allowed(item, action), (name, action, result)
            if action is Action.TRIGGER and result.ok:
                assert real.job(result.job_id).cron_id == name
            if result.ok and action in (Action.ENABLE, Action.DISABLE):
                tab.change(name, enabled=item.enabled)


def test_what_became_of_a_canceled_job_and_of_those_behind_it(real: Real, queue_name: str) -> None:
    parent = MAKE[Status.READY](real.space, queue=queue_name)
    for allow_failure in (True, False, False):
        real.space.enqueue(queue=queue_name, depends_on=[parent], allow_failure=allow_failure)
    plan = actions.job_plan(Action.CANCEL, real.job(parent))
    assert plan.effects == ("3 that depend on it are canceled too, those that allow failure are set free",)
    assert real.do(plan).text == f"{parent} canceled, 2 that depend on it canceled, 1 set free"


def test_a_job_that_is_gone(real: Real, queue_name: str) -> None:
    job = real.job(MAKE[Status.READY](real.space, queue=queue_name))
    assert real.do(actions.job_plan(Action.DELETE, job)).ok
    result = real.do(actions.job_plan(Action.RETRY, job))
    assert (result.ok, result.status) == (False, 404)
    assert result.text.startswith("gone: ")


# -- what plans say


def a_job(**changes: Any) -> Job:
    return msgspec.json.decode(msgspec.json.encode(tui.job(**changes)), type=Job)


def a_queue(**changes: Any) -> Queue:
    return msgspec.json.decode(msgspec.json.encode(tui.queue(**changes)), type=Queue)


def an_entry(**changes: Any) -> CronEntry:
    return msgspec.json.decode(msgspec.json.encode(tui.cron(**changes)), type=CronEntry)


def test_undoable_actions_run_at_once_but_not_in_production() -> None:
    pause = actions.queue_plan(Action.PAUSE, a_queue())
    assert (pause.care, pause.target, pause.key) == (Care.UNDO, "billing", "billing")
    assert pause.calls == (Call("POST", "/api/v1/queues/billing/pause"),)
    assert pause.undo is not None
    assert pause.undo.calls == (Call("POST", "/api/v1/queues/billing/resume"),)
    asked = actions.queue_plan(Action.PAUSE, a_queue(), production=True)
    assert (asked.care, asked.title) == (Care.SINGLE, "Pause queue billing?")
    enable = actions.cron_plan(Action.ENABLE, an_entry(enabled=False))
    assert (enable.care, enable.undo and enable.undo.action) == (Care.UNDO, Action.DISABLE)
    assert actions.cron_plan(Action.DISABLE, an_entry(), production=True).care is Care.SINGLE


def test_the_question_about_one_job() -> None:
    plan = actions.job_plan(Action.RETRY, a_job())
    assert plan.care is Care.SINGLE
    assert plan.title == "Retry job 01943c77-1d2e-7aa0-9b61-7788f3a2a91c?"
    assert plan.where == "smtp.send · queue billing · DLQ"
    assert plan.effects == ("it goes to ready, with all its retries",)
    now = actions.job_plan(Action.RETRY, a_job(status="scheduled", retry_count=0))
    assert now.title == "Run job 01943c77-1d2e-7aa0-9b61-7788f3a2a91c now?"
    assert now.effects == ("it goes to ready at once; 0 of 5 retries stay used",)
    cancel = actions.job_plan(Action.CANCEL, a_job(status="processing", child_count=0))
    assert cancel.effects == ("its handler is told to stop",)
    delete = actions.job_plan(Action.DELETE, a_job())
    assert delete.calls == (Call("DELETE", "/api/v1/jobs/01943c77-1d2e-7aa0-9b61-7788f3a2a91c"),)
    assert delete.effects == ("payload, result and attempts are gone for good",)


def test_questions_about_cron_entries() -> None:
    trigger = actions.cron_plan(Action.TRIGGER, an_entry(enabled=False))
    assert trigger.effects == ("it is disabled, and runs once all the same",)
    forget = actions.cron_plan(Action.FORGET, an_entry(id="old-cleanup", orphaned=True))
    assert (forget.title, forget.care) == ("Delete cron entry old-cleanup?", Care.SINGLE)
    assert forget.calls == (Call("DELETE", "/api/v1/cron/old-cleanup"),)


def test_marks_go_in_calls_of_a_hundred() -> None:
    ids = [f"j{number}" for number in range(250)]
    plan = actions.marks_plan(Action.DELETE, ids)
    sent = [call.body["job_ids"] for call in plan.calls if call.body]
    assert [len(chunk) for chunk in sent if isinstance(chunk, list)] == [100, 100, 50]
    assert (plan.title, plan.care) == ("Delete 250 jobs?", Care.BULK)
    assert plan.calls[0].path == "/api/v1/jobs/batch/delete"
    assert actions.marks_plan(Action.DELETE, ["j"]).title == "Delete 1 job?"


def test_a_list_that_is_only_counted_from_below() -> None:
    plan = actions.filter_plan(Action.RETRY, {"status": ["dead_letter"]}, 10_000, bound="≥")
    assert plan.title == "Retry ≥10,000 jobs?"
    assert plan.where == "dead letters"


@pytest.mark.parametrize(
    ("eligible", "production", "care"),
    [(100, False, Care.BULK), (101, False, Care.TYPED), (1, True, Care.TYPED)],
)
def test_when_the_number_has_to_be_typed(eligible: int, production: bool, care: Care) -> None:
    plan = actions.marks_plan(Action.RETRY, ["j"])
    assert actions.asked(plan, eligible, production=production).care is care
    assert actions.asked(actions.empty_plan(a_queue()), 1, production=False).care is Care.TYPED


def test_a_filter_for_many_jobs() -> None:
    params = {"type": "smtp*,fax", "error": "Timeout", "since": "-2h", "until": "1790000000.5", "q": "01"}
    now, fingerprint = 1_790_000_000.25, "9f2c41d07be35a18"
    wanted = job_filter(["dead_letter"], params, now, queue="a,b", fingerprint=fingerprint)
    assert wanted == {
        "status": ["dead_letter"],
        "type": ["smtp*", "fax"],
        "error": "Timeout",
        "since": 1_789_992_800.25,
        "until": 1_790_000_000.5,
        "q": "01",
        "queue": ["a,b"],
        "fingerprint": fingerprint,
    }
    assert actions.capped(wanted, 1_790_000_000.0)["until"] == 1_790_000_000.0
    assert actions.capped(wanted, 1_790_000_001.0)["until"] == 1_790_000_000.5
    assert actions.capped({"status": ["ready"]}, 7.0) == {"status": ["ready"], "until": 7.0}


def test_a_filter_in_words() -> None:
    wanted = job_filter(["dead_letter", "failed"], {"error": "x", "q": "01"}, 0.0, queue="billing")
    said = 'dead letters and failed jobs · queue billing · error "x" · id with "01"'
    assert actions.describe(wanted) == said
    group = {"status": ["dead_letter"], "fingerprint": "9f2c41d07be35a18", "since": 1.0}
    words = 'dead letters · error "TimeoutError: <n>s exceeded" · within the time of the filter'
    assert actions.describe(group, "TimeoutError: <n>s exceeded") == words


def test_names_from_the_server_are_safe_in_every_question() -> None:
    name = "\x1b]0;owned\x07\u202e"
    plans = [
        actions.queue_plan(Action.PAUSE, a_queue(name=name)),
        actions.empty_plan(a_queue(name=name)),
        actions.job_plan(Action.CANCEL, a_job(id=name, type=name, queue=name, status=name)),
        actions.cron_plan(Action.TRIGGER, an_entry(id=name, job_type=name, queue=name)),
        actions.filter_plan(Action.RETRY, {"status": [name], "queue": [name], "q": name}, 1),
    ]
    for plan in plans:
        shown = " ".join((plan.title, plan.where, *plan.effects))
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert all("\x1b" not in call.path for call in plan.calls)


def test_why_an_action_is_not_offered() -> None:
    assert actions.why_not("processing", Action.DELETE) == "a job that is active cannot be deleted"
    assert actions.why_not("dead_letter", Action.CANCEL) == "a job that is DLQ cannot be canceled"
