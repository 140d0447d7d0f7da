"""Twenty questions of a newcomer: each has one line that answers it, and the list says which."""

from __future__ import annotations

from pathlib import Path

from tests.docs.questions import FILE, Answer, answer, renewed
from tests.docs.test_links import wrong

ROWS = [row for line in FILE.read_text("utf-8").splitlines() if (row := answer(line))]


def test_there_are_twenty_questions_each_asked_once() -> None:
    assert len({row.question for row in ROWS}) == len(ROWS) == 20


def test_every_answer_stands_in_one_line() -> None:
    assert [f"{row.page}: {row.words}" for row in ROWS if not row.found_at()] == []


def test_every_line_and_link_is_right() -> None:
    text = FILE.read_text("utf-8")
    assert renewed(text) == text, "python -m tests.docs.questions renews it"
    assert [said for row in ROWS if (said := wrong(FILE, row.link))] == []
    assert [row.link for row in ROWS if Path(row.link.partition("#")[0]).name != row.page] == []


def test_a_wrong_line_is_noticed() -> None:
    there = Answer("Why?", "faq.md", 1, "faq.md", "# FAQ")
    assert (there.found_at(), renewed(f"{there}\n")) == (1, f"{there}\n")
    assert Answer("Why?", "faq.md", 1, "faq.md", "nothing like this").found_at() == 0
