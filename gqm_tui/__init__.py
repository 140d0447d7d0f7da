"""The terminal UI: what operators see of GQM, over the REST API alone."""

from gqm_tui.options import RunOptions

__all__ = ["RunOptions", "run"]


def run(options: RunOptions) -> int:
    """Open the terminal UI and return the exit code when the person leaves.

    Raises SettingsError with every problem of `tui.toml`, of the flags and of the variables, before the
    screen is touched. A server that is away is no reason to fail.
    """
    from gqm_tui.start import start

    return start(options)
