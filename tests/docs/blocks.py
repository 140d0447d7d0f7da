"""Reading the code blocks of a page, and running its Python against a server of the tests.

A page is one session: names and files that one block makes are there for those below it. Blocks that readers
do not see stand in comments (``<!-- python``, ``<!-- yaml``); they hold what a block needs, and the checks of
what it says. A block that begins with a comment which is just a file's name is that file as well.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import redis

import gqm
from gqm.config import RedisConfig, default_config
from gqm.engine.core import Summary
from gqm.store.connect import Link, open_link
from tests.support.wait import eventually

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DEADLINE_S = 60.0
"""How long the jobs of one block may take on a busy machine."""
SOON_S = 0.2
"""Jobs due later than that are left waiting: retries, and jobs of earlier blocks without a handler."""

_BLOCK = re.compile(
    r"^(?:(?P<marks>(?:<!-- run -->\n)?)```(?P<language>\w*)\n(?P<shown>.*?)^```$"
    r"|<!-- (?P<hidden>python|yaml)\n(?P<unseen>.*?)^-->$)",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"# ([\w./-]+\.(?:py|yaml))$")


@dataclass(frozen=True)
class Block:
    """A block of code: its language, text, first line in the page, and whether a shell is to run it."""

    language: str
    text: str
    line: int
    marked: bool

    @property
    def file(self) -> str:
        """Name of the file that the block is, empty if it is none."""
        found = _FILE.match(self.text.partition("\n")[0])
        return found[1] if found else ""


def blocks(text: str) -> Iterator[Block]:
    """Yield all blocks of a page in their order."""
    for found in _BLOCK.finditer(text):
        language = found["language"] or found["hidden"] or ""
        name = "shown" if found["shown"] is not None else "unseen"
        line = text.count("\n", 0, found.start(name)) + 1
        yield Block(language, found[name], line, bool(found["marks"]))


class Player:
    """Runs the Python blocks of one page, all with one namespace and one key space."""

    def __init__(self, socket: str, prefix: str, page: str) -> None:
        self._redis = redis.Redis(unix_socket_path=socket)
        self._config = default_config({"redis.addr": f"unix:{socket}", "redis.prefix": prefix}).redis
        self._prefix = prefix
        self._page = page
        self.names: dict[str, object] = {"__name__": "__page__"}

    def redirect(self, patch: pytest.MonkeyPatch) -> None:
        """Let clients and servers reach the server of the tests, and `Server.run` end with the last job."""

        def here(config: RedisConfig, *, client: object = None, pool_size: int = 64) -> Link:
            return open_link(self._config, pool_size=pool_size)

        patch.setattr("gqm.client.open_link", here)
        patch.setattr("gqm.server.open_link", here)
        patch.setattr(gqm.Server, "run", lambda server: asyncio.run(self._run(server)))

    def play(self, block: Block) -> None:
        """Run a block. Whatever it raises is raised with the page's line."""
        code = compile("\n" * (block.line - 1) + block.text, self._page, "exec", dont_inherit=True)
        exec(code, self.names)

    def close(self) -> None:
        """Close what the blocks left open."""
        for value in self.names.values():
            if isinstance(value, gqm.Client):
                value.close()
        self._redis.close()

    async def _run(self, server: gqm.Server) -> Summary:
        await server.start(serve_api=False)
        try:
            assert server.engine is not None
            read = [record["queues"] for _, record in server.engine.pool_records()]
            queues = sorted({name for names in read for name in str(names).split(",")})
            idle = partial(self._idle, queues)
            await asyncio.to_thread(eventually, idle, timeout=DEADLINE_S, message="all jobs ended")
        finally:
            summary = await server.stop()
        return summary

    def _idle(self, queues: list[str]) -> bool:
        seconds, micros = self._redis.time()
        with self._redis.pipeline(transaction=True) as at_once:  # a job changes its place between two looks
            at_once.zcount(f"{self._prefix}scheduled", "-inf", seconds + micros / 1e6 + SOON_S)
            for queue in queues:
                at_once.llen(f"{self._prefix}queue:{queue}:ready")
                at_once.zcard(f"{self._prefix}queue:{queue}:processing")
            return not any(at_once.execute())


def each(language: str, use: Callable[[Path, Block], None]) -> None:
    """Call ``use`` with every block of a language on all pages."""
    for page in PAGES:
        for block in blocks(page.read_text("utf-8")):
            if block.language == language:
                use(page, block)
