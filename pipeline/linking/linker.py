"""Link tracklets to identities as they come, at a cost and with a memory that do not grow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reid import Appearance, concatenate, masked_similarity, shared_mask_share
from ..config.linking import LinkingConfig
from ..types import Link, TrackKey, Tracklet
from .candidates import KnownIdentities
from .evidence.calibration import log_odds, probability
from .evidence.spans import spans_of
from .evidence.views import NEAREST_VIEWS
from .recent import UNDECIDED, Mask, Recent
from .revision import Revision

REVISED_SECONDS = 120.0  # decisions about tracklets that ended longer ago are final
KEPT_SECONDS = 300.0  # tracklets that ended longer ago are kept as summaries of their identities only
MOST_RECENT = 2048  # tracklets, however crowded it is; the matrices over all pairs of them then take 20 MB
REMOVED_AT_ONCE = 64  # removing copies these matrices
BATCH_SECONDS = 5.0  # tracklets that end within this time are linked together
EARLY_SECONDS = 10.0  # tracklets are linked when they have become so long, before they end,
EARLY_CONFIDENCE = 0.1  # if their mean confidence is so much above the least, as links are not withdrawn when it falls


class Linker:
    """Takes tracklets in the order in which they end, and gives links; a later link replaces an earlier one.

    A tracklet that has not ended yet may be given early, and again when it is longer; its later versions must come
    within `KEPT_SECONDS`. Memory is bounded by the number of people who can still come back. The same tracklets in the
    same batches give the same links.
    """

    def __init__(self, config: LinkingConfig, cameras: Sequence[str], dimensions: int) -> None:
        self._config = config
        self._camera_numbers = {name: number for number, name in enumerate(cameras)}
        self._known = KnownIdentities(config, dimensions)
        self._recent = Recent(config, self._known, cameras, dimensions)
        self._next_number = 1
        self._now = -np.inf
        self._revised_afresh = -np.inf

    def add(self, tracklets: Sequence[Tracklet], now_seconds: float) -> list[Link]:
        """Link tracklets, and revise recent decisions.

        Args:
            tracklets: of any of the cameras; those that are not `can_be_linked` get no identity.
            now_seconds: how far the footage is, UTC epoch seconds; it never goes back.

        Returns:
            The links that are new or have changed.
        """
        chosen = [one for one in tracklets if can_be_linked(one, self._config)]
        self._now = max(self._now, now_seconds)
        if not chosen:
            return []
        chosen.sort(key=lambda one: (one.first_seconds, one.camera, one.track_id))
        self._append(chosen)
        self._revise(afresh=self._now - self._revised_afresh >= REVISED_SECONDS)
        return self._changed_links() + self._age()

    def state(self) -> dict[str, NDArray[np.generic]]:
        """All that decides what comes next, as arrays of bounded size, to be stored between two calls of `add`."""
        own = {"next_number": np.array(self._next_number), "now": np.array(self._now),
               "revised_afresh": np.array(self._revised_afresh)}
        recent = {f"recent.{name}": array for name, array in self._recent.state().items()}
        return own | recent | {f"known.{name}": array for name, array in self._known.state().items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue, with the same settings and cameras, as the linker would have that gave this state."""
        self._next_number, self._now = int(state["next_number"]), float(state["now"])
        self._revised_afresh = float(state["revised_afresh"])
        parts = {
            part: {name.removeprefix(f"{part}."): array for name, array in state.items() if name.startswith(f"{part}.")}
            for part in ("recent", "known")}
        self._known.restore(parts["known"])
        self._recent.restore(parts["recent"], list(self._camera_numbers))

    def remember(self, appearance: Appearance, last_seconds: NDArray[np.float64]) -> None:
        """Know N people who were seen elsewhere, once each, as identities that may come back.

        Args:
            appearance: N rows.
            last_seconds: float64 (N,), when they were seen.
        """
        numbers = self._next_number + np.arange(len(appearance))
        nowhere = np.full((len(appearance), 2), np.nan, np.float32)
        self._known.add(numbers, appearance, last_seconds, nowhere)
        self._next_number += len(appearance)

    def held(self) -> tuple[int, int]:
        """How many recent tracklets, and how many identities in summary, it holds."""
        return len(self._recent), len(self._known)

    def finish(self) -> list[Link]:
        """Make all decisions final; returns the links that have changed."""
        if not self._recent.is_open.any():
            return []
        self._revise(afresh=True)
        return self._changed_links() + self._close(self._recent.is_open)

    def _revise(self, afresh: bool) -> None:
        """Decide again about the open tracklets; now and then afresh, so that no early mistake is final."""
        recent, first_new = self._recent, self._next_number
        revision = Revision(recent, log_odds(1 - self._config.false_link_rate), first_new)
        if afresh:
            revision.run_afresh()
            self._revised_afresh = self._now
        else:
            revision.run()
        recent.split_absences(revision.next_number)
        self._next_number = recent.number_by_appearance(first_new)

    def _append(self, tracklets: Sequence[Tracklet]) -> None:
        """Add tracklets; a longer version replaces the earlier one."""
        recent = self._recent
        keys = [one.key for one in tracklets]
        rows = {key: row for row, key in enumerate(recent.keys)}
        earlier = np.array([rows.get(key, -1) for key in keys])
        replaced = earlier >= 0
        identity, written, probability = (
            np.where(replaced, values[earlier] if len(values) else nothing, nothing)
            for values, nothing in (
                (recent.identity, UNDECIDED), (recent.written, UNDECIDED), (recent.probability, np.nan)))
        if replaced.any():
            recent.keep(~np.isin(np.arange(len(recent)), earlier[replaced]))
        appearance = concatenate([one.appearance for one in tracklets])
        sure = np.array([sure_seconds(one, self._config) for one in tracklets])
        recent.append(
            keys, spans_of(tracklets, self._camera_numbers), appearance, sure, identity, written, probability)
        for row in range(len(recent) - len(keys), len(recent)):
            if (~recent.compatible[row] & (recent.identity == recent.identity[row])).any():
                recent.identity[row] = UNDECIDED  # its longer version

    def _age(self) -> list[Link]:
        """Make older decisions final, and keep the oldest tracklets as summaries of their identities only."""
        recent = self._recent
        links = self._close(recent.is_open & (recent.spans.last < self._now - REVISED_SECONDS))
        old = recent.spans.last < self._now - KEPT_SECONDS
        crowd = len(recent) - MOST_RECENT
        if crowd > 0:
            old[np.argsort(recent.spans.last, kind="stable")[: crowd + REMOVED_AT_ONCE]] = True
        if old.sum() >= REMOVED_AT_ONCE:
            links += self._close(recent.is_open & old)
            recent.summarise(old, self._now)
        return links

    def _changed_links(self) -> list[Link]:
        """Links of the tracklets whose identity is not the one that was written last; of new ones, if they are sure."""
        recent = self._recent
        changed = recent.identity != recent.written
        return self._write(np.flatnonzero(changed & (recent.are_seen_enough() | (recent.written != UNDECIDED))))

    def _close(self, rows: Mask) -> list[Link]:
        """Make decisions final; what was linked without evidence, as an identity's first, may not be it any more."""
        self._recent.is_open[rows] = False
        unstated = np.flatnonzero(rows & np.isnan(self._recent.probability))
        unstated = unstated[self._recent.written[unstated] != UNDECIDED]
        return [link for link in self._write(unstated) if link.probability is not None]

    def _write(self, rows: NDArray[np.int64]) -> list[Link]:
        recent = self._recent
        links = links_of(recent, self._known, rows)
        recent.written[rows] = recent.identity[rows]
        recent.probability[rows] = [np.nan if link.probability is None else link.probability for link in links]
        return links


