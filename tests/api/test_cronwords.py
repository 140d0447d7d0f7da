"""Cron expressions in words."""

from __future__ import annotations

import pytest

from gqm.monitor.cronwords import in_words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * * *", "every minute"),
        ("* * * * * *", "every second"),
        ("*/5 * * * * *", "every 5 seconds"),
        ("*/15 * * * *", "every 15 minutes"),
        ("*/1 * * * *", "every minute"),
        ("0 * * * *", "every hour"),
        ("20 * * * *", "every hour at minute 20"),
        ("0 */2 * * *", "every 2 hours"),
        ("30 */6 * * *", "every 6 hours at minute 30"),
        ("0 30 1 * * *", "at 01:30"),
        ("15 30 1 * * *", "at 01:30:15"),
        ("0 9 * * MON-FRI", "at 09:00 on Monday to Friday"),
        ("0 9 * * 1,3,sun", "at 09:00 on Monday, Wednesday and Sunday"),
        ("0 9 * * 7", "at 09:00 on Sunday"),
        ("0 0 1 * *", "at 00:00 on day 1 of the month"),
        ("0 0 L * *", "at 00:00 on the last day of the month"),
        ("0 0 1 1,7 *", "at 00:00 on day 1 of the month in January and July"),
        ("@daily", "at 00:00"),
        ("@weekly", "at 00:00 on Sunday"),
        ("0 0 ? * 2", "at 00:00 on Tuesday"),
        ("5/20 * * * *", ""),
        ("0 0 1 * 1", ""),
        ("0 0 15W * *", ""),
        ("0 0 * * 5#2", ""),
        ("1-5 * * * *", ""),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_words(expression: str, words: str) -> None:
    assert in_words(expression) == words
