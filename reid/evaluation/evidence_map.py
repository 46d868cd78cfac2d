"""Draw `Embedder.evidence`, the model's map of where the person is visible, over the crops [ours]."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from .sheet import FAINT, Sheet

PICTURE_WIDTH_PX, PICTURE_HEIGHT_PX = 160, 320  # the network's aspect ratio, whatever the crop's
GAP_PX, MARGIN_PX = 8, 24
PAIRS_PER_ROW = 4
NAME_PX, HEADER_PX = 34, 92
SHEET_WIDTH_PX = 480  # at least, so that the header fits
BAR_WIDTH_PX, BAR_HEIGHT_PX, BAR_STEPS = 14, 200, 256
COLOURS = cv2.COLORMAP_VIRIDIS  # perceptually uniform, and readable for the colour-blind
OPACITY = 0.55  # of the colours over the grey crop


def draw_evidence_sheet(
    crops: Sequence[NDArray[np.uint8]], evidence: NDArray[np.float32], names: Sequence[str]
) -> NDArray[np.uint8]:
    """Draw crops on one sheet, each beside its evidence and above its name.

    Args:
        crops: N ≥ 1 of uint8 (h, w, 3) BGR.
        evidence: float32 (N, rows, columns) in [0, 1]; values outside are drawn as the nearest end.
        names: N names.

    Returns:
        uint8 (H, W, 3) BGR.

    Raises:
        ValueError: `evidence` has another shape.
    """
    columns, rows = min(len(crops), PAIRS_PER_ROW), -(-len(crops) // PAIRS_PER_ROW)
    pair_width = 2 * PICTURE_WIDTH_PX + GAP_PX
    cell_width, cell_height = pair_width + MARGIN_PX, PICTURE_HEIGHT_PX + NAME_PX
    sheet = Sheet(max(columns * cell_width + MARGIN_PX, SHEET_WIDTH_PX), HEADER_PX + rows * cell_height + GAP_PX)
    _draw_header(sheet)
    for index, (crop, one, name) in enumerate(zip(crops, evidence, names, strict=True)):
        row, column = divmod(index, PAIRS_PER_ROW)
        left, top = MARGIN_PX + column * cell_width, HEADER_PX + row * cell_height
        _draw_pair(sheet, crop, one, left, top)
        sheet.write(name, left, top + PICTURE_HEIGHT_PX + 5, 14, FAINT, width_px=pair_width)
    return sheet.pixels


def draw_evidence(crop: NDArray[np.uint8], evidence: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw where a crop shows the person: the colours of its evidence over the grey crop.

    Args:
        crop: uint8 (h, w, 3) BGR.
        evidence: float32 (rows, columns) in [0, 1]; values outside are drawn as the nearest end.

    Returns:
        uint8 (PICTURE_HEIGHT_PX, PICTURE_WIDTH_PX, 3) BGR.

    Raises:
        ValueError: `evidence` has another shape.
    """
    if evidence.ndim != 2 or 0 in evidence.shape:
        raise ValueError(f"evidence: expected (rows, columns), got {evidence.shape}")
    size = PICTURE_WIDTH_PX, PICTURE_HEIGHT_PX
    smooth = cv2.resize(evidence.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)  # (320, 160)
    grey = cv2.cvtColor(cv2.resize(crop, size, interpolation=cv2.INTER_LINEAR), cv2.COLOR_BGR2GRAY)[..., None]
    overlay = (1 - OPACITY) * grey + OPACITY * _coloured(smooth)  # (320, 160, 3)
    return np.asarray(overlay.round(), np.uint8)


def _draw_header(sheet: Sheet) -> None:
    sheet.write("Where the model sees the person", MARGIN_PX, 18, 20, bold=True)
    bar = np.repeat(np.linspace(0, 1, BAR_STEPS, dtype=np.float32)[None], BAR_WIDTH_PX, axis=0)
    top = 54
    left = sheet.write("occluded 0", MARGIN_PX, top - 1, 14, FAINT) + 10
    sheet.paste(_coloured(bar), left, top, BAR_HEIGHT_PX, BAR_WIDTH_PX)
    sheet.write("1 visible", left + BAR_HEIGHT_PX + 10, top - 1, 14, FAINT)


def _draw_pair(sheet: Sheet, crop: NDArray[np.uint8], evidence: NDArray[np.float32], left: int, top: int) -> None:
    size = PICTURE_WIDTH_PX, PICTURE_HEIGHT_PX
    sheet.paste(crop, left, top, *size)
    sheet.paste(draw_evidence(crop, evidence), left + PICTURE_WIDTH_PX + GAP_PX, top, *size)


def _coloured(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """float32 (h, w) → uint8 (h, w, 3) BGR; cubic interpolation leaves [0, 1] a little, so values are clipped."""
    return np.asarray(cv2.applyColorMap((255 * values.clip(0, 1)).round().astype(np.uint8), COLOURS), np.uint8)
