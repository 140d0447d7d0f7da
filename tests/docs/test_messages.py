"""Messages that the FAQ explains are messages that the program writes."""

from __future__ import annotations

import ast
import re

from tests.docs.blocks import ROOT

_ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
_HOLE = re.compile(r"%[.\d]*[a-z%]|\{[^}]*\}")


def explained() -> list[str]:
    """The messages in the section about them."""
    text = (ROOT / "docs/faq.md").read_text("utf-8")
    section = text.partition("## What does this message mean?")[2].partition("\n## ")[0]
    return _ROW.findall(section)


def written() -> str:
    """All texts in the source, with a mark where something is filled in."""
    texts = []
    for path in (ROOT / "gqm").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                texts.append("".join(str(part) for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return _HOLE.sub("…", "\n".join(texts))


def test_every_message_is_one() -> None:
    source = written()
    messages = explained()
    assert len(messages) > 15
    assert [text for text in messages if text.removesuffix("…").strip() not in source] == []
    assert "nothing writes this" not in source
