"""The WSGI callable: one pipeline for every request, in one order, whatever the route."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from gqm.errors import GQMError, StoreError
from gqm.monitor.answers import (
    Answer,
    Data,
    Plain,
    Stream,
    compressed,
    enveloped,
    header_fields,
    refused,
    status_line,
)
from gqm.monitor.audit import Audit
from gqm.monitor.guards import RateLimit, check_csrf, check_host, check_origin, find_client
from gqm.monitor.problems import Problem, problem_of
from gqm.monitor.request import Environ, Request, read_body, read_request
from gqm.monitor.router import read_parameters

if TYPE_CHECKING:
    from gqm.monitor.context import Context
    from gqm.monitor.table import Row

log = logging.getLogger("gqm.api")

StartResponse: TypeAlias = Callable[..., Any]


class App:
    """A WSGI application over one key space."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._audit = Audit(context.backend)
        self._rate = RateLimit(context.settings.rate_limit)
        context.metrics.rate_limited = lambda: self._rate.refused

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; nothing is raised."""
        begun = time.perf_counter()
        request = read_request(environ)
        problem: Problem | None = None
        answer: Plain | Stream
        try:
            answer = self._finished(request, self._handle(request))
        except Exception as exc:  # noqa: BLE001 - whatever it is, the client gets an answer
            problem = self._problem(request, exc)
            answer = refused(problem)
        self._audit.record(request, problem)
        if isinstance(answer, Plain):
            answer = _with_own_tag(compressed(request, answer))
        status = answer.status if isinstance(answer, Plain) else 200
        self._count(request, status, time.perf_counter() - begun)
        start_response(status_line(status), header_fields(request, answer))
        if request.method == "HEAD":
            return []
        return answer.pieces if isinstance(answer, Stream) else [answer.body]

    def end_streams(self) -> None:
        """Let event streams say good-bye."""
        self.context.hub.close()

    def close(self) -> None:
        """End event streams, and give the connections to Redis back."""
        self.end_streams()
        self._audit.flush()
        self.context.backend.close()

    def _handle(self, request: Request) -> Answer:
        context = self.context
        request.body = read_body(request)
        find_client(request, context.settings.trusted)
        self._rate.check(request)
        if context.settings.anonymous:
            check_host(request)
        row = context.router.find(request)
        self._authorize(request, row)
        if not request.reads_only:
            self._check_origin(request, row)
        read_parameters(request, row)
        return row.handler(context, request)

    def _authorize(self, request: Request, row: Row) -> None:
        if row.access == "none":
            return
        if row.session_only and not self.context.settings.sign_in:
            raise Problem("AUTH_DISABLED", "there is no sign-in here: auth.enabled is false")
        caller = request.caller = self.context.auth.find(request)
        if row.access == "admin" and caller.role != "admin":
            raise Problem("FORBIDDEN", f"this takes the role admin; {caller.name} is {caller.role}")
        if row.session_only and caller.source != "session":
            raise Problem("BAD_REQUEST", "this is about sessions; API keys have none")

    def _check_origin(self, request: Request, row: Row) -> None:
        caller = request.caller
        if caller is not None and caller.source == "key":
            return
        check_origin(request)
        if row.access != "none":
            check_csrf(request)

    def _finished(self, request: Request, answer: Answer) -> Plain | Stream:
        if isinstance(answer, Data):
            now = self.context.backend.now() if answer.server_time is None else answer.server_time
            return enveloped(answer, now)
        return answer

    def _problem(self, request: Request, exc: Exception) -> Problem:
        problem = problem_of(exc)
        if isinstance(exc, StoreError):
            log.warning("request %s: %s", request.id, exc, extra={"request_id": request.id})
            if request.caller is None:
                problem = None  # what the key space holds is nobody's business before a sign-in
        if problem is None:
            log.error("request %s failed", request.id, exc_info=exc, extra={"request_id": request.id})
            return Problem("INTERNAL", f"internal error (ref {request.id})")
        if problem.status == 503 and isinstance(exc, GQMError):
            log.warning("request %s: %s", request.id, exc, extra={"request_id": request.id})
        return problem

    def _count(self, request: Request, status: int, seconds: float) -> None:
        route = request.row.path if request.row is not None else "unknown"
        method = request.method if request.method in _METHODS else "other"
        self.context.metrics.count(method, route, status, seconds)
        log.debug(
            "%s %s %d %.1f ms %s %s",
            method,
            route,
            status,
            seconds * 1000,
            request.address,
            request.caller.name if request.caller else "-",
            extra={"event": "request", "request_id": request.id},
        )


_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"})


def _with_own_tag(answer: Plain) -> Plain:
    """A compressed body is another one, so a strong tag must differ."""
    if ("Content-Encoding", "gzip") not in answer.headers:
        return answer
    headers = tuple(
        (name, f'{value[:-1]}-gz"') if name == "ETag" else (name, value) for name, value in answer.headers
    )
    return replace(answer, headers=headers)
