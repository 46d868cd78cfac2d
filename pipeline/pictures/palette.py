"""Colours of identities and of cameras, the same in every video, on the review page and in its reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Chosen one by one, each as far as possible in CIELAB from the earlier ones and from grey, black and white.  Any two
# are at least 22 apart, about ten times the just noticeable difference.  The most distinct ones come first.
IDENTITY_COLOURS = (
    "#3088f0", "#f0e018", "#f00048", "#00f8d8", "#c810b0", "#f86810", "#60f870", "#f8a0c8", "#28c0e8",
    "#a06818", "#208000", "#b8c880", "#8058e8", "#209070", "#f8a080", "#9058a0", "#b05058", "#f8a818",
    "#f84898", "#88c008", "#f088f8", "#687830", "#b8b0f8", "#20c070", "#a09808", "#0080b8", "#f8c870",
    "#c04828", "#a0f090", "#d0e060", "#28b828", "#f86870", "#78d0a0", "#60f0f8", "#a088f8", "#78b048",
)
NOBODY_COLOUR = "#a0a0a0"  # for tracklets without identity
PALETTE = (NOBODY_COLOUR, *IDENTITY_COLOURS)
# Of cameras, by their place in the config: of one strength, readable on light and dark.
CAMERA_COLOURS = (
    "#5b8db8", "#e0985a", "#66a36b", "#a8648f", "#6fbfcf", "#c5b04f", "#d5757b", "#8b83cc", "#979da3")


def colour_indexes(identities: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indexes into PALETTE.

    Args:
        identities: int64 (N,), 1-based numbers; 0 for none.

    Returns:
        int64 (N,).  Colours repeat where there are more identities than colours; grey means no identity.
    """
    return np.where(identities > 0, 1 + (identities - 1) % len(IDENTITY_COLOURS), 0)


def text_colour(background: str) -> str:
    """Black or white, whichever has the higher contrast with a background (WCAG 2.2, relative luminance)."""
    share = np.array(list(bytes.fromhex(background.removeprefix("#")))) / 255  # (3,), red first
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"
