"""``python -m gqm_cli``: the command ``gqm`` where its script is not on the path."""

from gqm_cli.main import run

if __name__ == "__main__":
    run()
