"""Claiming: what is written and answered, queue order, type rules, stale ids, lost answers, limits."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
import redis

from gqm.errors import StoreError
from gqm.ids import new_nonce
from gqm.job import new_job
from gqm.keys import Keys
from gqm.store.commands.claim import (
    Claimed,
    ClaimPlan,
    TypeRule,
    are_paused,
    claim,
    return_unstarted,
    wait_ready,
)
from gqm.store.commands.enqueue import enqueue, enqueue_batch
from gqm.store.commands.settle import Completion, complete
from gqm.store.connect import plain_link
from gqm.store.sync import Store
from tests.support.keyspace import SERVER, Keyspace
from tests.support.listen import Listener
from tests.support.servers import ServerFactory


def plan(
    *queues: str | tuple[str, TypeRule | None],
    wrap: bool = False,
    global_ms: int = 1_800_000,
    pool_ms: int = 0,
    grace_ms: int = 10_000,
    budget: int = 3,
) -> ClaimPlan:
    pairs = tuple((queue, None) if isinstance(queue, str) else queue for queue in queues or ("default",))
    return ClaimPlan(SERVER, f"p@{SERVER}", pairs, wrap, global_ms, pool_ms, grace_ms, budget)


def take(space: Keyspace, n: int = 1, by: ClaimPlan | None = None, turns: tuple[int, ...] = ()) -> Claimed:
    return space.store.run(claim(space.keys, by or plan(), new_nonce(), n, turns))


def ids(claimed: Claimed) -> list[str]:
    return [job.id for job in claimed.jobs]


def put(space: Keyspace, count: int, type_: str = "t", queue: str = "default") -> list[str]:
    jobs = [new_job(type_, None, {"queue": queue}) for _ in range(count)]
    space.store.run(enqueue_batch(space.keys, jobs))
    return [job.id for job in jobs]


def minute(space: Keyspace, queue: str = "default") -> dict[str, int]:
    found: dict[str, int] = {}
    for key in space.raw.scan_iter(f"{space.keys.prefix}stats:{queue}:minute:*"):
        assert 10_700 < space.raw.ttl(key) <= 10_800
        for name, value in space.raw.hgetall(key).items():
            found[name.decode()] = found.get(name.decode(), 0) + int(value)
    return found


# --------------------------------------------------------------------------------- one claim (9)


def test_everything_a_claim_writes_and_answers(space: Keyspace) -> None:
    job = new_job("mail", {"to": "x"}, {"timeout": 20, "queue": "q"})
    space.store.run(enqueue(space.keys, job))
    stored = space.fields(job.id)
    space.raw.hset(space.keys.job(job.id), "ready_at_ms", int(stored["ready_at_ms"]) - 250)
    stored = space.fields(job.id)
    nonce = new_nonce()

    answer = space.store.run(claim(space.keys, plan("q"), nonce, 5))

    (held,) = answer.jobs
    assert (held.id, held.token, held.budget, held.timeout_ms) == (job.id, f"{nonce}.1", 3, 20_000)
    assert (held.attempt, held.queue, held.worker_id) == (1, "q", f"p@{SERVER}")
    assert {name.decode(): value.decode() for name, value in held.fields.items()} == stored
    assert answer[1:7] == ([], 0, [], False, [], [])
    assert abs(answer.now_ms / 1000 - space.now()) < 2

    found = space.fields(job.id)
    wait_ms = int(found["wait_ms"])
    assert 250 <= wait_ms < 5000
    assert abs(int(found.pop("started_at")) - space.now()) < 2
    assert {name: found[name] for name in found.keys() - stored.keys()} == {
        "worker_id": f"p@{SERVER}",
        "claim": f"{nonce}.1",
        "attempt": "1",
        "wait_ms": str(wait_ms),
    }
    assert found["status"] == "processing"
    assert space.ready("q") == []
    deadline = space.raw.zscore(space.keys.processing("q"), job.id)
    assert deadline == pytest.approx(answer.now_ms / 1000 + 20, abs=0.0005)
    record = space.raw.hget(space.keys.claims(SERVER), job.id)
    assert record == f"{nonce}.1|3|{answer.now_ms}|q".encode()
    assert minute(space, "q") == {"claimed": 1, "wait_ms": wait_ms}
    assert space.raw.ttl(space.keys.job(job.id)) == -1
    space.assert_sound()


def test_jobs_come_in_order_and_no_more_than_asked_for(space: Keyspace) -> None:
    made = put(space, 10)
    first, second, third = take(space, 4), take(space, 6), take(space, 1)
    assert ids(first) == made[:4]
    assert [job.token.rpartition(".")[2] for job in first.jobs] == ["1", "2", "3", "4"]
    assert ids(second) == made[4:]
    assert third.jobs == []
    assert (first.more, third.more) == (True, False)
    assert space.processing() == sorted(made)
    space.assert_sound()


def test_full_claim_of_128(space: Keyspace) -> None:
    made = put(space, 200)
    assert ids(take(space, 128)) == made[:128]


@pytest.mark.parametrize(
    ("own", "pool_ms", "global_ms", "limit_ms"),
    [(5, 1000, 60_000, 5000), (None, 1000, 60_000, 1000), (None, 0, 60_000, 60_000), (0, 500, 60_000, 500)],
)
@pytest.mark.fault(8)
@pytest.mark.fault(22)
def test_whose_timeout_counts(
    space: Keyspace, own: int | None, pool_ms: int, global_ms: int, limit_ms: int
) -> None:
    (job_id,) = put(space, 1)
    if own is not None:
        space.raw.hset(space.keys.job(job_id), "timeout", own)
    answer = take(space, 1, plan(pool_ms=pool_ms, global_ms=global_ms))
    assert answer.jobs[0].timeout_ms == limit_ms
    deadline = space.raw.zscore(space.keys.processing("default"), job_id)
    assert deadline == pytest.approx((answer.now_ms + limit_ms) / 1000, abs=0.0005)


@pytest.mark.parametrize(("grace_ms", "extra_s"), [(0, 0), (10_000, 0), (10_500, 0.5), (60_000, 50)])
@pytest.mark.fault(19)
def test_long_grace_moves_the_deadline(space: Keyspace, grace_ms: int, extra_s: float) -> None:
    (job_id,) = put(space, 1)
    answer = take(space, 1, plan(global_ms=1000, grace_ms=grace_ms))
    deadline = space.raw.zscore(space.keys.processing("default"), job_id)
    assert deadline == pytest.approx(answer.now_ms / 1000 + 1 + extra_s, abs=0.0005)


@pytest.mark.parametrize(
    ("fields", "budget"),
    [
        ({}, 7),
        ({"max_retry": "3"}, 7),
        ({"max_retry": "3", "max_retry_set": "1"}, 3),
        ({"max_retry": "0"}, 0),
        ({"max_retry": "5"}, 5),
        ({"max_retry": ""}, 7),
        ({"max_retry": "-2"}, 0),
        ({"max_retry": "many"}, 0),
        ({"max_retry": "1000000"}, 1_000_000),
    ],
)
@pytest.mark.fault(60)
def test_whose_retry_budget_counts(space: Keyspace, fields: dict[str, str], budget: int) -> None:
    (job_id,) = put(space, 1)
    space.raw.hdel(space.keys.job(job_id), "max_retry")
    if fields:
        space.raw.hset(space.keys.job(job_id), mapping=fields)
    assert take(space, 1, plan(budget=7)).jobs[0].budget == budget
    assert space.raw.hget(space.keys.claims(SERVER), job_id).split(b"|")[1] == str(budget).encode()


def test_attempts_count_up(space: Keyspace) -> None:
    (job_id,) = put(space, 1)
    space.raw.hset(space.keys.job(job_id), "attempt", 4)
    assert take(space).jobs[0].attempt == 5
    assert space.field(job_id, "attempt") == "5"


@pytest.mark.parametrize(
    ("fields", "wait_s"),
    [({"ready_at_ms": "", "created_at": "-100"}, 100), ({"ready_at_ms": "x", "created_at": ""}, 0)],
)
def test_wait_of_jobs_that_others_made(space: Keyspace, fields: dict[str, str], wait_s: int) -> None:
    (job_id,) = put(space, 1)
    if fields["created_at"]:
        fields["created_at"] = str(int(space.now()) + int(fields["created_at"]))
    space.raw.hset(space.keys.job(job_id), mapping=fields)
    take(space)
    assert int(str(space.field(job_id, "wait_ms"))) == pytest.approx(wait_s * 1000, abs=2000)


def test_wait_is_never_negative(space: Keyspace) -> None:
    (job_id,) = put(space, 1)
    space.raw.hset(space.keys.job(job_id), "ready_at_ms", int(space.now() * 1000) + 60_000)
    take(space)
    assert space.field(job_id, "wait_ms") == "0"


def test_job_that_names_another_queue_belongs_to_the_one_it_lies_in(space: Keyspace) -> None:
    (job_id,) = put(space, 1, queue="a")
    space.raw.hset(space.keys.job(job_id), "queue", "b")
    (held,) = take(space, 1, plan("a")).jobs
    assert held.queue == "a"
    assert held.fields[b"queue"] == b"a"
    assert space.field(job_id, "queue") == "a"
    done = space.store.run(
        complete(space.keys, held.queue, [Completion(held, 1)], result_ttl=9, failure_ttl=9)
    )
    assert done.answers == [1]
    space.assert_sound()


@pytest.mark.fault(1)
def test_job_of_a_plain_hset_and_lpush_is_claimed(space: Keyspace) -> None:
    space.raw.hset(
        space.keys.job("go"), mapping={"id": "go", "type": "t", "status": "ready", "payload": "[1]"}
    )
    space.raw.lpush(space.keys.ready("default"), "go")
    (held,) = take(space).jobs
    assert (held.id, held.budget, held.fields[b"payload"]) == ("go", 3, b"[1]")
    assert space.field("go", "queue") == "default"


def test_record_with_thousands_of_fields_is_claimed(space: Keyspace) -> None:
    (job_id,) = put(space, 1)
    space.raw.hset(space.keys.job(job_id), mapping={f"f{n}": n for n in range(9000)})
    assert len(take(space).jobs[0].fields) == 9000 + 8


def test_numbers_out_of_range_do_no_harm(space: Keyspace) -> None:
    (job_id,) = put(space, 1)
    odd = {
        "timeout": "9" * 30,
        "attempt": "1e5",
        "max_retry": "9" * 30,
        "created_at": "never",
        "ready_at_ms": "-5",
    }
    space.raw.hset(space.keys.job(job_id), mapping=odd)
    (held,) = take(space).jobs
    assert (held.timeout_ms, held.attempt, held.budget) == (1_800_000, 1, 0)


# ------------------------------------------------------------------------------ queues and turns


def brute_force(queues: list[list[str]], n: int, turns: tuple[int, ...], wrap: bool) -> list[str]:
    """What the rule says: turn i tries its queue first, then the others in list order, or cyclic order."""
    left = [list(queue) for queue in queues]
    taken = []
    for turn in turns or (0,) * n:
        others = [i for i in range(len(left)) if i != turn]
        if wrap:
            others = [(turn + step) % len(left) for step in range(1, len(left))]
        for i in (turn, *others):
            if left[i]:
                taken.append(left[i].pop(0))
                break
    return taken


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("lengths", [(3, 3, 3), (0, 5, 1), (6, 0, 0), (1, 1, 9), (0, 0, 0)])
@pytest.mark.parametrize(
    "turns", [(), (0, 0, 0, 0, 0), (0, 1, 2, 0, 1), (2, 2, 1, 1, 0), (1, 0, 1, 0, 1), (2, 2, 2, 2, 2, 2, 2)]
)
def test_turns(space: Keyspace, wrap: bool, lengths: tuple[int, ...], turns: tuple[int, ...]) -> None:
    made = [
        put(space, count, queue=name) if count else [] for name, count in zip("abc", lengths, strict=True)
    ]
    n = len(turns) or 5
    answer = take(space, n, plan("a", "b", "c", wrap=wrap), turns)
    assert ids(answer) == brute_force(made, n, turns, wrap)
    assert [job.queue for job in answer.jobs] == [
        next(name for name, queue in zip("abc", made, strict=True) if job.id in queue) for job in answer.jobs
    ]
    assert answer.more == (sum(lengths) > len(answer.jobs))
    space.assert_sound()


def test_paused_queues_are_left_alone_and_named(space: Keyspace) -> None:
    put(space, 2, queue="a")
    made = put(space, 2, queue="b")
    space.raw.sadd(space.keys.paused, "a", "elsewhere")
    answer = take(space, 5, plan("a", "b"))
    assert ids(answer) == made
    assert answer.paused == ["a"]
    assert not answer.more
    assert len(space.ready("a")) == 2
    assert space.store.run(are_paused(space.keys, ["a", "b", "elsewhere"])) == [True, False, True]


# ---------------------------------------------------------------------------------- stale ids


@pytest.mark.fault(4)
def test_stale_ids_are_taken_out_in_the_same_call_and_counted(space: Keyspace) -> None:
    raw, keys = space.raw, space.keys
    (live,) = put(space, 1)
    raw.rpush(keys.ready("default"), "no-hash", "stub", "done", "string")
    raw.hset(keys.job("stub"), "last_heartbeat", 1)
    raw.hset(keys.job("done"), mapping={"id": "done", "status": "completed", "queue": "default"})
    raw.set(keys.job("string"), "x")

    answer = take(space, 1)

    assert ids(answer) == [live]
    assert answer.skipped == ["string", "done", "stub", "no-hash"]
    assert answer.skip_count == 4
    assert minute(space)["skipped"] == 4
    assert raw.hgetall(keys.job("done"))[b"status"] == b"completed"
    assert raw.hgetall(keys.job("stub")) == {b"last_heartbeat": b"1"}
    assert not raw.exists(keys.job("no-hash"))


@pytest.mark.fault(13)
def test_id_whose_job_is_elsewhere_keeps_its_own_place(space: Keyspace) -> None:
    (job_id,) = put(space, 1)
    (held,) = take(space).jobs
    space.raw.rpush(space.keys.ready("default"), job_id)
    before = space.fields(job_id)
    answer = take(space)
    assert (answer.jobs, answer.skipped) == ([], [job_id])
    assert space.fields(job_id) == before
    assert space.processing() == [job_id]
    assert held.token == before["claim"]
    space.assert_sound()


def test_same_id_twice_is_claimed_once(space: Keyspace) -> None:
    (job_id,) = put(space, 1)
    space.raw.rpush(space.keys.ready("default"), job_id)
    answer = take(space, 5)
    assert (ids(answer), answer.skipped) == ([job_id], [job_id])
    space.assert_sound()


def test_a_thousand_skips_end_a_call_and_more_says_so(space: Keyspace) -> None:
    (live,) = put(space, 1)
    space.raw.rpush(space.keys.ready("default"), *[f"gone{n}" for n in range(1005)])
    first = take(space, 2)
    assert (first.jobs, first.skip_count, len(first.skipped), first.more) == ([], 1000, 10, True)
    second = take(space, 2)
    assert (ids(second), second.skip_count, second.more) == ([live], 5, False)


def test_claim_ends_at_8_mib_and_puts_the_rest_back(space: Keyspace) -> None:
    jobs = [new_job("t", {"x": "y" * 1_000_000}) for _ in range(12)]
    for job in jobs:
        space.store.run(enqueue(space.keys, job))
    answer = take(space, 12)
    assert ids(answer) == [job.id for job in jobs[:9]]
    assert answer.more
    assert space.ready() == [job.id for job in jobs[9:]]
    space.assert_sound()
    assert ids(take(space, 12)) == [job.id for job in jobs[9:]]


# ---------------------------------------------------------------------------------- type rules

ONLY_A = TypeRule(True, ("a",))
NOT_A = TypeRule(False, ("a",))


@pytest.mark.fault(69)
def test_pools_take_their_own_types_and_leave_the_others_in_order(space: Keyspace) -> None:
    made = [put(space, 1, "ab"[n % 2])[0] for n in range(10)]
    fast = take(space, 3, plan(("default", ONLY_A)))
    assert ids(fast) == [made[0], made[2], made[4]]
    assert space.ready() == [made[1], made[3], *made[5:]]
    assert (fast.more, fast.passed) == (True, [])
    rest = take(space, 2, plan(("default", NOT_A)))
    assert ids(rest) == [made[1], made[3]]
    assert space.ready() == made[5:]
    space.assert_sound()


def test_rule_of_several_types(space: Keyspace) -> None:
    made = {type_: put(space, 1, type_)[0] for type_ in "abcd"}
    assert ids(take(space, 9, plan(("default", TypeRule(True, ("a", "c")))))) == [made["a"], made["c"]]
    assert ids(take(space, 9, plan(("default", TypeRule(False, ("b", "x")))))) == [made["d"]]
    assert space.ready() == [made["b"]]


def test_queue_of_other_types_only_is_named(space: Keyspace) -> None:
    made = put(space, 5, "b")
    answer = take(space, 3, plan(("default", ONLY_A)))
    assert (answer.jobs, answer.passed, answer.more) == ([], ["default"], False)
    assert space.ready() == made
    assert minute(space) == {}


@pytest.mark.parametrize(("ahead", "found"), [(255, True), (256, False), (400, False)])
def test_at_most_256_are_passed_over(space: Keyspace, ahead: int, found: bool) -> None:
    other = put(space, ahead, "b")
    mine = put(space, 3, "a")
    answer = take(space, 2, plan(("default", ONLY_A)))
    assert ids(answer) == (mine[:2] if found else [])
    assert answer.passed == ([] if found else ["default"])
    assert answer.more == found
    assert space.ready() == other + (mine[2:] if found else mine)
    space.assert_sound()


def test_a_blocked_queue_does_not_hide_jobs_of_the_others(space: Keyspace) -> None:
    put(space, 300, "b", queue="crowded")
    also = put(space, 5, "a", queue="other")
    plain = put(space, 2, "x", queue="plain")
    answer = take(space, 9, plan(("crowded", ONLY_A), ("other", ONLY_A), "plain"))
    assert ids(answer) == also + plain
    assert answer.passed == ["crowded"]
    assert len(space.ready("crowded")) == 300
    space.assert_sound()


def test_large_jobs_of_other_types_are_not_read(space: Keyspace) -> None:
    for _ in range(20):
        space.store.run(enqueue(space.keys, new_job("b", {"x": "y" * 1_000_000})))
    mine = put(space, 1, "a")
    answer = take(space, 1, plan(("default", ONLY_A)))
    assert ids(answer) == mine, "20 MB ahead do not fill the call"
    assert len(space.ready()) == 20


@pytest.mark.fault(4)
def test_stale_ids_among_other_types(space: Keyspace) -> None:
    made = put(space, 3, "b")
    space.raw.linsert(space.keys.ready("default"), "BEFORE", made[1], "gone")
    mine = put(space, 1, "a")
    answer = take(space, 5, plan(("default", ONLY_A)))
    assert (ids(answer), answer.skipped) == (mine, ["gone"])
    assert space.ready() == made


def test_jobs_of_other_types_keep_their_place_through_many_claims(space: Keyspace) -> None:
    order = [put(space, 1, type_)[0] for type_ in "abbaabababbbaa"]
    types = dict(zip(order, "abbaabababbbaa", strict=True))
    queue = plan(("default", ONLY_A))
    for n in itertools.cycle((1, 2)):
        left = space.ready()
        assert left == [job_id for job_id in order if job_id in left]
        if not take(space, n, queue).jobs:
            break
    assert space.ready() == [job_id for job_id in order if types[job_id] == "b"]


# ------------------------------------------------------------------------------- a lost answer


def resend(space: Keyspace, command: Any) -> Claimed:
    answer: Claimed = space.store.run(command._replace(words=command.again))
    return answer


@pytest.mark.parametrize("count", [0, 1, 7])
def test_second_send_answers_with_what_the_first_got(space: Keyspace, count: int) -> None:
    put(space, count + 3) if count else None
    command = claim(space.keys, plan(global_ms=60_000), new_nonce(), max(count, 1))
    first = space.store.run(command)
    before = space.dump()
    second = resend(space, command)
    assert space.dump() == before
    for mine, again in zip(first.jobs, second.jobs, strict=True):
        assert again._replace(fields={}) == mine._replace(fields={})
        assert again.fields[b"payload"] == mine.fields[b"payload"]
    assert abs(second.now_ms - space.now() * 1000) < 5000


def test_second_send_does_not_see_other_calls(space: Keyspace) -> None:
    put(space, 4)
    mine = claim(space.keys, plan(), "0123456789abcdef", 2)
    longer = claim(space.keys, plan(), "0123456789abcde", 1)
    first = space.store.run(mine)
    space.store.run(longer)
    assert ids(resend(space, mine)) == ids(first)


def test_second_send_leaves_out_what_is_not_held_any_more(space: Keyspace) -> None:
    put(space, 3)
    command = claim(space.keys, plan(), new_nonce(), 3)
    first = space.store.run(command)
    space.store.run(return_unstarted(space.keys, "default", [(first.jobs[0], False)]))
    space.raw.hset(space.keys.job(first.jobs[1].id), "status", "canceled")
    assert ids(resend(space, command)) == [first.jobs[2].id]


def test_second_send_whose_first_never_arrived_claims(space: Keyspace) -> None:
    made = put(space, 2)
    assert ids(resend(space, claim(space.keys, plan(), new_nonce(), 2))) == made
    space.assert_sound()


# -------------------------------------------------------------------- wrong types, full memory


@pytest.mark.fault(55)
@pytest.mark.parametrize("part", ["ready", "processing"])
def test_broken_queue_is_named_and_the_others_go_on(space: Keyspace, part: str) -> None:
    made = put(space, 1, queue="good")
    put(space, 1, queue="bad")
    key = f"{space.keys.prefix}queue:bad:{part}"
    space.raw.delete(key)
    space.raw.set(key, "text")
    answer = take(space, 5, plan("bad", "good"))
    assert ids(answer) == made
    assert answer.broken == [key]
    assert not answer.more


@pytest.mark.parametrize("name", ["paused", f"server:{SERVER}:claims"])
def test_key_of_a_wrong_type_is_named_and_nothing_written(space: Keyspace, name: str) -> None:
    put(space, 1)
    space.raw.set(space.keys.prefix + name, "text")
    before = space.dump()
    with pytest.raises(StoreError, match=f"key {space.keys.prefix}{name} at "):
        take(space)
    assert space.dump() == before


@pytest.mark.parametrize("kind", ["valkey", "redis"])
def test_claims_go_through_when_memory_is_full(start_server: ServerFactory, kind: str) -> None:
    server = start_server(kind=kind)
    store = Store(plain_link(Keys("t:"), "full", {"unix_socket_path": server.socket}))
    space = Keyspace(store, redis.Redis(unix_socket_path=server.socket, protocol=2))
    made = put(space, 3)
    space.raw.config_set("maxmemory", 1)
    answer = take(space, 2)
    assert ids(answer) == made[:2]
    done = [Completion(job, 1) for job in answer.jobs]
    assert space.store.run(complete(space.keys, "default", done, result_ttl=1, failure_ttl=1)).answers == [
        1,
        1,
    ]
    space.assert_sound()
    space.raw.close()
    store.close()


# ------------------------------------------------------------------------------- messages, waiting


def test_a_claim_is_one_message(space: Keyspace) -> None:
    made = put(space, 25)
    with Listener(space.raw, space.keys.events) as events:
        take(space, 25)
        take(space, 1)
        (message,) = events.heard()
    assert (message["op"], message["queue"], message["n"]) == ("claim", "default", 25)
    assert message["ch"] == [[job_id, "ready", "processing"] for job_id in made[:20]]


def test_odd_ids_do_not_break_the_message(space: Keyspace) -> None:
    odd = 'a"\\\n€'
    space.raw.hset(space.keys.job(odd), mapping={"id": odd, "status": "ready", "type": "t"})
    space.raw.lpush(space.keys.ready("default"), odd)
    with Listener(space.raw, space.keys.events) as events:
        assert ids(take(space)) == [odd]
        assert events.heard()[0]["ch"] == [[odd, "ready", "processing"]]


def test_waiting_changes_nothing_and_tells_whether_there_is_a_job(space: Keyspace) -> None:
    begun = time.monotonic()
    assert not space.store.run(wait_ready(space.keys, "default", 0.05))
    assert time.monotonic() - begun >= 0.05
    made = put(space, 3)
    before = space.dump()
    assert space.store.run(wait_ready(space.keys, "default", 5))
    assert space.dump() == before
    assert space.ready() == made
