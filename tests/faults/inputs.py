"""Bad inputs: texts, numbers and JSON that something might trip over; a seed makes the same ones again."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.support.tui_hostile import TEXTS

__all__ = ["MADE", "Maker", "deep"]

MIB = 1_048_576

NAMES: tuple[str, ...] = (
    *(
        "",
        " ",
        ".",
        "..",
        "/",
        "../../etc/passwd",
        "a/b",
        "a\\b",
        "a:b",
        ":",
        "::",
        "gqm:job:x",
        "*",
        "?",
        "[a-z]",
    ),
    *(
        "{a}",
        "{",
        "}",
        "%00",
        "%2e%2e%2f",
        "a%",
        "a\x00b",
        "\x00",
        "a\nb",
        "a\r\nX-Evil: 1",
        "\ud800",
        "a\udfffb",
    ),
    *(
        "\u202eabc",
        "\u2066x\u2069",
        "ü",
        "ａ",
        "١٢٣",
        "x" * 128,
        "x" * 129,
        "x" * 256,
        "x" * 257,
        "x" * 70_000,
    ),
    *(
        "null",
        "None",
        "true",
        "0",
        "-1",
        "1e309",
        "NaN",
        "__proto__",
        "constructor",
        "$where",
        "' OR 1=1 --",
        '"',
    ),
    *(
        "<script>alert(1)</script>",
        "${HOME}",
        "$(id)",
        "`id`",
        "{{7*7}}",
        "%s%n",
        "!!python/object:x",
        "&a *a",
    ),
    *(
        "deps",
        "pending_deps",
        "children",
        "attempts",
        "job",
        "events",
        "control",
        "export",
        "batch",
        "config.json",
    ),
)
NUMBERS: tuple[Any, ...] = (
    *(
        0,
        -0.0,
        -1,
        1,
        255,
        256,
        65_536,
        2**31 - 1,
        2**31,
        2**53 - 1,
        2**53,
        2**53 + 1,
        2**63 - 1,
        2**63,
        2**64,
    ),
    *(-(2**63), -(2**63) - 1, 10**30, 10**400, 0.5, 1e-320, 1e308, -1e308, True, False),
    *(float("nan"), float("inf"), float("-inf")),
)
CRON: tuple[str, ...] = (
    *(
        "",
        "*",
        "* * * *",
        "* * * * *",
        "* * * * * *",
        "* * * * * * *",
        "60 * * * * *",
        "* 60 * * * *",
        "@reboot",
    ),
    *(
        "@daily",
        "@",
        "0 0 30 2 *",
        "0 0 31 2,4,6 *",
        "*/0 * * * *",
        "5-1/0 * * * *",
        "1-2-3 * * * *",
        "R * * * *",
    ),
    *(
        "H * * * *",
        "L * * * *",
        "0 0 L * *",
        "0 0 99W * *",
        "0 0 * * 8",
        "0 0 * * mon#6",
        "0 0 * * L9",
        "-1 * * * *",
    ),
    *(
        "1,,2 * * * *",
        ", * * * *",
        "* * * foo *",
        "٣ * * * *",
        "*\x00 * * * *",
        "* * * * *\n* * * * *",
        "1 " * 5000,
    ),
    *(
        "0 0 1-31/999999999999 * *",
        "9" * 400 + " * * * *",
        "\u202e* * * * *",
        "* * * * mon-",
        "* * ? * ?",
        "*/1e3 * * * *",
    ),
)
MADE: tuple[Any, ...] = (*NAMES, *TEXTS, *CRON, *NUMBERS)
"""Made by hand; each goes through every door."""

_DAY = datetime(2026, 11, 24, tzinfo=UTC)


def deep(levels: int, leaf: str = "1", *, mapping: bool = False) -> str:
    """JSON that is so many levels deep."""
    opening, closing = ('{"a":', "}") if mapping else ("[", "]")
    return opening * levels + leaf + closing * levels


class Maker:
    """Makes things out of a seed: the same ones for the same words."""

    def __init__(self, *words: object) -> None:
        self.random = random.Random(" ".join(str(word) for word in words))

    def name(self) -> str:
        """An id, a queue, a type: mostly a wrong one."""
        pick = self.random.random()
        if pick < 0.3:
            return self.random.choice(NAMES)
        if pick < 0.45:
            return self.random.choice(TEXTS)
        if pick < 0.6:
            return "".join(self.random.choices("ab.-_:", k=self.random.randint(1, 12)))
        return self.characters()

    def characters(self, most: int = 24) -> str:
        """Some characters from anywhere, lone surrogates included."""
        ranges = (
            (0, 0x20),
            (0x20, 0x7F),
            (0x7F, 0x100),
            (0x2000, 0x2070),
            (0xD800, 0xE000),
            (0x1F300, 0x1F600),
        )
        count = self.random.randint(0, most)
        return "".join(chr(self.random.randrange(*self.random.choice(ranges))) for _ in range(count))

    def text(self) -> str:
        """Any text."""
        return self.random.choice((self.name, self.characters, self.cron))()

    def cron(self) -> str:
        """A cron expression, or what might be one."""
        if self.random.random() < 0.4:
            return self.random.choice(CRON)
        parts = (
            "*",
            "*/5",
            "0",
            "59",
            "60",
            "1-5",
            "5-1",
            "L",
            "15W",
            "mon",
            "mon#2",
            "?",
            "1,2",
            "x",
            "-",
            "1/",
        )
        return " ".join(self.random.choices(parts, k=self.random.choice((5, 6, 6, 5, 4, 7))))

    def number(self) -> Any:
        """A number, mostly at some edge."""
        return self.random.choice(NUMBERS) if self.random.random() < 0.7 else self.random.randint(-10, 10**6)

    def value(self, depth: int = 0) -> Any:
        """Something that JSON has a form for, or nearly so."""
        pick = self.random.random()
        if depth > 3 or pick < 0.35:
            return self.text()
        if pick < 0.65:
            return self.number()
        if pick < 0.75:
            return None
        if pick < 0.9:
            return {self.text(): self.value(depth + 1) for _ in range(self.random.randint(0, 3))}
        return [self.value(depth + 1) for _ in range(self.random.randint(0, 3))]

    def odd(self) -> Any:
        """Something of Python's that is no JSON."""
        loop: list[Any] = []
        loop.append(loop)
        return self.random.choice(
            (
                *(
                    b"bytes",
                    b"\xff",
                    object(),
                    {1, 2},
                    loop,
                    lambda: None,
                    int,
                    ...,
                    1j,
                    range(3),
                    (1, (2,)),
                    10**5000,
                ),
                *(
                    Decimal("1.5"),
                    Decimal("NaN"),
                    _DAY,
                    datetime.min,
                    datetime.max,
                    timedelta.max,
                    timedelta.min,
                ),
                *(
                    {1: 2},
                    {None: 1},
                    {(): 1},
                    {"a": object()},
                    bytearray(b"x"),
                    NotImplemented,
                    Exception("x"),
                ),
            )
        )

    def payload(self) -> Any:
        """A payload, mostly a mapping."""
        pick = self.random.random()
        if pick < 0.6:
            return {self.text(): self.value() for _ in range(self.random.randint(0, 4))}
        if pick < 0.8:
            return self.value()
        if pick < 0.96:
            return {"a": self.odd()} if self.random.random() < 0.5 else self.odd()
        if pick < 0.98:
            return {"a": "x" * (MIB - 8 + self.random.randint(-1, 1))}
        return json.loads(deep(self.random.choice((126, 127, 128, 129, 900)), mapping=True))

    def option(self) -> Any:
        """A value of an option."""
        pick = self.random.random()
        if pick < 0.35:
            return self.number()
        if pick < 0.65:
            return self.name()
        return self.value() if pick < 0.85 else self.odd()

    def json_text(self) -> bytes:
        """A body that is JSON, or nearly so."""
        pick = self.random.random()
        if pick < 0.55:
            return json.dumps(self.value()).encode("utf-8", "surrogatepass")
        if pick < 0.7:
            return self.random.choice(
                (
                    *(
                        b"",
                        b"{",
                        b"[]",
                        b"nul",
                        b"NaN",
                        b'{"type":NaN}',
                        b'{"type":1e999}',
                        b'{"type":"\\ud800"}',
                    ),
                    *(
                        b'{"type":"a","type":"b"}',
                        b'{"type":"a"}{}',
                        b"\xff\xfe{\x00}\x00",
                        b'\xef\xbb\xbf{"type":"a"}',
                    ),
                    *(
                        b'{"type":"\xff"}',
                        b'{"a":' + b"9" * 5000 + b"}",
                        b'{"type":"a\x00"}',
                        b"\x00",
                        b"// x\n{}",
                    ),
                )
            )
        levels = self.random.choice((100, 127, 128, 129, 1000))
        return f'{{"type":"a","payload":{deep(levels, mapping=pick < 0.85)}}}'.encode()

    def broken(self, text: str) -> str:
        """A text with some piece replaced, doubled, left out or put in."""
        for _ in range(self.random.randint(1, 3)):
            at = self.random.randrange(len(text) + 1)
            to = min(len(text), at + self.random.randint(0, 12))
            text = (
                text[:at]
                + self.random.choice(("", self.text(), text[at:to] * 2, str(self.number())))
                + text[to:]
            )
        return text