def can_be_linked(tracklet: Tracklet, config: LinkingConfig) -> bool:
    """Whether enough is known of a tracklet to give it an identity: an appearance, and boxes enough."""
    return tracklet.observations >= config.min_observations and len(tracklet.appearance) > 0


def can_be_linked_early(tracklet: Tracklet, config: LinkingConfig) -> bool:
    """Whether a tracklet that has not ended can be given an identity."""
    return can_be_linked(tracklet, config) and tracklet.confidence >= config.min_confidence + EARLY_CONFIDENCE


def sure_seconds(tracklet: Tracklet, config: LinkingConfig) -> float:
    """For how long a tracklet surely shows a person: its duration, or 0 if its mean confidence is too low."""
    return tracklet.last_seconds - tracklet.first_seconds if tracklet.confidence >= config.min_confidence else 0.0


def links_of(recent: Recent, known: KnownIdentities, rows: NDArray[np.int64]) -> list[Link]:
    """The links of R recent tracklets to their identities, with their evidence."""
    if not len(rows):
        return []
    identity = recent.identity[rows]
    numbers, odds = recent.options(rows, identity)  # (L,), (R, L)
    own_odds = odds[np.arange(len(rows)), np.searchsorted(numbers, identity)]
    earlier_seconds = known.last_seen(identity)  # (R,)
    return [_link_of(recent, known, *one) for one in zip(
        rows.tolist(), own_odds.tolist(), earlier_seconds.tolist(), strict=True)]


