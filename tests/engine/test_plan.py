"""From configuration and handlers to pools: which there are, what they read and which types they may take."""

from __future__ import annotations

import os
from typing import Any

import pytest

import gqm
from gqm.config import Config, default_config
from gqm.engine.handlers import Registry, make_spec
from gqm.engine.plan import PoolPlan, plan_pools, timeout_ms, without_pool
from gqm.store.commands.claim import TypeRule


def handlers(*types: str, **workers: int) -> Registry:
    registry = Registry()
    for type_ in types:
        registry.add(make_spec(type_, print, {}))
    for type_, n in workers.items():
        registry.add(make_spec(type_, print, {"workers": n}))
    return registry


def config(*pools: dict[str, Any], queues: tuple[object, ...] = (), **options: object) -> Config:
    named = [{"name": queue} for pool in pools for queue in pool.get("queues", ()) if queue != "default"]
    known = {queue["name"]: queue for queue in named}
    for queue in queues:
        item = queue if isinstance(queue, dict) else {"name": queue}
        known[item["name"]] = item
    return default_config({"pools": list(pools), "queues": list(known.values()), **options})


def pool(name: str, *types: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "job_types": list(types), **keys}


def plans(setup: Config, registry: Registry) -> dict[str, PoolPlan]:
    return {plan.name: plan for plan in plan_pools(setup, registry)}


def test_without_configuration_one_pool_reads_default_with_a_slot_per_cpu() -> None:
    (plan,) = plan_pools(config(), handlers("a", "b"))
    assert (plan.name, plan.types, plan.queues, plan.slots) == ("default", None, ("default",), os.cpu_count())
    assert (plan.strategy, plan.isolation, plan.retry.max_retry) == ("weighted", "thread", 3)


def test_without_handlers_and_pools_nothing_is_claimed() -> None:
    assert plan_pools(config(), handlers()) == []


def test_workers_give_a_type_a_pool_of_its_name_that_reads_its_queue_and_default() -> None:
    (plan,) = plan_pools(config(), handlers(mail=5))
    assert (plan.name, plan.types, plan.queues, plan.slots) == ("mail", ("mail",), ("mail", "default"), 5)


def test_a_type_called_default_reads_its_queue_once() -> None:
    assert plans(config(), handlers(default=2))["default"].queues == ("default",)


def test_a_handler_without_a_pool_beside_one_with_workers_gets_the_default_pool() -> None:
    made = plans(config(), handlers("other", mail=5))
    assert list(made) == ["mail", "default"]
    assert made["default"].types is None


@pytest.mark.parametrize(
    "explicit",
    [pool("p", "*", queues=["q"]), pool("p", "a", queues=["default"]), pool("p", "a")],
    ids=["catch-all", "reads default", "reads default by default"],
)
def test_no_default_pool_when_an_explicit_one_could_run_the_type(explicit: dict[str, Any]) -> None:
    assert list(plans(config(explicit), handlers("a", "homeless"))) == ["p"]


def test_the_default_pool_comes_when_no_explicit_one_could() -> None:
    made = plans(config(pool("p", "a", queues=["q"])), handlers("a", "homeless"))
    assert list(made) == ["p", "default"]


def test_times_of_a_pool_beat_those_of_the_application() -> None:
    made = plans(
        config(
            pool("own", "a", grace_period=1, shutdown_timeout=2, job_timeout="500ms"),
            pool("none", "b"),
            **{"app.grace_period": 3, "app.shutdown_timeout": 4},
        ),
        handlers("a", "b", c=1),
    )
    times = {name: (plan.timeout_s, plan.grace_s, plan.shutdown_s) for name, plan in made.items()}
    assert times == {"own": (0.5, 1, 2), "none": (1800, 3, 4), "c": (0, 3, 4)}  # 0: the global one


