"""Spans around handlers, in the trace of the producer; skipped where OpenTelemetry is not installed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import gqm
from gqm.testing import inline

pytest.importorskip("opentelemetry.sdk.trace", reason="the extra otel and its SDK are not installed")

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.engine import poison
from tests.engine.running import running
from tests.support.wait import eventually


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider
    provider.shutdown()


def make(provider: TracerProvider, **handlers: Any) -> gqm.Server:
    server = gqm.Server("localhost:1")
    server.use(gqm.otel.middleware(provider))
    for name, function in handlers.items():
        server.handle(name, function)
    return server


def only(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    (span,) = [span for span in exporter.get_finished_spans() if span.name == name]
    return span


def test_a_handler_runs_in_a_span_of_the_producer_s_trace(
    exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    tracer = provider.get_tracer("test")
    inner: list[int] = []

    def mail(job: gqm.Job) -> None:
        inner.append(trace.get_current_span().get_span_context().span_id)

    with inline(make(provider, mail=mail)) as queue:
        with tracer.start_as_current_span("web request"):
            made = queue.client.enqueue("mail", queue="default", meta=gqm.otel.meta({"user": 5}))
        queue.run_all()
        job = queue.get(made.id)
        assert job is not None
        assert job.meta["user"] == 5
    outer, span = only(exporter, "web request"), only(exporter, "process mail")
    assert span.kind is SpanKind.CONSUMER
    assert span.context.trace_id == outer.context.trace_id
    assert span.parent is not None
    assert span.parent.span_id == outer.context.span_id
    assert inner == [span.context.span_id]
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes is not None
    assert {
        name: span.attributes[name] for name in span.attributes if not name.startswith("messaging.op")
    } == {
        "messaging.system": "gqm",
        "messaging.destination.name": "default",
        "messaging.message.id": made.id,
        "gqm.job.type": "mail",
        "gqm.job.attempt": 1,
        "gqm.job.retry_count": 0,
    }


def test_errors_are_recorded_and_retries_are_not_errors(
    exporter: InMemorySpanExporter, provider: TracerProvider
) -> None:
    async def bad(job: gqm.Job) -> None:
        raise ValueError("oops")

    def again(job: gqm.Job) -> None:
        raise gqm.Retry(5, reason="not yet")

    with inline(make(provider, bad=bad, again=again)) as queue:
        queue.client.enqueue("bad", max_retry=0)
        queue.client.enqueue("again")
        states = [str(job.status) for job in queue.run_all()]
    assert states == ["dead_letter", "retry"]  # the middleware lets everything pass
    failed, retried = only(exporter, "process bad"), only(exporter, "process again")
    assert (failed.status.status_code, failed.status.description) == (StatusCode.ERROR, "ValueError: oops")
    assert [event.name for event in failed.events] == ["exception"]
    assert retried.status.status_code is StatusCode.UNSET
    assert [(event.name, dict(event.attributes or {})) for event in retried.events] == [
        ("retry", {"reason": "not yet", "counted": True})
    ]


@pytest.mark.parametrize("stored", [{}, {"traceparent": "nonsense"}, {"traceparent": 5}])
def test_without_a_trace_the_span_begins_its_own(
    exporter: InMemorySpanExporter, provider: TracerProvider, stored: dict[str, object]
) -> None:
    assert gqm.otel.meta() == {}  # there is none to hand on
    assert gqm.otel.meta({"a": 1}) == {"a": 1}
    with inline(make(provider, t=lambda job: None)) as queue:
        queue.client.enqueue("t", meta=stored)
        queue.run_all()
    assert only(exporter, "process t").parent is None


def test_broken_meta_stops_no_job() -> None:
    job = gqm.Job({b"id": b"a", b"type": b"t", b"meta": b"[1"})
    assert trace.get_current_span(gqm.otel.context(job)).get_span_context().is_valid is False


def test_a_job_gives_its_trace_to_spans_of_one_s_own(provider: TracerProvider) -> None:
    with provider.get_tracer("test").start_as_current_span("outer") as outer, inline() as queue:
        made = queue.client.enqueue("t", meta=gqm.otel.meta())
        job = queue.get(made.id)
    assert job is not None
    found = trace.get_current_span(gqm.otel.context(job)).get_span_context()
    assert (found.trace_id, found.is_remote) == (outer.get_span_context().trace_id, True)


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_on_a_real_server(
    exporter: InMemorySpanExporter,
    provider: TracerProvider,
    redis_socket: str,
    prefix: str,
    isolation: Any,
) -> None:
    server = gqm.Server(f"unix:{redis_socket}", prefix=prefix)
    server.use(gqm.otel.middleware(provider))
    server.handle("echo", poison.echo)
    server.handle("raises", poison.raises)
    server.pool("p", ["*"], concurrency=1, isolation=isolation)
    tracer = provider.get_tracer("test")
    with running(server), gqm.Client(f"unix:{redis_socket}", prefix=prefix) as client:
        with tracer.start_as_current_span("producer") as producer:
            made = client.enqueue("echo", {"value": 7}, meta=gqm.otel.meta())
            client.enqueue("raises", {"what": "plain"}, max_retry=0, meta=gqm.otel.meta())
        assert client.wait(made.id, 10) == 7
        eventually(lambda: len(exporter.get_finished_spans()) == 3)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert {span.context.trace_id for span in spans.values()} == {producer.get_span_context().trace_id}
    assert spans["process raises"].status.description == "Plain: oops"


def test_the_module_alone_imports_nothing_and_says_what_is_missing() -> None:
    program = (
        "import sys, gqm\n"
        "gqm.otel\n"
        "assert not any(name.startswith('opentelemetry') for name in sys.modules)\n"
        "sys.modules['opentelemetry'] = None\n"
        "for call in (gqm.otel.middleware, gqm.otel.meta):\n"
        "    try: call()\n"
        "    except ImportError as exc: print(exc)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == ['gqm.otel needs OpenTelemetry: pip install "gqm[otel]"'] * 2
