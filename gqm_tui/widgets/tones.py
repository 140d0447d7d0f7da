"""Tones to styles: the one place where a meaning becomes a colour of the theme."""

from functools import lru_cache

from rich.style import Style

from gqm_tui.core.table import Tone

_VARIABLES = {
    Tone.GOOD: "success",
    Tone.WARN: "warning",
    Tone.BAD: "error",
    Tone.ACTIVE: "primary",
    Tone.PLANNED: "accent",
}


@lru_cache(maxsize=256)
def _colour(value: str) -> Style:
    return Style(color=value)


def style(tone: Tone, variables: dict[str, str], *, colour: bool = True) -> Style:
    """Give the style of a tone under a theme; without colour the meaning rests on glyph, word and weight."""
    if tone is Tone.PLAIN:
        return Style.null()
    if tone is Tone.STRONG:
        return Style(bold=True)
    if tone is Tone.DIM:
        return _colour(variables["gqm-dim"]) if colour and "gqm-dim" in variables else Style(dim=True)
    if not colour:
        return Style(bold=True) if tone in (Tone.BAD, Tone.WARN) else Style.null()
    return _colour(variables[_VARIABLES[tone]])
