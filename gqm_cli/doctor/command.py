"""The command ``gqm doctor``: runs every check that can run, tells what it found, and repairs what it may."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from gqm_cli.diagnostics import CONFIG, CONNECTION, DONE, FAILED, WrongUse
from gqm_cli.doctor.checks import Check, Status, fail, report, skip, summary
from gqm_cli.options import ConfigFile, Json, RedisURL, Yes
from gqm_cli.output import note, printable, say, say_json
from gqm_cli.prompts import check_askable, confirm

if TYPE_CHECKING:
    from gqm.admin.ledger import Repaired
    from gqm.config import Config
    from gqm.store.read.ledger import Census
    from gqm_cli.operating import Operator


def doctor(
    config: ConfigFile = None,
    redis_url: RedisURL = None,
    api_url: Annotated[
        str | None,
        typer.Option(
            "--api-url",
            envvar="GQM_API_URL",
            show_envvar=False,
            metavar="URL",
            help="REST API to check (default: GQM_API_URL, else the one of the file).",
        ),
    ] = None,
    ledger: Annotated[
        bool,
        typer.Option("--ledger", help="Also look through all jobs for lost, doubled and stuck ones."),
    ] = False,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Repair what --ledger finds and has one right answer, after a question."),
    ] = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Find what is wrong with an installation: file, Redis, servers, API, terminal.

    Runs every check that can run and prints a line for each, with what to do about it. Ends with 1 if
    anything is wrong, with 3 if the configuration is, with 4 if Redis or the given API is out of reach.
    Nothing is changed without --fix.

    \f
    gqm doctor
    gqm doctor --ledger
    gqm doctor --fix --yes --json
    """
    if yes and not fix:
        raise WrongUse("--yes answers the question of --fix; without that there is none")
    if fix:
        check_askable(yes=yes)
    with ExitStack() as stack:
        visit = _Visit(stack, quiet=json)
        visit.examine(config, redis_url, api_url, ledger=ledger or fix)
        if not json:
            visit.tell()
        repaired = visit.repair(yes=yes) if fix else None
    if json:
        document: dict[str, object] = {"ok": visit.ok, "checks": [check.as_json() for check in visit.checks]}
        if repaired is not None:
            document["repaired"] = [item._asdict() for item in repaired]
        say_json(document)
    else:
        say(summary(visit.checks))
    if visit.exit_code:
        raise typer.Exit(visit.exit_code)


