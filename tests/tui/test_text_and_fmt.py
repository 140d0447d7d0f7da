"""Text from a server stays text, and numbers are written one way everywhere."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gqm_tui.core import fmt, text


@pytest.mark.fault(19)
@given(st.text(st.characters(), max_size=80))
def test_no_control_code_or_hidden_mark_passes(raw: str) -> None:
    shown = text.safe(raw)
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) <= 0x9F or 0xD800 <= ord(c) <= 0xDFFF for c in shown)
    assert not any(c in shown for c in "\u202e\u2066\u200b\u2028\u2029\ufeff")


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b]0;owned\x07", "␛]0;owned␇"),
        ("a\x7fb\x9bc", "a␡b\ufffdc"),
        ("x\u202ey", "x‹U+202E›y"),
        ("\ud800", "\ufffd"),
        ("e" + "\u0301" * 9, "e" + "\u0301" * 4),
        ("[/x] list[int] größe 仕事", "[/x] list[int] größe 仕事"),
    ],
)
def test_stand_ins(raw: str, shown: str) -> None:
    assert text.safe(raw) == shown


@pytest.mark.fault(9)
@given(st.text(max_size=200), st.integers(0, 60))
def test_a_cut_text_never_passes_its_width(raw: str, cells: int) -> None:
    assert cell_len(text.fit(raw, cells)) <= cells
    assert cell_len(text.fit_middle(raw, cells)) <= cells


def test_cuts_say_so() -> None:
    assert text.fit("TimeoutError: 30s exceeded", 14) == "TimeoutError:…"
    assert text.fit("仕事仕事", 5) == "仕事…"
    assert text.fit("x" * 1_000_000, 10_000).endswith("…")
    cut = text.fit_middle("01943c77-1111-7222-8333-44443a2a91c", 14)
    assert cell_len(cut) == 14
    assert cut.endswith("3a2a91c")


@pytest.mark.security(13)
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_sees_no_formula(start: str) -> None:
    assert text.csv_cell(start + "1") == f"'{start}1"
    assert text.csv_cell("1" + start) == "1" + start


def test_ages() -> None:
    spans = (None, -3, 0, 59.9, 842, 21_840, 176_400)
    assert [fmt.age(s) for s in spans] == ["…", "0s", "0s", "59s", "14m02s", "6h04m", "2d01h"]


@pytest.mark.fault(10)
def test_durations_are_milliseconds() -> None:
    spans = (None, 120, 999.7, 1_240, 59_996, 372_000)
    assert [fmt.duration(ms) for ms in spans] == ["…", "120ms", "1.00s", "1.24s", "1m00s", "6m12s"]


def test_counts() -> None:
    numbers = (None, 0, 31_204, 99_999, 123_400, 999_600, 1_240_000)
    assert [fmt.count(n) for n in numbers] == ["…", "·", "31,204", "99,999", "123k", "1.0M", "1.2M"]


def test_clock_is_utc_unless_asked() -> None:
    assert fmt.clock(43_203) == "12:00:03Z"
    assert not fmt.clock(43_203, local=True).endswith("Z")
    assert fmt.clock(None) == "…"


def test_core_loads_no_textual() -> None:
    code = "import sys, gqm_tui.core.fmt, gqm_tui.core.text; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_moments_with_their_day() -> None:
    assert fmt.stamp(43_203) == "01-01 12:00:03Z"
    assert not fmt.stamp(43_203, local=True).endswith("Z")
    assert fmt.stamp(None) == "…"


def test_sizes() -> None:
    sizes = (None, 0, 412, 1_023, 1_024, 2_150, 10_240, 100_663_296, 2_254_857_830, 1_048_575, 5 * 1_024**5)
    shown = ["…", "0 B", "412 B", "1023 B", "1K", "2.1K", "10K", "96M", "2.1G", "1M", "5120T"]
    assert [fmt.size(octets) for octets in sizes] == shown


def test_rates_and_shares() -> None:
    rates = (None, 0, 0.4, 994, 9_999.4, 14_230, 48_700, 1_240_000)
    assert [fmt.rate(n) for n in rates] == ["…", "·", "·", "994", "9,999", "14.2k", "48.7k", "1.2M"]
    assert [fmt.share(part) for part in (None, 0, 0.09, 1)] == ["…", "0%", "9%", "100%"]