@pytest.mark.parametrize(
    ("queues", "expected"),
    [
        ((), ("default",)),
        (("a", "b"), ("default",)),
        (({"name": "a", "priority": 10}, {"name": "b", "priority": -1}), ("a", "default", "b")),
        (({"name": "a"}, {"name": "default", "priority": 1}, {"name": "b"}), ("default", "a", "b")),
    ],
)
def test_priorities_order_the_queues_of_pools_that_list_none(
    queues: tuple[object, ...], expected: tuple[str, ...]
) -> None:
    assert plans(config(pool("p", "*"), queues=queues), handlers("t"))["p"].queues == expected


def test_an_explicit_order_beats_priorities() -> None:
    queues = ({"name": "a", "priority": 10}, {"name": "b", "priority": 1})
    made = plans(config(pool("p", "*", queues=["b", "a"]), queues=queues), handlers("t"))
    assert made["p"].queues == ("b", "a")


# --------------------------------------------------------------------------------------- type rules


def rules(made: dict[str, PoolPlan]) -> dict[str, dict[str, TypeRule | None]]:
    return {name: dict(zip(plan.queues, plan.rules, strict=True)) for name, plan in made.items()}


def test_a_queue_of_one_pool_has_no_rule() -> None:
    made = plans(config(pool("p", "a", queues=["q"]), pool("r", "*", queues=["s"])), handlers("a", "b"))
    assert rules(made) == {"p": {"q": None}, "r": {"s": None}}


def test_beside_the_catch_all_a_pool_takes_only_its_types_and_the_catch_all_the_others() -> None:
    made = plans(
        config(pool("fast", "a", "c", queues=["q", "own"]), pool("rest", "*", queues=["q"])),
        handlers("a", "b", "c"),
    )
    assert rules(made) == {
        "fast": {"q": TypeRule(only=True, types=("a", "c")), "own": None},
        "rest": {"q": TypeRule(only=False, types=("a", "c"))},
    }


def test_two_pools_without_catch_all_leave_each_other_their_types() -> None:
    made = plans(config(pool("p", "a", queues=["q"]), pool("r", "b", queues=["q"])), handlers("a", "b", "x"))
    assert rules(made)["p"]["q"] == TypeRule(only=False, types=("b",))
    assert rules(made)["r"]["q"] == TypeRule(only=False, types=("a",))


def test_implicit_pools_share_default_by_the_same_rules() -> None:
    made = rules(plans(config(), handlers("other", mail=5, pay=3)))
    assert made["mail"] == {"mail": None, "default": TypeRule(only=True, types=("mail",))}
    assert made["default"] == {"default": TypeRule(only=False, types=("mail", "pay"))}


# ------------------------------------------------------------------------------------------ clashes


@pytest.mark.fault(59)
@pytest.mark.parametrize(
    ("explicit", "registry", "why"),
    [
        (pool("mail", "x"), handlers(mail=2), "'mail' asks for workers=2, but pool 'mail' has that name"),
        (pool("p", "mail"), handlers(mail=2), "'mail' asks for workers=2, but pool 'p' lists that type"),
    ],
)
def test_clashes_of_pools_and_handlers_are_named(
    explicit: dict[str, Any], registry: Registry, why: str
) -> None:
    with pytest.raises(gqm.RegistrationError, match=why):
        plan_pools(config(explicit), registry)


@pytest.mark.fault(59)
def test_a_type_named_default_clashes_with_the_default_pool() -> None:
    with pytest.raises(gqm.RegistrationError, match="two pools named 'default'"):
        plan_pools(config(), handlers("homeless", default=2))


def test_types_without_pool_are_listed() -> None:
    registry = handlers("a", "b", "c")
    assert without_pool(plan_pools(config(pool("p", "a")), registry), registry) == ["b", "c"]
    assert without_pool(plan_pools(config(pool("p", "a"), pool("r", "*")), registry), registry) == []


@pytest.mark.parametrize(
    ("seconds", "ms"), [(0, 0), (0.5, 500), (0.0001, 1), (1.0001, 1001), (1800, 1_800_000)]
)
def test_a_time_out_never_becomes_zero(seconds: float, ms: int) -> None:
    assert timeout_ms(seconds) == ms
