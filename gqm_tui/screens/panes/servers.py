"""Tab 6: every server process, its version, whether it schedules, and the Redis they all share."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text

from gqm_tui.core import fmt
from gqm_tui.core.client import path
from gqm_tui.core.model import RedisInfo, Runtime, Server
from gqm_tui.core.poll import PartSpec
from gqm_tui.core.signs import Signs
from gqm_tui.core.table import CellText, Column, Row, Sort, Tone
from gqm_tui.core.text import fit, fit_middle
from gqm_tui.screens.panes.base import rule
from gqm_tui.screens.panes.table_pane import TablePane
from gqm_tui.screens.panes.workers import beat_rank, listed

COLUMNS = (
    Column("server", "SERVER", 22, 20, "server", star=True),
    Column("state", "STATE", 10, 8, "state"),
    Column("version", "VERSION", 9, 9, "version"),
    Column("runtime", "RUNTIME", 13, 0, "runtime"),
    Column("role", "ROLE", 10, 10, "role"),
    Column("pools", "POOLS", 11, 0, "pools"),
    Column("types", "TYPES", 5, 0, "types", right=True),
    Column("slots", "SLOTS", 6, 6, "slots", right=True),
    Column("up", "UP", 7, 6, "up", right=True),
    Column("beat", "BEAT", 5, 5, "beat", right=True),
)
_WIDTHS = {column.key: (column.wide, column.narrow) for column in COLUMNS}
_BAR = 8
_FULL_FROM = 0.85
_SKEW_MS = 5_000


def common_version(servers: Sequence[Server]) -> str:
    """The version that most servers have; the others are marked."""
    counted = Counter(server.version for server in servers)
    return max(counted, key=lambda version: (counted[version], version), default="")


def row(server: Server, common: str, now: float | None, signs: Signs, *, narrow: bool) -> Row:
    """Make the row of a server; `now` is the server's clock."""
    widths = {key: both[narrow] for key, both in _WIDTHS.items()}
    beat = None if now is None else now - server.last_heartbeat
    up = None if now is None else now - server.started_at
    odd = server.version != common
    version = fit(server.version, widths["version"] - 2)
    return Row(
        server.id,
        {
            "server": CellText(fit_middle(server.id, 80)),
            "state": signs.other(server.status),
            "version": CellText(f"{version} !" if odd else version, Tone.WARN if odd else Tone.PLAIN),
            "runtime": CellText(fit(server.runtime, widths["runtime"] or 13)),
            "role": CellText("scheduler") if server.scheduler else CellText(fmt.ZERO, Tone.DIM),
            "pools": CellText(listed(server.pools, widths["pools"] or 11)),
            "types": CellText(fmt.count(len(server.types))),
            "slots": CellText(f"{server.busy}/{server.concurrency_total}"),
            "up": CellText(fmt.age(up)),
            "beat": CellText(fmt.age(beat), Tone.BAD if server.status == "stale" else Tone.PLAIN),
        },
        {
            "server": server.id,
            "state": server.status,
            "version": server.version,
            "runtime": server.runtime,
            "role": "scheduler" if server.scheduler else "",
            "pools": ", ".join(server.pools),
            "types": len(server.types),
            "slots": server.busy,
            "up": up,
            "beat": beat_rank(beat),
        },
    )


def skew_text(ms: float) -> str:
    """How far the server's clock is from the one here; loud from five seconds on."""
    text = f"{round(ms):+} ms" if abs(ms) < 1_000 else f"{ms / 1_000:+.1f} s"
    return f"{text} !" if abs(ms) > _SKEW_MS else text


class ServersPane(TablePane):
    """All servers by name."""

    name_of_view = "servers"
    awaited = "servers"
    default_sort: ClassVar[Sort] = Sort("server", False)

    @property
    def crumb(self) -> str:
        """The tab's name."""
        return "Servers"

    def columns(self) -> Sequence[Column]:
        """The columns of the table."""
        return COLUMNS

    def specs(self) -> Sequence[PartSpec]:
        """All servers, and the process that answers with its Redis."""
        return [
            PartSpec("servers", path("servers"), {}, list[Server]),
            PartSpec("runtime", path("stats", "runtime"), {}, Runtime, every=5.0),
        ]

    @property
    def servers(self) -> Sequence[Server]:
        """What the API told last."""
        return self.view.value("servers", list[Server]) or []

    def build(self) -> Sequence[Row]:
        """One row a server."""
        servers, now, signs, narrow = self.servers, self.server_now, self.gqm.signs, self.narrow
        common = common_version(servers)
        return [row(server, common, now, signs, narrow=narrow) for server in servers]

    def summary(self, total: int, shown: int) -> str:
        """How many are alive, whether their versions differ, and how far the clocks are apart."""
        live = sum(1 for server in self.servers if server.status != "stale")
        versions = len({server.version for server in self.servers})
        parts = [f"{shown} of {total} match"] if self.filter_text else []
        parts.append(f"{live} of {total} alive")
        if versions > 1:
            parts.append(f"{versions} versions !")
        if not self.narrow and self.view.skew_ms is not None:
            parts.append(f"clock skew {skew_text(self.view.skew_ms)}")
        return " · ".join(parts)

    def empty_text(self) -> tuple[str, str]:
        """What is missing."""
        return "No servers.", 'No job runs until one is started: "gqm run".'

    def footer(self) -> tuple[str, tuple[str, ...] | None, dict[str, str]]:
        """Name what enter opens."""
        return "", None, {"table.open": "Workers"}

    def strip(self, row: Row | None) -> Text | None:
        """How the shared Redis is doing."""
        runtime = self.view.value("runtime", Runtime)
        if runtime is None:
            return None
        redis, dim = runtime.redis, self.tone(Tone.DIM)
        line = Text()
        line.append(f"redis {fit(redis.version, 12)}", "bold")
        line.append(" · " if self.narrow else " ── ", dim)
        self._memory(line, redis)
        line.append(f" · {fmt.rate(redis.ops_per_sec)} ops/s")
        if not self.narrow:
            evicted = self.tone(Tone.BAD if redis.evicted_keys else Tone.DIM)
            line.append(f" · {redis.connected_clients:,} clients · evicted ")
            line.append(fmt.count(redis.evicted_keys), evicted)
            line.append(" · aof on" if redis.aof_enabled else " · aof off")
        line.append(f" · {redis.latency_ms} ms")
        return rule(line, self.size.width - 2, dim)

    def _memory(self, line: Text, redis: RedisInfo) -> None:
        used, most = redis.used_memory_bytes, redis.maxmemory_bytes
        full = bool(most) and used / most > _FULL_FROM
        of = f" of {fmt.size(most)}" if most else ""
        line.append(f"{fmt.size(used)}{of}", self.tone(Tone.BAD if full else Tone.PLAIN))
        if most and not self.narrow:
            bar = self.gqm.signs.bar(used / most, _BAR)
            line.append(f" {bar}", self.tone(Tone.BAD if full else Tone.ACTIVE))

    def open(self, row: Row) -> None:
        """Show the workers of the server."""
        self.gqm.doors.workers_of(row.key)
