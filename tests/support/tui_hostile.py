"""Sixty texts that a terminal, a markup parser, a table or a spreadsheet could trip over."""

from __future__ import annotations

import unicodedata

TEXTS: tuple[str, ...] = (
    "\x1b[2J\x1b[H",
    "\x1b]0;owned\x07",
    "\x1b]52;c;b3duZWQ=\x07",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "\x1b[31mred\x1b[0m",
    "\x1b[?1049h",
    "\x1b[?25l",
    "\x1bP+q544e\x1b\\",
    "\x1b[6n",
    "\x9b31mC1",
    "\x9d0;c1 title\x9c",
    "\x90dcs\x9c",
    "bell\x07",
    "back\x08\x08\x08space",
    "carriage\rreturn",
    "line\nfeed",
    "windows\r\nline",
    "tab\tstop",
    "vertical\x0btab",
    "form\x0cfeed",
    "null\x00byte",
    "\x7fdelete",
    "shift\x0eout\x0fin",
    "unit\x1fseparator",
    "next\x85line",
    "right\u202eto left",
    "\u202dleft to right",
    "\u2066isolate\u2069",
    "\u2067isolate",
    "\u200emark\u200f",
    "zero\u200bwidth",
    "join\u200der",
    "non\u200cjoiner",
    "word\u2060joiner",
    "\ufeffbom",
    "soft\u00adhyphen",
    "line\u2028separator",
    "paragraph\u2029separator",
    "[bold]markup[/bold]",
    "[/x] closes nothing",
    "list[int]",
    "[link=http://evil.example]x[/link]",
    "\\[escaped]",
    "[@click=app.quit]quit[/]",
    "$error {x} %s %(y)d",
    "漢字かな交じり文の長い仕事の名前です",
    "한국어 대기열 이름이 아주 깁니다",
    "全角ＦＵＬＬＷＩＤＴＨ",
    "🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉🎉",
    "👩\u200d👩\u200d👧\u200d👦 family",
    "🏳\ufe0f\u200d🌈 flag",
    "🇸🇪🇩🇪🇫🇷",
    "e" + "\u0301" * 60,
    "Z̴̡̛a̷l̸g̵o̶ t̴e̷x̸t̵",
    "عربي من اليمين إلى اليسار",
    "עברית מימין לשמאל",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "x" * 5_000,
    "‹U+202E› already looks like a picture ␛[0m",
)
assert len(TEXTS) == len(set(TEXTS)) == 60

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def harmful(shown: str) -> list[str]:
    """What a terminal would obey, hide or reorder in a text that is about to be drawn."""
    return [f"U+{ord(char):04X}" for char in shown if unicodedata.category(char) in _HIDDEN]
