"""Registering handlers and middleware: what is taken, what is refused and with which words."""

from __future__ import annotations

import functools
import types
from typing import Any

import pytest

import gqm
from gqm.engine.handlers import HandlerSpec, Registry, check_middleware, make_spec, marked, wrap
from gqm.job import Job


def plain(job: Job) -> None: ...


async def on_loop(job: Job) -> None: ...


class CalledAsync:
    async def __call__(self, job: Job) -> None: ...


def spec(function: object, **options: Any) -> HandlerSpec:
    return make_spec("t", function, options)  # type: ignore[arg-type]  # wrong ones are the point


@pytest.mark.parametrize(
    ("function", "is_async"),
    [
        (plain, False),
        (lambda job: None, False),
        (on_loop, True),
        (functools.partial(on_loop), True),
        (CalledAsync(), True),
        (functools.partial(plain), False),
        (print, False),
    ],
)
def test_it_is_known_where_a_handler_runs(function: object, is_async: bool) -> None:
    assert spec(function).is_async is is_async


def generator(job: Job) -> Any:
    yield job


async def async_generator(job: Job) -> Any:
    yield job


@pytest.mark.parametrize(
    ("function", "options", "why"),
    [
        ("no function", {}, "handler of 't': 'no function' cannot be called"),
        (lambda: None, {}, r"must be callable \(job\)"),
        (lambda job, more: None, {}, r"must be callable \(job\)"),
        (generator, {}, "holds a yield"),
        (async_generator, {}, "holds a yield"),
        (plain, {"worker": 1}, "unknown option 'worker'; there are: is_failure, on_complete"),
        (plain, {"workers": -1}, "workers must be an int from 0 to 1000, got -1"),
        (plain, {"workers": True}, "workers must be an int"),
        (plain, {"workers": 1001}, "workers must be an int"),
        (plain, {"transient_max_age": 0}, "transient_max_age must be seconds above 0"),
        (plain, {"transient_max_age": float("nan")}, "transient_max_age must be seconds above 0"),
        (plain, {"is_failure": on_loop}, "is_failure must be a plain function"),
        (plain, {"is_failure": 1}, "is_failure: 1 cannot be called"),
        (plain, {"on_success": lambda: None}, r"on_success: .* must be callable \(job\)"),
        (plain, {"on_failure": lambda job: None}, "on_failure: .* must be callable with 2 arguments"),
        (plain, {"on_complete": lambda job: None}, "on_complete: .* must be callable with 2 arguments"),
    ],
)
def test_mistakes_are_named(function: object, options: dict[str, object], why: str) -> None:
    with pytest.raises(gqm.RegistrationError, match=why):
        spec(function, **options)


@pytest.mark.parametrize("type_", ["", "with space", "a" * 129, "émile"])
def test_a_type_must_be_a_name(type_: str) -> None:
    with pytest.raises(gqm.RegistrationError, match="job type"):
        make_spec(type_, plain, {})


def test_a_type_has_one_handler() -> None:
    registry = Registry()
    registry.add(spec(plain))
    with pytest.raises(gqm.RegistrationError, match="'t' has a handler already: plain; cannot add on_loop"):
        registry.add(spec(on_loop))
    assert [item.function for item in registry] == [plain]


def module(**members: object) -> types.ModuleType:
    made = types.ModuleType("made")
    vars(made).update(members)
    return made


def test_marked_functions_of_a_module_are_found_once_and_in_order() -> None:
    @gqm.handler("b", workers=2)
    @gqm.handler("a")
    def both(job: Job) -> str:
        return job.id

    @gqm.handler("c")
    async def third(job: Job) -> None: ...

    found = list(marked(module(x=1, both=both, again=both, other=plain, third=third)))
    assert [(item.type, item.workers, item.is_async) for item in found] == [
        ("a", 0, False),
        ("b", 2, False),
        ("c", 0, True),
    ]


def test_a_marked_function_stays_a_function() -> None:
    @gqm.handler("t")
    def double(job: Job) -> object:
        return job.payload

    assert double(Job({b"id": b"1", b"payload": b'{"n":1}'})) == {"n": 1}


def test_a_mistake_shows_where_the_function_stands() -> None:
    with pytest.raises(gqm.RegistrationError, match=r"callable \(job\)"):

        @gqm.handler("t")
        def without_argument() -> None: ...


@pytest.mark.parametrize(
    ("middleware", "why"),
    [
        (lambda job, call_next: None, "must be async def"),
        (None, "cannot be called"),
        (on_loop, "with 2 arguments"),
    ],
)
def test_middleware_is_async_and_takes_two(middleware: object, why: str) -> None:
    with pytest.raises(gqm.RegistrationError, match=why):
        check_middleware(middleware)


def test_without_middleware_the_innermost_call_is_all() -> None:
    async def innermost(job: Job) -> object:
        return job

    assert wrap((), innermost) is innermost
