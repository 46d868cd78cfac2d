"""The model's links about which nobody has decided yet."""

from __future__ import annotations

from sqlalchemy import select

from ...storage.schema import Camera, CorrectionRow, CorrectionTracklet, Identity, LinkRow
from ...storage.store import Store
from ...storage.writing.corrected import undone
from .tracklets import LinkedTracklet, linked_tracklets

MOST_REVIEWED = 100  # links in one go; afterwards the page asks again
UNSURE = 0.75  # links with a lower probability are worth a look; the timeline hatches them


def least_sure_links(store: Store, run: int) -> dict[str, object]:
    """The links with the lowest probabilities about which nobody has decided yet, the least sure first.

    `unsure` of the `total` are below UNSURE; links of reidpipe 0.1 have no probability, and are only counted.
    """
    with store.reading() as connection:
        gone = undone(connection, run)
        rows = connection.execute(
            select(CorrectionRow.id, CorrectionTracklet.tracklet_id)
            .join(CorrectionTracklet, CorrectionTracklet.correction_id == CorrectionRow.id)
            .where(CorrectionRow.run_id == run, CorrectionRow.kind == "merge"))
        decided = {tracklet for correction, tracklet in rows if correction not in gone}
        links = [LinkedTracklet._make(row) for row in connection.execute(
            linked_tracklets().where(
                Camera.run_id == run, Identity.run_id == run, LinkRow.by == "model", LinkRow.similarity.is_not(None))
            .order_by(LinkRow.probability, LinkRow.similarity))]
    known = [one for one in links if one.probability is not None and one.id not in decided]
    return {
        "links": [one._asdict() for one in known[:MOST_REVIEWED]], "total": len(known),
        "unsure": sum(one.probability is not None and one.probability < UNSURE for one in known),
        "without_probability": sum(one.probability is None for one in links)}
