"""The two themes of GQM; every theme of Textual and the ones in `themes/*.toml` work as well."""

from textual.color import Color, ColorParseError
from textual.theme import Theme

from gqm_tui.core import themefiles

DARK = Theme(
    name="gqm-dark",
    primary="#6CB2F5",
    secondary="#8AA4BF",
    warning="#F2B84B",
    error="#FF7B72",
    success="#6FCF8B",
    accent="#C3A6FF",
    foreground="#DDE4EC",
    background="#11161D",
    surface="#11161D",
    panel="#1B232D",
    dark=True,
    variables={
        "gqm-dim": "#76828F",
        "gqm-bar": "#1B232D",
        "gqm-rule": "#33404E",
        "block-cursor-background": "#24405C",
        "block-cursor-foreground": "#FFFFFF",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#24303C",
        "block-cursor-blurred-foreground": "#DDE4EC",
        "block-cursor-blurred-text-style": "bold",
        "footer-key-foreground": "#6CB2F5",
        "input-cursor-text-style": "reverse",
        "input-selection-background": "#6CB2F5 30%",
    },
)

LIGHT = Theme(
    name="gqm-light",
    primary="#0B5CAD",
    secondary="#4A6076",
    warning="#8A5300",
    error="#B3261E",
    success="#1A6B35",
    accent="#6A3FB5",
    foreground="#1A232D",
    background="#FBFCFD",
    surface="#FBFCFD",
    panel="#E9EEF3",
    dark=False,
    variables={
        "gqm-dim": "#66727F",
        "gqm-bar": "#E9EEF3",
        "gqm-rule": "#C3CDD7",
        "block-cursor-background": "#CFE3F7",
        "block-cursor-foreground": "#0B1620",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#E1E8EF",
        "block-cursor-blurred-foreground": "#1A232D",
        "block-cursor-blurred-text-style": "bold",
        "footer-key-foreground": "#0B5CAD",
        "input-cursor-text-style": "reverse",
        "input-selection-background": "#0B5CAD 30%",
    },
)

OWN = (DARK, LIGHT)
# The style sheet's own variables, and what stands for them in themes that do not name them.
FALLBACKS = {"gqm-dim": "foreground-darken-3", "gqm-bar": "panel", "gqm-rule": "panel-lighten-2"}


def from_file(theme: themefiles.Theme) -> Theme:
    """Make a theme of a file into one of Textual."""
    get = theme.colours.get
    return Theme(
        name=theme.name,
        primary=get("primary", DARK.primary),
        secondary=get("secondary"),
        accent=get("accent"),
        foreground=get("foreground"),
        background=get("background"),
        success=get("success"),
        warning=get("warning"),
        error=get("error"),
        surface=get("surface"),
        panel=get("panel"),
        boost=get("boost"),
        dark=theme.dark,
        variables=dict(theme.variables),
    )


def wrong_colours(theme: themefiles.Theme) -> list[str]:
    """Name the tokens of a theme whose colours do not exist."""
    wrong = []
    for token, colour in theme.colours.items():
        try:
            Color.parse(colour)
        except ColorParseError:
            wrong.append(token)
    return wrong