def _link_of(recent: Recent, known: KnownIdentities, row: int, odds: float, known_seconds: float) -> Link:
    """One link, from its log-odds and the time at which `known` last saw its identity."""
    identity = int(recent.identity[row])
    camera, track_id = recent.keys[row]
    rows = recent.members(identity)
    rows = rows[rows != row]
    spans = recent.spans
    earlier = rows[spans.first[rows] < spans.first[row]]
    last_seen = max(known_seconds, spans.last[earlier].max(initial=-np.inf))
    if not np.isfinite(last_seen):
        return Link(camera, track_id, identity, None, None, None)
    own, views, similarity = recent.appearance[[row]], recent.appearance[rows], recent.similarity[row, rows]
    if np.isfinite(known_seconds):
        before = known.views(identity)
        views = concatenate([views, before])
        similarity = np.concatenate([similarity, masked_similarity(own, before, recent.mode)[0]])  # (V,)
    nearest = similarity.argmax()
    return Link(
        camera,
        track_id,
        identity,
        float(np.sort(similarity)[-NEAREST_VIEWS:].mean()),
        float(shared_mask_share(own, views[[nearest]])[0, 0]),
        float(spans.first[row] - last_seen),
        probability=probability(odds),
    )


def link_tracklets(tracklets: Sequence[Tracklet], config: LinkingConfig) -> list[Link]:
    """Link tracklets that are all there, as a run does while it goes on.

    Args:
        tracklets: of all cameras, in any order.
        config: the `linking` section of a config.

    Returns:
        One link per tracklet with an identity, by first second; identities are numbered from 1 by first appearance.
    """

    def linked_seconds(one: Tracklet) -> float:
        return min(one.last_seconds, one.first_seconds + EARLY_SECONDS)

    ordered = sorted(tracklets, key=lambda one: (linked_seconds(one), one.camera, one.track_id))
    dimensions = max((one.appearance.dimensions for one in ordered), default=1)
    linker = Linker(config, sorted({one.camera for one in ordered}), dimensions)
    links: dict[TrackKey, Link] = {}
    for _, batch in groupby(ordered, key=lambda one: linked_seconds(one) // BATCH_SECONDS):
        together = list(batch)
        changed = linker.add(together, linked_seconds(together[-1]))
        links |= {(link.camera, link.track_id): link for link in changed}
    links |= {(link.camera, link.track_id): link for link in linker.finish()}
    seconds: defaultdict[int, float] = defaultdict(float)
    for one in ordered:
        if one.key in links:
            seconds[links[one.key].identity] += sure_seconds(one, config)
    by_start = sorted(ordered, key=lambda one: (one.first_seconds, one.camera, one.track_id))
    found = [links[one.key] for one in by_start if one.key in links]
    found = [link for link in found if seconds[link.identity] >= config.min_seconds]  # revision may leave shorter ones
    numbers: dict[int, int] = {}
    for link in found:
        numbers.setdefault(link.identity, len(numbers) + 1)
    return [replace(link, identity=numbers[link.identity]) for link in found]
