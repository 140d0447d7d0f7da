"""The files of the repository that are made from the configuration model."""

from __future__ import annotations

import json

from gqm.config.reference import reference
from gqm.config.schema import json_schema

__all__ = ["generated_files"]


def generated_files() -> dict[str, str]:
    """Return path in the repository and content of each generated file."""
    return {
        "docs/gqm.schema.json": json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n",
        "docs/configuration.md": reference(),
    }
