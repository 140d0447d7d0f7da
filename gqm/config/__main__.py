"""Write the files that are generated from the configuration model: ``python -m gqm.config``."""

from __future__ import annotations

import sys
from pathlib import Path

from gqm.config.generated import generated_files


def main() -> int:
    """Write the files that have changed, and say which."""
    root = Path(__file__).resolve().parents[2]
    for name, text in generated_files().items():
        path = root / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
