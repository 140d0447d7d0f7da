"""Handlers: the functions that run jobs, how they are marked, checked and registered."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TypeAlias, TypedDict, TypeVar, Unpack

from gqm.errors import InvalidJob, RegistrationError
from gqm.ids import check_name
from gqm.job import Job

F = TypeVar("F", bound=Callable[..., object])

Handler: TypeAlias = Callable[[Job], object]
"""``async def`` runs on the event loop, ``def`` in the pool's threads; its return value is the result."""
CallNext: TypeAlias = Callable[[Job], Awaitable[object]]
Middleware: TypeAlias = Callable[[Job, CallNext], Awaitable[object]]
"""``async def`` around every handler: awaits ``call_next(job)`` and returns what it returned."""
SuccessCallback: TypeAlias = Callable[[Job], object]
FailureCallback: TypeAlias = Callable[[Job, BaseException], object]
CompleteCallback: TypeAlias = Callable[[Job, BaseException | None], object]

_MARK = "__gqm_handlers__"


class HandlerOptions(TypedDict, total=False):
    """Keyword options of `handler` and `Server.handle`."""

    workers: int
    """Give the type a pool of its own with so many slots."""
    is_failure: Callable[[BaseException], bool]
    """False for an error that should not count: it is retried without touching ``max_retry``."""
    transient_max_age: float
    """Seconds after which uncounted retries end in the dead-letter set; default: never."""
    on_success: SuccessCallback
    """Called with the job once it is stored as completed."""
    on_failure: FailureCallback
    """Called with job and error after a failed run is stored, before any retry."""
    on_complete: CompleteCallback
    """Called after both, with the error or ``None``."""


@dataclass(frozen=True, slots=True)
class HandlerSpec:
    """One registered handler."""

    type: str
    function: Handler
    is_async: bool
    workers: int = 0
    is_failure: Callable[[BaseException], bool] | None = None
    transient_max_age_s: float | None = None
    on_success: SuccessCallback | None = None
    on_failure: FailureCallback | None = None
    on_complete: CompleteCallback | None = None

    @property
    def has_callbacks(self) -> bool:
        """Whether anything is to be called after a run."""
        return not (self.on_success is None and self.on_failure is None and self.on_complete is None)


def handler(type_: str, **options: Unpack[HandlerOptions]) -> Callable[[F], F]:
    """Mark a function as the handler of a job type; `Server.include` registers the marked ones of a module.

    The function itself stays as it is and can be called and tested without a server. One function may
    carry several marks.
    """

    def mark(function: F) -> F:
        make_spec(type_, function, options)  # a mistake shows where the function stands
        marks = [*getattr(function, _MARK, ()), (type_, options)]
        setattr(function, _MARK, marks)
        return function

    return mark


def marked(module: ModuleType) -> Iterator[HandlerSpec]:
    """Yield the handlers marked in a module, in the order of their definition, each function once."""
    seen: set[int] = set()
    for value in vars(module).values():
        marks = getattr(value, _MARK, None) if callable(value) else None
        if marks and id(value) not in seen:
            seen.add(id(value))
            for type_, options in marks:
                yield make_spec(type_, value, options)


def make_spec(type_: str, function: object, options: HandlerOptions) -> HandlerSpec:
    """Check a handler and its options. Raises `RegistrationError` naming what is wrong."""
    try:
        check_name(type_, "job type")
    except InvalidJob as exc:
        raise RegistrationError(str(exc)) from None
    where = f"handler of {type_!r}"
    unknown = options.keys() - HandlerOptions.__annotations__.keys()
    if unknown:
        known = ", ".join(sorted(HandlerOptions.__annotations__))
        raise RegistrationError(f"{where}: unknown option {min(unknown)!r}; there are: {known}")
    workers: object = options.get("workers", 0)
    if not isinstance(workers, int) or isinstance(workers, bool) or not 0 <= workers <= 1000:
        raise RegistrationError(f"{where}: workers must be an int from 0 to 1000, got {workers!r}")
    age: object = options.get("transient_max_age")
    if age is not None and (not isinstance(age, int | float) or not age > 0):
        raise RegistrationError(f"{where}: transient_max_age must be seconds above 0, got {age!r}")
    _check_callable(function, where, 1)
    for name, arguments in (("is_failure", 1), ("on_success", 1), ("on_failure", 2), ("on_complete", 2)):
        given = options.get(name)
        if given is not None:
            _check_callable(given, f"{where}: {name}", arguments)
    if is_async_callable(options.get("is_failure")):
        raise RegistrationError(f"{where}: is_failure must be a plain function, not async def")
    return HandlerSpec(
        type_,
        function,  # type: ignore[arg-type]  # checked above
        is_async_callable(function),
        workers,
        options.get("is_failure"),
        age,
        options.get("on_success"),
        options.get("on_failure"),
        options.get("on_complete"),
    )


def check_middleware(middleware: object) -> None:
    """Raise `RegistrationError` unless this is an async callable of ``(job, call_next)``."""
    _check_callable(middleware, "middleware", 2)
    if not is_async_callable(middleware):
        raise RegistrationError(f"middleware {_name(middleware)} must be async def (job, call_next)")


def wrap(middleware: Sequence[Middleware], innermost: CallNext) -> CallNext:
    """Return the call that goes through all middleware, the first one outermost, to the innermost."""
    call = innermost
    for layer in reversed(middleware):
        call = _layer(layer, call)
    return call


def _layer(middleware: Middleware, call_next: CallNext) -> CallNext:
    async def call(job: Job) -> object:
        return await middleware(job, call_next)

    return call


def is_async_callable(function: object) -> bool:
    """Whether calling it gives a coroutine: ``async def``, a partial of one, or an async ``__call__``."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - the bound method itself is wanted
    )


def _check_callable(function: object, where: str, arguments: int) -> None:
    if not callable(function):
        raise RegistrationError(f"{where}: {function!r} cannot be called")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise RegistrationError(f"{where}: {_name(function)} holds a yield, so calling it would do nothing")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # a builtin without signature: it shows at the call
    try:
        signature.bind(*range(arguments))
    except TypeError:
        wanted = "(job)" if arguments == 1 else f"with {arguments} arguments"
        raise RegistrationError(f"{where}: {_name(function)}{signature} must be callable {wanted}") from None


def _name(function: object) -> str:
    return getattr(function, "__qualname__", None) or repr(function)


class Registry:
    """The handlers of one server, by job type."""

    def __init__(self) -> None:
        self._specs: dict[str, HandlerSpec] = {}

    def add(self, spec: HandlerSpec) -> None:
        """Register a handler. Raises `RegistrationError` if its type has one already."""
        known = self._specs.get(spec.type)
        if known is not None:
            raise RegistrationError(
                f"job type {spec.type!r} has a handler already: {_name(known.function)}; "
                f"cannot add {_name(spec.function)}"
            )
        self._specs[spec.type] = spec

    def get(self, type_: str) -> HandlerSpec | None:
        """Return the handler of a type."""
        return self._specs.get(type_)

    def __iter__(self) -> Iterator[HandlerSpec]:
        return iter(self._specs.values())

    def __len__(self) -> int:
        return len(self._specs)
