"""OpenTelemetry: a span around every handler, in the trace of whoever enqueued the job.

Needs the extra ``otel`` (``pip install "gqm[otel]"``); nothing of it is imported before a function here is
called. The server wraps its handlers, the producer hands its trace on in the job's ``meta``::

    server.use(gqm.otel.middleware())

    client.enqueue("email.send", payload, meta=gqm.otel.meta())

Both ends are independent: without the one the span begins a trace of its own, without the other ``meta`` just
holds the W3C Trace Context fields ``traceparent`` and, if there is one, ``tracestate``.

Pools with isolation "process" run their handlers in other processes. The span is around them all the same,
but what a handler does there is not its child by itself; `context` gives it the trace that the job came with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gqm.errors import Retry

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, TracerProvider
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    from gqm.engine.handlers import CallNext, Middleware
    from gqm.job import Job

__all__ = ["context", "meta", "middleware"]

_FIELDS = ("traceparent", "tracestate")


def middleware(tracer_provider: TracerProvider | None = None) -> Middleware:
    """Return a middleware that runs every handler in a span of the kind consumer, named ``process {type}``.

    An error that the handler raises is recorded and makes the span one that failed; `Retry` is only an event.
    ``tracer_provider`` is the global one by default. Raises ``ImportError`` without OpenTelemetry.
    """
    propagator = _propagator()
    from opentelemetry import trace

    import gqm

    tracer = trace.get_tracer("gqm", gqm.__version__, tracer_provider)

    async def traced(job: Job, call_next: CallNext) -> object:
        with tracer.start_as_current_span(
            f"process {job.type}",
            context=propagator.extract(_carried(job)),
            kind=trace.SpanKind.CONSUMER,
            attributes=_attributes(job),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                return await call_next(job)
            except BaseException as exc:
                _note(span, exc)
                raise

    return traced


def meta(fields: Mapping[str, object] | None = None) -> dict[str, object]:
    """Return ``meta`` for an enqueue call: the given fields, and the trace that the caller is in.

    Outside of any trace nothing is added. Raises ``ImportError`` without OpenTelemetry.
    """
    carrier: dict[str, str] = {}
    _propagator().inject(carrier)
    return {**(fields or {}), **carrier}


def context(job: Job) -> Context:
    """Return the trace that a job was enqueued in, for spans of one's own (``tracer.start_span(context=…)``).

    Raises ``ImportError`` without OpenTelemetry.
    """
    return _propagator().extract(_carried(job))


def _propagator() -> TraceContextTextMapPropagator:
    try:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
    except ImportError as exc:
        raise ImportError('gqm.otel needs OpenTelemetry: pip install "gqm[otel]"') from exc
    return TraceContextTextMapPropagator()


def _carried(job: Job) -> dict[str, str]:
    try:
        found = job.meta
    except ValueError:  # whatever stands there is no reason not to run the job
        return {}
    return {name: value for name in _FIELDS if isinstance(value := found.get(name), str)}


def _attributes(job: Job) -> dict[str, str | int]:
    """Return the attributes of the span, by the names of the semantic conventions for messaging."""
    return {
        "messaging.system": "gqm",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": job.queue,
        "messaging.message.id": job.id,
        "gqm.job.type": job.type,
        "gqm.job.attempt": job.attempt,
        "gqm.job.retry_count": job.retry_count,
    }


def _note(span: Span, exc: BaseException) -> None:
    from opentelemetry.trace import Status, StatusCode

    if isinstance(exc, Retry):
        span.add_event("retry", {"reason": str(exc), "counted": exc.count})
        return
    span.record_exception(exc)
    span.set_status(Status(StatusCode.ERROR, f"{type(exc).__name__}: {exc}"))
