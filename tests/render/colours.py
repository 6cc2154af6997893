"""Colours written as #rrggbb, and their contrast by the Web Content Accessibility Guidelines (W3C, WCAG 2.2)."""

from __future__ import annotations

import numpy as np


def rgb(colour: str) -> list[int]:
    """The red, green and blue of a colour, from 0 to 255."""
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def luminance(colour: str) -> float:
    """The relative luminance: 0 for black, 1 for white."""
    parts = np.divide(rgb(colour), 255)
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a: str, b: str) -> float:
    """The contrast ratio of two colours, from 1 to 21; text needs 4.5."""
    dark, light = sorted([luminance(a), luminance(b)])
    return (light + 0.05) / (dark + 0.05)
