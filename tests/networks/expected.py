"""What is kept of a gradient: its norm, and its product with a fixed direction that has a part of every entry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["PATH", "expected", "figures"]

PATH = Path(__file__).parent / "expected.json"


def figures(gradient: np.ndarray) -> list[float]:
    """Norm and projection on cos(0.7 i² + 1), in float64."""
    flat = gradient.astype(np.float64).ravel()
    return [float(np.linalg.norm(flat)), float(flat @ np.cos(0.7 * np.arange(flat.size) ** 2 + 1))]


def expected() -> dict[str, Any]:
    """Of each network."""
    return json.loads(PATH.read_text())["networks"]  # type: ignore[no-any-return]
