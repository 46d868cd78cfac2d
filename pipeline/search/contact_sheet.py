"""Draw what a search found: the query's crops, and a row of crops for each identity, the most similar first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...reid.evaluation.sheet import FAINT, INK, Sheet
from ...reid.similarity import informative_share
from ...reid.wording import counted
from ..storage.packing import decode_crop
from ..storage.queries import CropImage, crop_images
from ..storage.store import Store
from ..storage.times import iso_time
from ..types import Image, TrackKey
from .query import QueryPicture
from .ranking import FoundIdentity

MOST_CROPS = 8  # of each identity, one per tracklet
CROP_HEIGHT_PX, CELL_WIDTH_PX = 150, 104
TEXT_WIDTH_PX, MARGIN_PX, HEADER_PX = 240, 24, 64
CAPTION_PX = 40  # two lines below a crop
ROW_PX = CROP_HEIGHT_PX + CAPTION_PX + 18
WIDTH_PX = 2 * MARGIN_PX + TEXT_WIDTH_PX + MOST_CROPS * CELL_WIDTH_PX
CLOCK_PART = slice(11, 19)  # of an ISO 8601 time


def draw_contact_sheet(
    store: Store, run: int, title: str, pictures: Sequence[QueryPicture], found: Sequence[FoundIdentity]
) -> NDArray[np.uint8]:
    """Draw the result of a search.

    Args:
        store: the database.
        run: the run's number.
        title: what was looked for, one line.
        pictures: of the query; may be empty.
        found: the ranked identities.

    Returns:
        uint8 (H, W, 3) BGR.

    Raises:
        StoreError: a stored crop is damaged.
    """
    sheet = Sheet(WIDTH_PX, HEADER_PX + (len(found) + bool(pictures)) * ROW_PX + MARGIN_PX)
    sheet.write(title, MARGIN_PX, 20, 20, bold=True, width_px=WIDTH_PX - 2 * MARGIN_PX)
    top = HEADER_PX
    if pictures:
        sheet.write("query", MARGIN_PX, top, 17, bold=True)
        for place, picture in enumerate(pictures[:MOST_CROPS]):
            _paste(sheet, picture.crop, place, top, picture.path.name, "")
        top += ROW_PX
    for rank, one in enumerate(found, 1):
        _draw_identity(sheet, top, rank, one, _best_crops(store, run, one))
        top += ROW_PX
    return sheet.pixels


def _draw_identity(sheet: Sheet, top: int, rank: int, one: FoundIdentity, crops: Sequence[CropImage]) -> None:
    sheet.fill(MARGIN_PX, top - 10, WIDTH_PX - 2 * MARGIN_PX, 1, FAINT)
    width = TEXT_WIDTH_PX - 16
    sheet.write(f"{rank}.  identity {one.identity}", MARGIN_PX, top, 17, bold=True)
    lines = [
        *([one.name] if one.name else []), f"probability {one.probability:.2f}", f"similarity {one.similarity:.2f}",
        *([] if (share := informative_share(one.shared_mask)) is None else [f"shared mask {100 * share:.0f} %"]),
        f"{counted(len(one.visits), 'visit')}, {counted(len(one.tracklets), 'tracklet')}"]
    for line, text in enumerate(lines):
        sheet.write(text, MARGIN_PX, top + 28 + 22 * line, 14, INK if line == 0 else FAINT, width_px=width)
    similarity = dict(one.tracklets)
    for place, crop in enumerate(crops):
        where = f"{crop.camera} {similarity[crop.camera, crop.track]:.2f}"
        _paste(sheet, decode_crop(crop.image), place, top, where, iso_time(crop.seconds)[CLOCK_PART])


def _paste(sheet: Sheet, crop: Image, place: int, top: int, first_line: str, second_line: str) -> None:
    """Paste a crop in its own proportions, as large as its cell allows."""
    left = MARGIN_PX + TEXT_WIDTH_PX + place * CELL_WIDTH_PX
    height, width = crop.shape[:2]
    factor = min(CROP_HEIGHT_PX / height, (CELL_WIDTH_PX - 12) / width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    sheet.paste(crop, left, top + CROP_HEIGHT_PX - size[1], *size)
    for line, text in enumerate((first_line, second_line)):
        sheet.write(text, left, top + CROP_HEIGHT_PX + 3 + 16 * line, 11, FAINT, width_px=CELL_WIDTH_PX - 8)


def _best_crops(store: Store, run: int, one: FoundIdentity) -> list[CropImage]:
    """The best crop of each of the most similar tracklets that have one."""
    best: dict[TrackKey, CropImage] = {}
    for crop in crop_images(store, run, one.identity):
        best.setdefault((crop.camera, crop.track), crop)
    return [best[key] for key, _ in one.tracklets if key in best][:MOST_CROPS]
