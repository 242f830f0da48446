"""Small fixtures: bodies that documented clients send and real servers answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


def read(name: str) -> Any:
    """Return the JSON value of the fixture `name`."""
    return json.loads((_HERE / name).read_text())


SEED: dict[str, Any] = read("seed-create.json")
"""A create request as Huawei Cloud documents it."""
