"""Whether the models, the fakes and a real server agree on the shapes of the API."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from gqm_tui.core import answers, events, model
from gqm_tui.core.client import HttpClient, path
from gqm_tui.core.errors import ApiError, Kind
from tests.api.support import ADMIN_KEY, PASSWORD, SIGN_IN, VIEWER_KEY
from tests.api.world import World, world
from tests.support import tui

Json = Any


@pytest.fixture(scope="module")
def real(redis_socket: str) -> Iterator[World]:
    """A server with something of everything behind its API."""
    with world(redis_socket, f"t-{uuid.uuid4().hex[:12]}:", **SIGN_IN, rate_limit=-1) as found:
        yield found


@asynccontextmanager
async def client_of(real: World, key: str | None = ADMIN_KEY) -> AsyncIterator[HttpClient]:
    client = HttpClient(f"http://127.0.0.1:{real.api.port}", api_key=key)
    try:
        yield client
    finally:
        await client.close()


# -- the models against the server's own description

DESCRIBED: tuple[tuple[str, str, type[msgspec.Struct]], ...] = (
    ("get", "/api/v1/queues/{name}", model.QueueDetail),
    ("get", "/api/v1/jobs/{id}", model.Job),
    ("get", "/api/v1/jobs/{id}/attempts", model.Attempt),
    ("get", "/api/v1/failed/groups", model.FailedGroup),
    ("get", "/api/v1/workers/{id}", model.WorkerDetail),
    ("get", "/api/v1/servers/{id}", model.Server),
    ("get", "/api/v1/cron/{id}", model.CronEntry),
    ("get", "/api/v1/cron/{id}/history", model.CronRun),
    ("get", "/api/v1/dag/{id}/graph", model.Graph),
    ("get", "/api/v1/stats", model.Stats),
    ("get", "/api/v1/stats/runtime", model.Runtime),
    ("get", "/api/v1/stats/minutes", model.MinutesSeries),
    ("get", "/api/v1/audit", model.AuditEntry),
    ("get", "/auth/me", model.Me),
    ("post", "/auth/login", answers.LoggedIn),
    ("post", "/api/v1/queues/{name}/pause", answers.Switched),
)


def resolved(schema: Json, whole: Json) -> Json:
    """Follow references, lists and either-ors to the object that is meant."""
    while "properties" not in schema:
        if "$ref" in schema:
            schema = whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        elif "items" in schema:
            schema = schema["items"]
        else:
            schema = next(one for one in schema["anyOf"] if one != {"type": "null"})
    return schema


def data_schema(whole: Json, method: str, route: str) -> Json:
    responses = whole["paths"][route][method]["responses"]
    answer = responses["200"]["content"]["application/json"]["schema"]
    return resolved(answer["properties"]["data"], whole)


def nested(kind: Json) -> type[msgspec.Struct] | None:
    """Return the model inside an annotation like ``tuple[Node, ...]`` or ``Longest | None``."""
    for one in (kind, *getattr(kind, "__args__", ())):
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            return one
    return None


def compare(kind: type[msgspec.Struct], schema: Json, whole: Json) -> None:
    fields = {one.encode_name: one for one in msgspec.structs.fields(kind)}
    assert fields.keys() == schema["properties"].keys(), kind
    needed = {name for name, one in fields.items() if one.required}
    assert needed <= set(schema["required"]), f"{kind} needs what the server may leave out"
    for name, one in fields.items():
        inner = nested(one.type)
        if inner is not None:
            compare(inner, resolved(schema["properties"][name], whole), whole)


@pytest.mark.parametrize(("method", "route", "kind"), DESCRIBED)
def test_models_have_the_fields_that_the_server_describes(
    real: World, method: str, route: str, kind: type[msgspec.Struct]
) -> None:
    whole = real.api.get("/openapi.json").json
    compare(kind, data_schema(whole, method, route), whole)


@pytest.mark.parametrize(
    ("method", "route", "kind"),
    [
        ("delete", "/api/v1/queues/{name}/empty", answers.QueueDone),
        ("post", "/api/v1/queues/{name}/dead-letter/retry-all", answers.QueueDone),
        ("delete", "/api/v1/queues/{name}/dead-letter/clear", answers.QueueDone),
        ("post", "/api/v1/jobs/{id}/retry", answers.JobDone),
        ("post", "/api/v1/jobs/{id}/cancel", answers.JobDone),
        ("delete", "/api/v1/jobs/{id}", answers.JobDone),
        ("post", "/api/v1/cron/{id}/trigger", answers.CronDone),
        ("post", "/api/v1/cron/{id}/enable", answers.CronDone),
        ("post", "/api/v1/cron/{id}/disable", answers.CronDone),
        ("delete", "/api/v1/cron/{id}", answers.CronDone),
    ],
)
def test_answers_of_actions_are_read_to_the_last_field(
    real: World, method: str, route: str, kind: type[msgspec.Struct]
) -> None:
    whole = real.api.get("/openapi.json").json
    sent = data_schema(whole, method, route)["properties"].keys()
    assert sent <= {one.encode_name for one in msgspec.structs.fields(kind)}


# -- every reading call of the screens, for real

READS: tuple[tuple[str, Mapping[str, Any], Any], ...] = (
    ("/auth/me", {}, model.Me),
    (path("queues"), {}, list[model.Queue]),
    (path("queues", "busy"), {}, model.QueueDetail),
    (path("stats", "minutes"), {"minutes": 15}, list[model.MinutesSeries]),
    (path("stats", "minutes"), {"minutes": 15, "sum": True}, list[model.MinutesSeries]),
    (
        path("jobs"),
        {"queue": ["default", "busy"], "status": ["ready", "retry"], "page": 1, "limit": 100, "order": "asc"},
        list[model.Job],
    ),
    (path("jobs"), {"q": "dead", "type": "work.*", "since": "-15m", "until": tui.NOW}, list[model.Job]),
    (path("jobs"), {"status": "processing", "worker": "gopool"}, list[model.Job]),
    (path("queues", "default", "jobs"), {"status": "canceled"}, list[model.Job]),
    (path("workers"), {}, list[model.Worker]),
    (path("failed", "groups"), {"status": "dead_letter"}, list[model.FailedGroup]),
    (path("cron"), {"outcomes": True}, list[model.CronEntry]),
    (path("cron", "often"), {}, model.CronEntry),
    (path("cron", "often", "history"), {"limit": 100}, list[model.CronRun]),
    (path("dag", "roots"), {"rollup": True}, list[model.Job]),
    (path("dag", "deferred"), {}, list[model.Job]),
    (path("dag", "deferred", "graph"), {"depth": 20, "max_nodes": 200}, model.Graph),
    (path("servers"), {}, list[model.Server]),
    (path("stats"), {}, model.Stats),
    (path("stats", "runtime"), {}, model.Runtime),
    (path("audit"), {"limit": 100}, list[model.AuditEntry]),
    (path("jobs", "retry", "attempts"), {}, list[model.Attempt]),
)


def test_every_read_of_the_screens_is_understood(real: World) -> None:
    async def ask_all() -> None:
        async with client_of(real) as client:
            for where, params, kind in READS:
                reply = await client.get(where, params, kind)
                assert abs(reply.meta.server_time - reply.local_mid) < 5, where
                if isinstance(reply.data, list):
                    assert reply.data or "until" in params, f"{where} {params}: nothing to look at"

    asyncio.run(ask_all())


def test_jobs_of_all_states_are_understood_in_lists_and_alone(real: World) -> None:
    async def ask_all() -> None:
        async with client_of(real) as client:
            listed = (await client.get(path("jobs"), {"limit": 100}, list[model.Job])).data
            assert {one.status for one in listed} >= {
                "ready", "scheduled", "deferred", "processing", "retry",
                "completed", "dead_letter", "canceled", "stopped", "failed",
            }  # fmt: skip
            for one in listed:
                alone = (await client.get(path("jobs", one.id), None, model.Job)).data
                assert alone.id == one.id
                assert alone.payload != model.NO_JSON
                assert one.payload == model.NO_JSON

    asyncio.run(ask_all())


def test_queues_of_any_name_are_found(real: World) -> None:
    names = ["a/b c%?#é", "..", ".", "a+b&c=d", "%2F", "日本"]
    for number, name in enumerate(names):
        # As a program with wider rules for names leaves them.
        facts = {"id": f"named-{number}", "type": "x", "queue": name, "status": "ready", "payload": "{}"}
        real.raw.hset(real.keys.job(f"named-{number}"), mapping=facts)
        real.raw.lpush(real.keys.ready(name), f"named-{number}")
        real.raw.sadd(real.keys.queues, name)

    async def ask_all() -> None:
        async with client_of(real) as client:
            for name in names:
                assert (await client.get(path("queues", name), None, model.QueueDetail)).data.name == name
                jobs = (await client.get(path("queues", name, "jobs"), None, list[model.Job])).data
                assert [one.queue for one in jobs] == [name]
                switched = await client.send(
                    "POST", path("queues", name, "pause"), None, None, answers.Switched
                )
                assert (switched.data.queue, switched.data.status) == (name, "paused")

    asyncio.run(ask_all())


def test_writes_are_understood(real: World) -> None:
    job_id = "to-write"
    real.api.client.enqueue("mail.send", queue="writes", job_id=job_id)
    batch = path("jobs", "batch", "retry")

    async def act() -> None:
        async with client_of(real) as client:
            done = (
                await client.send("POST", path("jobs", job_id, "cancel"), None, None, answers.JobDone)
            ).data
            assert (done.job_id, done.status, done.was) == (job_id, "canceled", "ready")
            wanted = {"filter": {"status": ["canceled"], "queue": ["writes"]}}
            dry = await client.send(
                "POST", batch, None, {**wanted, "dry_run": True}, answers.DryRun, long=True
            )
            assert (dry.data.matched, dry.data.eligible, dry.data.sample) == (1, 1, (job_id,))
            wanted["filter"]["until"] = dry.data.as_of  # type: ignore[assignment]  # a moment among lists
            did = (await client.send("POST", batch, None, wanted, answers.BatchAnswer, long=True)).data
            assert (did.succeeded, did.failed, did.next) == (1, 0, None)
            assert did.results[0].status == "ready"
            empty = path("queues", "writes", "empty")
            asked = (await client.send("DELETE", empty, {"dry_run": True}, None, answers.QueueDone)).data
            assert (asked.dry_run, asked.matched, asked.done) == (True, 1, 0)
            emptied = (await client.send("DELETE", empty, None, None, answers.QueueDone)).data
            assert (emptied.done, emptied.remaining) == (1, 0)
            gone = (await client.send("DELETE", path("jobs", job_id), None, None, answers.JobDone)).data
            assert gone.deleted
            for way, on in (("enable", True), ("disable", False)):
                cron = await client.send("POST", path("cron", "yearly", way), None, None, answers.CronDone)
                assert cron.data.enabled is on

    asyncio.run(act())


def test_events_of_a_real_stream_are_understood(real: World) -> None:
    async def follow() -> None:
        async with client_of(real) as client:
            seen: list[events.Event] = []
            async for event in client.events({"events": ["hello", "job", "stats"], "queue": ["heard"]}):
                seen.append(event)
                if isinstance(event, events.Hello):
                    # The listener on Redis starts with the stream, so one job may come before it listens.
                    told = asyncio.create_task(keep_adding())
                elif isinstance(event, events.JobEvent):
                    assert (event.queue, event.was, event.to, event.type) == ("heard", None, "ready", "x")
                    told.cancel()
                    break
            assert isinstance(seen[0], events.Hello)

    async def keep_adding() -> None:
        while True:
            await asyncio.to_thread(real.api.client.enqueue, "x", queue="heard")
            await asyncio.sleep(0.1)

    asyncio.run(asyncio.wait_for(follow(), 20))


def test_sign_in_by_password_holds_until_signing_out(real: World) -> None:
    async def sign_in() -> None:
        async with client_of(real, key=None) as client:
            with pytest.raises(ApiError) as refused:
                await client.get(path("queues"), None, list[model.Queue])
            assert refused.value.kind is Kind.UNAUTHORIZED
            with pytest.raises(ApiError) as wrong:
                await client.login("vic", "not it")
            assert (wrong.value.kind, wrong.value.sentence) == (
                Kind.UNAUTHORIZED,
                "wrong username or password",
            )
            me = await client.login("vic", PASSWORD)
            assert (me.username, me.role, me.auth, me.is_admin) == ("vic", "viewer", "session", False)
            assert (await client.get(path("queues"), None, list[model.Queue])).data
            with pytest.raises(ApiError) as low:
                await client.send("POST", path("queues", "busy", "pause"), None, None, answers.Switched)
            assert (low.value.kind, low.value.code) == (Kind.FORBIDDEN, "FORBIDDEN")
            await client.logout()
            with pytest.raises(ApiError) as out:
                await client.get(path("queues"), None, list[model.Queue])
            assert out.value.kind is Kind.UNAUTHORIZED

    asyncio.run(sign_in())


def test_refusals_of_a_real_server_have_their_kind(real: World) -> None:
    async def ask_all() -> None:
        async with client_of(real) as client, client_of(real, VIEWER_KEY) as viewer:
            for call, kind, code in (
                (client.get(path("jobs", "nobody"), None, model.Job), Kind.NOT_FOUND, "NOT_FOUND"),
                (client.get(path("jobs"), {"limit": 1000}, list[model.Job]), Kind.PROTOCOL, "BAD_REQUEST"),
                (
                    client.send("DELETE", path("jobs", "processing"), None, None, answers.JobDone),
                    Kind.CONFLICT,
                    "CONFLICT",
                ),
                (viewer.get(path("audit"), None, list[model.AuditEntry]), Kind.FORBIDDEN, "FORBIDDEN"),
            ):
                with pytest.raises(ApiError) as refused:
                    await call
                assert (refused.value.kind, refused.value.code) == (kind, code)
                assert len(refused.value.ref) == 16
                assert refused.value.sentence

    asyncio.run(ask_all())


# -- the fakes against the server

FAKES: tuple[tuple[Callable[..., Json], str, str, str], ...] = (
    (tui.queue, "/api/v1/queues", "/api/v1/queues", "busy"),
    (tui.job, "/api/v1/jobs", "/api/v1/jobs?status=dead_letter", "dead_letter"),
    (tui.job_detail, "/api/v1/jobs/{id}", "/api/v1/jobs/dead_letter", ""),
    (tui.attempt, "/api/v1/jobs/{id}/attempts", "/api/v1/jobs/retry/attempts", ""),
    (tui.group, "/api/v1/failed/groups", "/api/v1/failed/groups", ""),
    (tui.worker, "/api/v1/workers", "/api/v1/workers", "fast@"),
    (tui.server, "/api/v1/servers", "/api/v1/servers", ""),
    (tui.cron, "/api/v1/cron", "/api/v1/cron?outcomes=true", "yearly"),
    (tui.cron_run, "/api/v1/cron/{id}/history", "/api/v1/cron/often/history", ""),
    (tui.graph, "/api/v1/dag/{id}/graph", "/api/v1/dag/deferred/graph", ""),
    (tui.stats, "/api/v1/stats", "/api/v1/stats", ""),
    (tui.runtime, "/api/v1/stats/runtime", "/api/v1/stats/runtime", ""),
    (tui.minutes, "/api/v1/stats/minutes", "/api/v1/stats/minutes?minutes=3", ""),
    (tui.audit, "/api/v1/audit", "/api/v1/audit", ""),
    (tui.me, "/auth/me", "/auth/me", ""),
)


def chosen(data: Json, key: str) -> Json:
    if not isinstance(data, list):
        return data
    return next(one for one in data if str(one.get("id", one.get("name", ""))).startswith(key))


def same_shape(fake: Json, sent: Json, schema: Json, whole: Json, where: str) -> None:
    """Compare keys, but for what the server may leave out, and kinds of values, down to the leaves."""
    differing = fake.keys() ^ sent.keys()
    assert not differing & set(schema["required"]), (where, differing)
    assert fake.keys() <= schema["properties"].keys(), where
    for name in fake.keys() & sent.keys():
        mine, theirs, place = fake[name], sent[name], f"{where}.{name}"
        if isinstance(mine, list) and isinstance(theirs, list) and mine and theirs:
            mine, theirs = mine[0], theirs[0]
        if None in (mine, theirs):
            continue
        numbers = {type(mine), type(theirs)} <= {int, float}
        assert numbers or type(mine) is type(theirs), (place, mine, theirs)
        inner = schema["properties"][name]
        if isinstance(mine, dict) and name not in ("payload", "result", "meta", "counts", "rollup"):
            same_shape(mine, theirs, resolved(inner, whole), whole, place)


@pytest.mark.parametrize(("build", "route", "where", "key"), FAKES, ids=[one[0].__name__ for one in FAKES])
def test_the_fakes_look_like_what_a_server_sends(
    real: World, build: Callable[..., Json], route: str, where: str, key: str
) -> None:
    whole = real.api.get("/openapi.json").json
    sent = chosen(real.api.get(where).data, key)
    same_shape(build(), sent, data_schema(whole, "get", route), whole, build.__name__)


def test_the_fakes_are_understood_by_the_models() -> None:
    for build, kind in (
        (tui.queue, model.Queue), (tui.job, model.Job), (tui.job_detail, model.Job),
        (tui.attempt, model.Attempt), (tui.group, model.FailedGroup), (tui.worker, model.Worker),
        (tui.server, model.Server), (tui.cron, model.CronEntry), (tui.cron_run, model.CronRun),
        (tui.graph, model.Graph), (tui.stats, model.Stats), (tui.runtime, model.Runtime),
        (tui.minutes, model.MinutesSeries), (tui.audit, model.AuditEntry), (tui.me, model.Me),
    ):  # fmt: skip
        assert isinstance(msgspec.json.decode(msgspec.json.encode(build()), type=kind), kind)
