"""A pretended HTTP server on the test's own loop, for answers that are hard to get from a real one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["CUT", "SILENCE", "Pretended", "answer", "pretended"]

CUT = b"<cut>"
"""In place of an answer: close the connection."""
SILENCE = b"<silence>"
"""In place of an answer: never say anything."""


def answer(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    """Return an answer as it goes over the wire."""
    fields = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    if body and not any(one.lower().startswith("content-type") for one in headers):
        fields.append("Content-Type: application/json")
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + body


@dataclass
class Pretended:
    """Answers requests in turn, the last answer again and again."""

    answers: list[bytes]
    port: int = 0
    heads: list[str] = field(default_factory=list)
    """Request lines with their fields."""
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.open.add(task)
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._one(reader, writer):
                pass
        self.open.discard(task)
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            (line[15:] for line in head.splitlines() if line.lower().startswith("content-length:")), "0"
        )
        self.bodies.append(await reader.readexactly(int(length)))
        self.heads.append(head)
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if said.endswith(SILENCE):
            writer.write(said.removesuffix(SILENCE))
            await reader.read()  # until the client is gone
            return False
        writer.write(said.removesuffix(CUT))
        await writer.drain()
        return not said.endswith(CUT)

    def field(self, name: str, of: int = -1) -> str | None:
        """Return a field of a request."""
        for line in self.heads[of].splitlines()[1:]:
            found, _, value = line.partition(":")
            if found.lower() == name.lower():
                return value.strip()
        return None


@asynccontextmanager
async def pretended(*answers: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[Pretended]:
    """Serve answers on 127.0.0.1."""
    found = Pretended(list(answers))
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in list(found.open):
            task.cancel()
        await asyncio.gather(*found.open, return_exceptions=True)
