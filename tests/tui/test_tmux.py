"""A shift at the terminal UI, end to end: a real server, real jobs, and a real terminal that tmux provides.

What a key changes is asked of the API; what a person sees is read from the terminal.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.support.processes import has_environ, processes
from tests.support.tmux import Terminal, tmux_program
from tests.tui.shop import KEY, Shop

WIDE, NARROW = (120, 36), (80, 24)
DOWN_WITHIN_S = 10.0
"""Five seconds by the rules of the screen, and as many again for a machine that does other things as well."""

SESSION = """
printf '\\033]2;before\\007'
stty -a >stty-before
{gqm} tui
echo $? >code
stty -a >stty-after
echo 'the shell is back'
exec cat
"""


class Shift:
    """A person at a terminal in which ``gqm tui`` runs, and the shop it is about."""

    def __init__(self, shop: Shop, size: tuple[int, int]) -> None:
        self.shop = shop
        self.size = size
        script = SESSION.format(gqm=f"{shlex.quote(sys.executable)} -m gqm_cli")
        env = {**shop.env, "GQM_API_URL": shop.url, "GQM_API_KEY": KEY, "TERM": "xterm-256color"}
        env |= {
            "COLUMNS": "100",
            "LINES": "30",
        }  # exported by a shell in another window: the size of nothing here
        self.terminal = Terminal(shop.folder, size, ["sh", "-c", script], env)
        self.press = self.terminal.press
        self.shows = self.terminal.shows

    def at(self, *texts: str) -> str:
        """Wait until the cursor is on a row with these texts; returns the screen."""
        return self.terminal.until(
            lambda screen: any(all(text in row for text in texts) for row in cursor_rows(screen)),
            what=f"has its cursor at {texts}",
        )

    def wrote(self, name: str) -> str:
        """What the shell around the program wrote into a file."""
        return (self.shop.folder / name).read_text()


def cursor_rows(screen: str) -> list[str]:
    """The rows that are marked on their left side."""
    return [line for line in screen.splitlines() if line.lstrip().startswith("▌")]


@pytest.fixture
def open_shop() -> Iterator[Callable[[tuple[int, int]], Shift]]:
    tmux_program()
    shop = Shop()
    shifts: list[Shift] = []

    def begin(size: tuple[int, int]) -> Shift:
        shop.stock()
        shifts.append(Shift(shop, size))
        return shifts[-1]

    yield begin
    for shift in shifts:
        shift.terminal.close()
    shop.close()


def test_a_shift_on_a_large_terminal(open_shop: Callable[[tuple[int, int]], Shift]) -> None:
    shift = open_shop(WIDE)
    it_starts(shift)
    tabs_have_their_keys(shift)
    the_cursor_moves(shift)
    left_and_right_choose_the_queue(shift)
    a_queue_is_paused_and_resumed(shift)
    a_failed_job_is_retried(shift)
    a_cron_entry_is_triggered_and_disabled(shift)
    a_graph_opens(shift)
    a_hostile_payload_is_only_text(shift)
    the_server_goes_away_and_comes_back(shift)
    the_window_changes_its_size(shift)
    leaving_gives_the_terminal_back(shift, "q")


def test_a_shift_on_a_small_terminal(open_shop: Callable[[tuple[int, int]], Shift]) -> None:
    shift = open_shop(NARROW)
    it_starts(shift)
    tabs_have_their_keys(shift)
    f5_fetches_at_once(shift)
    left_and_right_choose_the_queue(shift)
    a_failed_job_is_retried(shift)
    a_hostile_payload_is_only_text(shift)
    the_server_goes_away_and_comes_back(shift)
    the_window_changes_its_size(shift)
    leaving_gives_the_terminal_back(shift, "C-c")


# -------------------------------------------------------------------------------- the parts of a shift


def it_starts(shift: Shift) -> None:
    shift.shows("● LIVE 127.0.0.1", "admin", "letters", "films", "mail", "Failed 2")
    assert shift.terminal.has_other_screen
    shift.terminal.until(partial(fits, size=shift.size), what=f"fits {shift.size}")
    if has_environ():
        lines = processes(shift.shop.folder).values()
        assert any("gqm_cli tui" in line for line in lines)
        assert not [line for line in lines if KEY in line]


TABS = (
    ("2", "all@", "Workers"),
    ("3", "2 groups", "Failed"),
    ("4", "close-books", "Cron"),
    ("1", "letters", "Queues"),
)


def tabs_have_their_keys(shift: Shift) -> None:
    for key, text, _ in TABS:
        shift.press(key)
        shift.shows(text)
    shift.press("Tab")
    shift.shows("all@")
    shift.press("BTab", "BTab")
    shift.shows("NEEDS ATTENTION")
    shift.press("Tab")
    shift.at("letters")


def the_cursor_moves(shift: Shift) -> None:
    for key, queue in (("j", "films"), ("Down", "mail"), ("k", "films"), ("Up", "letters")):
        shift.press(key)
        shift.at(queue)


def left_and_right_choose_the_queue(shift: Shift) -> None:
    shift.press("3")
    shift.shows("‹ all")
    for key in ("l", "h", "Right", "Left"):
        shift.press(key)
        shift.shows("‹ mail" if key in ("l", "Right") else "‹ all")


def a_queue_is_paused_and_resumed(shift: Shift) -> None:
    shift.press("1")
    shift.at("letters")
    shift.press("p")
    shift.at("letters", "PAUSED")
    assert shift.shop.ask("GET", "queues/letters")["paused"] is True
    shift.shows("letters paused")
    shift.press("p")
    shift.at("letters", "run")
    assert shift.shop.ask("GET", "queues/letters")["paused"] is False


def a_failed_job_is_retried(shift: Shift) -> None:
    (shift.shop.folder / "mended").touch()
    shift.press("3")
    shift.shows("2 groups")
    shift.press("b")
    shift.at("hostile-1")
    shift.press("j")
    shift.at("bounced-1")
    shift.press("r")
    shift.shows("Retry job bounced-1?")
    assert shift.shop.ask("GET", "jobs/bounced-1")["status"] == "dead_letter"
    shift.press("y")
    shift.terminal.until(
        lambda screen: (
            not any("bounced-1" in line and "ConnectionError" in line for line in screen.splitlines())
        ),
        what="no longer lists the job",
    )
    shift.at("hostile-1")
    shift.shop.becomes("bounced-1", "completed")


def a_cron_entry_is_triggered_and_disabled(shift: Shift) -> None:
    shift.press("4")
    shift.at("close-books")
    shift.press("t")
    shift.shows("Trigger cron entry close-books?")
    shift.press("y")
    shift.at("close-books", "✓ done")
    assert [run["outcome"] for run in shift.shop.ask("GET", "cron/close-books/history")] == ["completed"]
    shift.press("j")
    shift.at("tidy", "✓")
    shift.press("e")
    shift.at("tidy", "off")
    assert shift.shop.ask("GET", "cron/tidy")["enabled"] is False
    shift.press("e")
    shift.at("tidy", "✓")
    assert shift.shop.ask("GET", "cron/tidy")["enabled"] is True


def a_graph_opens(shift: Shift) -> None:
    shift.press("5")
    shift.at("film-1")
    shift.press("Enter")
    shift.shows("DAG › film.cut › graph", "3 jobs", "═ film.cut ═", "mail.send")
    shift.press("t")
    shift.shows("DAG › film.cut › tree", "premiere-1", "premiere-2")


def a_hostile_payload_is_only_text(shift: Shift) -> None:
    shift.press("3")
    shift.at("hostile-1", "ConnectionError: ␛]0;owned")
    shift.press("Enter")
    shift.shows("hostile-1", '"says"', "owned")
    assert shift.terminal.title == "before"
    assert shift.terminal.clipboard == []
    shift.press("y")
    shift.shows("Payload", "as it is shown")
    shift.press("s")
    shift.shows("copied")
    (copied,) = shift.terminal.clipboard
    assert "owned" in copied
    assert copied.replace("\n", "").isprintable()
    shift.press("Escape")
    shift.at("hostile-1")


def f5_fetches_at_once(shift: Shift) -> None:
    shift.press("1")
    shift.at("letters", " 3 ")
    for seconds in (2, 3, 5, 10, 30):
        shift.press("+")
        shift.shows(f" {seconds}s ·")
    shift.shop.enqueue("letter.write", queue="letters")
    shift.press("F5")
    shift.terminal.until(
        lambda screen: any(" 4↑ " in row for row in cursor_rows(screen)),
        20.0,
        "counts the new letter before the 30 s are over",
    )
    shift.press("-", "-", "-", "-", "-")
    shift.shows(" 1s ·")


def the_server_goes_away_and_comes_back(shift: Shift) -> None:
    shift.press("1")
    shift.at("letters")
    shift.shop.kill()
    shift.shows("✗ DOWN 127.0.0.1", "refused", "letters", "films", "mail", within_s=DOWN_WITHIN_S)
    shift.shop.start()
    shift.press("F5")
    shift.shows("● LIVE 127.0.0.1", "letters", "films", "mail")


def the_window_changes_its_size(shift: Shift) -> None:
    for size in (NARROW if shift.size == WIDE else WIDE, shift.size):
        shift.terminal.resize(size)
        shift.terminal.until(partial(fits, size=size), what=f"fits {size}")


def fits(screen: str, size: tuple[int, int]) -> bool:
    """Whether the queues are shown in this size: its columns, its height, the footer in its last line."""
    rows = screen.splitlines()
    columns = ("FAIL/m" in screen) is (size == WIDE) and "15 MIN" in screen
    return columns and len(rows) == size[1] and " Help" in rows[-1] and max(map(len, rows)) <= size[0]


def leaving_gives_the_terminal_back(shift: Shift, key: str) -> None:
    shift.press(key)
    shift.shows("the shell is back")
    assert shift.wrote("code") == "0\n"
    assert not shift.terminal.has_other_screen
    assert shift.wrote("stty-after") == shift.wrote("stty-before")
    assert shift.terminal.title == "before"
    assert "Traceback" not in shift.terminal.screen()
