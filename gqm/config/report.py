"""What ``gqm check`` prints about a configuration, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gqm.config.model import Config
from gqm.config.problems import Level, Problem, in_order
from gqm.errors import ConfigError

__all__ = ["CheckReport", "Counts", "check_report"]

_MOST = 100  # problems that are listed; the rest is only counted


@dataclass(frozen=True, slots=True)
class Counts:
    """How many problems there are of each level, and the problems themselves."""

    errors: int = 0
    incomplete: int = 0
    warnings: int = 0
    problems: tuple[Problem, ...] = ()

    def __str__(self) -> str:
        return ", ".join(
            (
                _counted(self.errors, "error"),
                f"{self.incomplete} incomplete",
                _counted(self.warnings, "warning"),
            )
        )

    @property
    def ok(self) -> bool:
        """Whether a server may start: no errors, and no secret is missing."""
        return not self.errors and not self.incomplete

    def as_json(self) -> dict[str, object]:
        """Return the document of ``gqm check --json``."""
        return {
            "ok": self.ok,
            "errors": self.errors,
            "incomplete": self.incomplete,
            "warnings": self.warnings,
            "problems": [problem.as_json() for problem in self.problems[:_MOST]],
        }


class CheckReport(NamedTuple):
    """The lines to print, the last of them with the counts; and the same for programs."""

    lines: tuple[str, ...]
    counts: Counts


def check_report(found: Config | ConfigError) -> CheckReport:
    """Report on a configuration, or on the error that loading it raised.

    Problems stand in file order, at most 100 of them. A clean configuration is summed up in a line instead.
    """
    if isinstance(found, Config):
        problems = in_order((*found.incomplete, *found.warnings))
    else:
        problems = tuple(item for item in found.problems if isinstance(item, Problem))
    levels = [problem.level for problem in problems]
    errors, incomplete, warnings = (levels.count(level) for level in Level)
    counts = Counts(errors, incomplete, warnings, problems)
    lines = [str(problem) for problem in problems[:_MOST]]
    if isinstance(found, Config) and not problems:
        lines = [_summary(found)]
    return CheckReport((*lines, str(counts)), counts)


def _summary(config: Config) -> str:
    parts = [
        _counted(len(config.pools), "pool"),
        _counted(len(config.queues), "queue"),
        _counted(len(config.scheduler.cron_entries), "cron entry", "cron entries"),
        f"API {config.monitoring.api.addr}" if config.monitoring.api.enabled else "API off",
    ]
    return f"{config.file or 'code'}: {', '.join(parts)}"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