@dataclass(slots=True)
class _Visit:
    """One run: what was checked, and what it says about the exit code."""

    stack: ExitStack
    quiet: bool
    """Whether nothing but one document may be printed."""
    checks: list[Check] = field(default_factory=list)
    config_broken: bool = False
    unreachable: bool = False
    _acting: Operator | None = None
    _census: Census | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(check.status is Status.FAIL for check in self.checks)

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        if self.config_broken:
            return CONFIG
        if self.unreachable:
            return CONNECTION
        return DONE if self.ok else FAILED

    def examine(self, file: str | None, redis_url: str | None, api_url: str | None, *, ledger: bool) -> None:
        """Run all checks, the cheap and certain ones first."""
        from gqm_cli.doctor.embedded import check_embedded
        from gqm_cli.doctor.file import check_file
        from gqm_cli.doctor.terminal import check_terminal

        found = check_file(file, redis_url)
        self.checks += found.checks
        self.config_broken = found.config is None or bool(found.config.incomplete)
        # Before anything joins the private server, which would start it.
        embedded = [] if found.config is None else list(check_embedded(found.config))
        if found.config is None:
            self.checks += [
                skip("redis.reach", "it is not known where Redis is"),
                skip("engine.servers", "as Redis"),
            ]
        elif _not_there_yet(found.config):
            self.checks += [
                skip("redis.reach", "no private server has run yet"),
                skip("engine.servers", "as Redis"),
            ]
        else:
            self._on_redis(found.config, ledger)
        self._on_api(found.config, api_url)
        self.checks += check_terminal(os.environ, ask=not self.quiet)
        self.checks += embedded

    def tell(self) -> None:
        """Print a line for each check."""
        for line in report(self.checks):
            say(line)

    # -- Redis, the engine, the ledger

    def _on_redis(self, config: Config, ledger: bool) -> None:
        parts: list[tuple[str, Callable[[], None]]] = [
            ("redis.reach", lambda: self._redis(config)),
            ("engine.keys", self._engine),
        ]
        if ledger:
            parts.append(("ledger.keys", self._ledger))
        for check_id, part in parts:
            self._attempt(check_id, part)
            if self.unreachable:
                self.checks.append(skip("engine.servers", "Redis is out of reach"))
                return

    def _attempt(self, check_id: str, part: Callable[[], None]) -> None:
        """Make some checks. What keeps them from going on is a finding, too; those before it stay."""
        from gqm.errors import RedisSetupError, RedisUnavailable, StoreError

        try:
            part()
        except RedisUnavailable as exc:
            finding, _, advice = str(exc).partition("; ")
            self.checks.append(fail("redis.reach", finding, advice or "is it running?"))
            self.unreachable = True
        except (RedisSetupError, StoreError) as exc:
            finding, _, advice = str(exc).partition("; ")
            self.checks.append(fail(check_id, finding, advice))
            self.unreachable = check_id == "redis.reach" and isinstance(exc, RedisSetupError)

    def _redis(self, config: Config) -> None:
        from gqm_cli.doctor.redis import check_redis
        from gqm_cli.operating import operator

        self._acting = self.stack.enter_context(operator(config))
        self._add(check_redis(config, self._acting.store))

    def _engine(self) -> None:
        from gqm_cli.doctor.engine import check_engine

        if self._acting is not None:
            self._add(check_engine(self._acting.store, _slack_s(self._acting.config)))

    def _ledger(self) -> None:
        if self._acting is not None:
            self._census = self._look(self._acting)
            self._add_ledger(self._census)

    def _look(self, acting: Operator) -> Census:
        from gqm.admin.ledger import examine

        return examine(acting.store, slack_s=_slack_s(acting.config))

    def _add_ledger(self, census: Census) -> None:
        from gqm_cli.doctor.ledger import check_ledger

        self._add(check_ledger(census))

    def _add(self, checks: Iterable[Check]) -> None:
        """Keep each check as it comes: those before an error stay."""
        for check in checks:
            self.checks.append(check)

    # -- API

    def _on_api(self, config: Config | None, api_url: str | None) -> None:
        from gqm_cli.doctor.api import Unreachable, check_api
        from gqm_cli.doctor.api import api_url as url_of

        try:
            self._add(check_api(config, api_url))
        except Unreachable as exc:
            text = f"nobody answers at {url_of(config, api_url)}: {exc}"
            self.checks.append(fail("api.reach", text, "is the server running?"))
            self.unreachable = True

    # -- repairs

    def repair(self, *, yes: bool) -> list[Repaired]:
        """Repair what has one right answer, after a yes, and look again. Raises `CommandFailed` on no."""
        from gqm.admin.ledger import repair
        from gqm_cli.doctor.ledger import repairable, told

        if self._acting is None or self._census is None:
            return []
        work = repairable(self._census)
        if not work:
            if not self.quiet:
                note("nothing to repair")
            return []
        for finding, action in work:
            note(printable(f"would repair {finding}: {action}"))
        sys.stdout.flush()
        confirm("Repair this", yes=yes)
        acting = self._acting
        slack_s, failure_ttl = _slack_s(acting.config), int(acting.config.app.failure_ttl_s)
        done = repair(acting.store, acting.admin.log, self._census, slack_s=slack_s, failure_ttl=failure_ttl)
        self.checks = [check for check in self.checks if check.group != "ledger"]
        before = len(self.checks)
        self._add_ledger(self._look(acting))
        if not self.quiet:
            for item in done:
                say(printable(told(item)))
            for line in report(self.checks[before:]):
                say(line)
        return done


def _not_there_yet(config: Config) -> bool:
    return bool(config.redis.embedded_folder) and not os.path.isdir(config.redis.embedded_folder)


def _slack_s(config: Config) -> float:
    """Return how far past its deadline a claim that no lease answers for is overdue, as servers judge it."""
    from gqm.engine.sweeps import SLACK_S

    graces = [config.app.grace_period_s, *(pool.grace_period_s for pool in config.pools)]
    return max(*graces, 10.0) + SLACK_S
