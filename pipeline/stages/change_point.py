"""Where a track goes over from one person to another: change points of its crops' appearances."""

from __future__ import annotations

from ...reid import Appearance, masked_similarity, merge_tracklet

LEAST_CROPS = 2  # on each side: one odd crop may be an occlusion


def change_points(crops: Appearance, least_similarity: float) -> list[int]:
    """Rows at which somebody else begins, rising; by binary segmentation (Scott and Knott, Biometrics, 1974).

    Args:
        crops: one row per crop, in time order.
        least_similarity: a part is divided where its two sides are the least similar, if that is below this value.
    """
    rows = range(LEAST_CROPS, len(crops) - LEAST_CROPS + 1)
    similarity = {row: _similarity(crops[:row], crops[row:]) for row in rows}
    row = min(similarity, key=similarity.__getitem__, default=0)
    if not similarity or similarity[row] >= least_similarity:
        return []
    after = change_points(crops[row:], least_similarity)
    return [*change_points(crops[:row], least_similarity), row, *(row + one for one in after)]


def _similarity(before: Appearance, after: Appearance) -> float:
    return float(masked_similarity(merge_tracklet(before), merge_tracklet(after), "joint")[0, 0])
