"""Our tracker: motion and overlap join boxes to tracks, appearance corrects them before they are final."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np
import supervision as sv
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .appearance import Views, view_similarity
from .crops import CropChooser
from .geometry import box_iou, visible_shares
from .motion import Motion, join
from .protocol import Embed, TrackedFrame, TrackerSettings
from .window import Window


@dataclass
class P:
    delay: float = 2.5
    confuse_iou: float = 0.25
    hidden: float = 0.5
    clean: float = 0.7
    after_views: int = 2
    patience: float = 1.2
    spacing: float = 0.15
    margin: float = 0.12
    swap_margin: float = 0.08
    new: float = 0.5
    split: float = 0.4
    gap: float = 0.25
    first_hits: int = 3
    second_iou: float = 0.5
    first_iou: float = 0.3
    reach: float = 1.0
    takeover_born: float = 0.1
    fuse: bool = False
    verify: bool = True
    wapp: float = 0.0
    alarm: float = 0.4
    alarm_split: float = 0.3
    alarm_views: int = 3
    simmode: str = 'mean'
    cleanq: bool = True


@dataclass(slots=True)
class _Doubt:
    """A span in which a track may have changed over to another person."""

    began: float
    ended: float
    rivals: dict[int, tuple[float, float]] = field(default_factory=dict)  # by id: largest overlap, and when
    born: bool = False
    alarm: bool = False


@dataclass(slots=True)
class _Track:
    track_id: int
    motion: Motion  # one row
    first_seconds: float
    last_seconds: float
    hits: int = 1
    views: Views = field(default_factory=Views)
    doubt: _Doubt | None = None
    missed: bool = False
    last_xyxy: NDArray[np.float32] | None = None
    saved: Motion | None = None
    row: int = -1
    fits: list = field(default_factory=list)


class MaskedTracker:
    def __init__(self, settings: TrackerSettings, p: P | None = None) -> None:
        self._s = settings
        self.p = p or P()
        self._tracks: list[_Track] = []
        self._window = Window(self.p.delay, settings.fill_seconds)
        self._next = 1
        self._seconds = None
        self._crops = CropChooser(settings)
        self.embedded = 0
        self.person_seconds = 0.0
        self.log = []
        self._people = 0

    @property
    def open_ids(self) -> AbstractSet[int]:
        return {t.track_id for t in self._tracks} | self._window.ids

    @property
    def people(self) -> int:
        return self._people

    def update(self, detections: sv.Detections, seconds: float, embed: Embed) -> list[TrackedFrame]:
        p = self.p
        xyxy = np.ascontiguousarray(detections.xyxy, np.float32)
        confidence = np.ascontiguousarray(detections.confidence, np.float32)
        step = 0.0 if self._seconds is None else seconds - self._seconds
        self._seconds = seconds
        self._tracks = [t for t in self._tracks if seconds - t.last_seconds <= self._s.lost_seconds + 0.002]
        motion = join([t.motion for t in self._tracks]).predict(step)
        for row, t in enumerate(self._tracks):
            t.motion, t.row = motion[row : row + 1], -1
        self._associate(motion, xyxy, confidence, seconds)
        self._drop()
        visible = visible_shares(xyxy[[t.row for t in self._tracks if t.row >= 0]])
        present = [t for t in self._tracks if t.row >= 0]
        vis = dict(zip([t.track_id for t in present], visible.tolist(), strict=True))
        self._doubts(vis, xyxy, seconds)
        self._people = len(present)
        self.person_seconds += step * len(present)
        if self._s.appearance != "none":
            self._look(present, vis, xyxy, seconds, step, embed)
            if p.verify:
                self._verify(seconds, vis)
        self._window.add(seconds, xyxy, confidence, {t.track_id: t.row for t in self._tracks if t.row >= 0})
        return self._window.release(seconds)

    def finish(self) -> list[TrackedFrame]:
        return self._window.release(np.inf)

    # association
    def _associate(self, motion, xyxy, confidence, seconds) -> None:
        s, p = self._s, self.p
        iou = box_iou(motion.xyxy, xyxy)  # (T, N)
        high = confidence >= s.high_confidence
        low = ~high & (confidence >= s.low_confidence)
        free = np.ones(len(self._tracks), bool)
        score = iou * confidence if p.fuse else iou
        self._match(score, free, np.flatnonzero(high), 1 - s.match_cost, xyxy, confidence, seconds)
        recent = np.array([seconds - t.last_seconds <= 0.6 for t in self._tracks], bool)
        self._match(iou, free & recent, np.flatnonzero(low), p.second_iou, xyxy, confidence, seconds)
        free = np.array([t.row < 0 for t in self._tracks], bool)
        used = {t.row for t in self._tracks}
        left = np.array([r for r in np.flatnonzero(high) if r not in used], int)
        if len(left) and free.any():
            last = np.stack([t.last_xyxy for t in self._tracks])
            self._match(np.maximum(box_iou(last, xyxy), iou), free, left, p.first_iou, xyxy, confidence, seconds)
            used = {t.row for t in self._tracks}
        for r in left:
            if r not in used and confidence[r] >= s.new_track_confidence:
                t = _Track(self._next, Motion.start(xyxy[r : r + 1]), seconds, seconds, last_xyxy=xyxy[r], row=int(r))
                t.saved = t.motion
                t.doubt = _Doubt(seconds, seconds, born=True)
                self._next += 1
                self._tracks.append(t)

    def _match(self, score, free, columns, least, xyxy, confidence, seconds) -> None:
        rows = np.flatnonzero(free & np.array([t.row < 0 for t in self._tracks], bool))
        if not len(rows) or not len(columns):
            return
        part = score[np.ix_(rows, columns)]
        gain = np.where(part >= least, part, 0.0)
        a, b = linear_sum_assignment(gain, maximize=True)
        for i, j in zip(a, b, strict=True):
            if gain[i, j] > 0:
                self._continue(self._tracks[rows[i]], int(columns[j]), xyxy, confidence, seconds)

    def _continue(self, t: _Track, row: int, xyxy, confidence, seconds) -> None:
        gap = seconds - t.last_seconds
        t.fits.append((seconds, float(box_iou(t.motion.xyxy, xyxy[row : row + 1])[0, 0]) - gap))
        del t.fits[:-40]
        if gap > self.p.gap:
            t.motion = self._replay(t, xyxy[row], seconds)
            self._open_doubt(t, t.last_seconds, seconds)
        t.motion = t.motion.correct(xyxy[row : row + 1], confidence[row : row + 1])
        t.saved, t.last_xyxy, t.last_seconds, t.row, t.hits = t.motion, xyxy[row], seconds, row, t.hits + 1

    def _replay(self, t: _Track, xyxy, seconds):
        """Observation-centric re-update [OC-SORT]."""
        m = t.saved; n = max(int((seconds - t.last_seconds) / 0.08), 1)
        for k in range(1, n):
            box = (t.last_xyxy + (xyxy - t.last_xyxy) * (k / n))[None]
            m = m.predict((seconds - t.last_seconds) / n).correct(box, np.ones(1))
        return m.predict((seconds - t.last_seconds) / n)

    def _drop(self) -> None:
        """Forget tracks that were missed before they were confirmed."""
        gone = [t for t in self._tracks if t.row < 0 and t.hits < self.p.first_hits and self._seconds - t.last_seconds > 0.3]
        for t in gone:
            self._window.relabel({t.track_id: 0}, t.first_seconds)
        self._tracks = [t for t in self._tracks if t not in gone]

    def _open_doubt(self, t, began, ended) -> None:
        if t.doubt is None:
            t.doubt = _Doubt(began, ended)
        t.doubt.ended = ended

    def _doubts(self, vis, xyxy, seconds) -> None:
        boxes = np.concatenate([np.zeros((0, 4)), *(xyxy[t.row : t.row + 1] if t.row >= 0 else t.motion.xyxy for t in self._tracks)])
        iou = box_iou(boxes, boxes)
        np.fill_diagonal(iou, 0)
        for i, j in zip(*np.nonzero(iou > self.p.confuse_iou), strict=True):
            t, other = self._tracks[i], self._tracks[j]
            if t.row < 0:
                continue
            self._open_doubt(t, seconds, seconds)
            if iou[i, j] > t.doubt.rivals.get(other.track_id, (0, 0))[0]:
                t.doubt.rivals[other.track_id] = float(iou[i, j]), seconds
        for t in self._tracks:
            if t.row >= 0 and vis[t.track_id] < self.p.hidden:
                self._open_doubt(t, seconds, seconds)

    def _look(self, present, vis, xyxy, seconds, step, embed) -> None:
        p = self.p
        rows = np.array([t.row for t in present], np.int64)
        quality = self._crops.quality(xyxy[rows])
        urgent = {}
        for t in present:
            d = t.doubt
            if d is not None and (d.born or seconds > d.ended) and len(t.views.since(d.ended)) <= (p.alarm_views if d.alarm else p.after_views):
                urgent[t.track_id] = p.spacing
        chosen = self._crops.choose(seconds, [t.track_id for t in present], quality, urgent)
        if not len(chosen):
            return
        self.embedded += len(chosen)
        e, m = embed(rows[chosen])
        for k, one, mask in zip(chosen, e, m, strict=True):
            t = present[k]
            if (quality[k] if p.cleanq else vis[t.track_id]) >= p.clean:
                if t.doubt is None and len(t.views) and self._sim(Views([seconds], [one], [mask]), t.views) < p.alarm:
                    began = t.views.seconds[-1] + 1e-6
                    t.doubt = _Doubt(began, began)
                    t.doubt.alarm = True
                t.views.add(seconds, one, mask)

    def _sim(self, a, b):
        if self.p.simmode == "max":
            return float((np.stack(a.embedding) @ np.stack(b.embedding).T).max(1).mean())
        if self.p.simmode == "max2":
            g = np.sort(np.stack(a.embedding) @ np.stack(b.embedding).T, 1)[:, -2:]
            return float(g.mean())
        return view_similarity(a, b, self._s.appearance == "masked")

    def _verify(self, seconds, vis) -> None:
        p = self.p
        by_id = {t.track_id: t for t in self._tracks}
        for t in list(self._tracks):
            if t.row < 0 or t.doubt is None:
                continue
            d = t.doubt
            after = t.views.since(d.ended if d.born else d.ended + 1e-6)
            need = p.alarm_views if d.alarm else p.after_views
            if len(after) < need and not (len(after) and seconds - d.ended > p.patience):
                continue
            before = t.views.before(d.began)
            own = self._sim(after, before) if len(before) else None
            best = (0.0, None, None)
            for other in self._tracks:
                if other is t:
                    continue
                rival = other.track_id in d.rivals
                if other.row >= 0 and not rival:
                    continue
                if other.row < 0 and other.last_seconds > seconds - 0.01:
                    continue
                if other.row < 0 and not rival and not self._reach(t, other, d):
                    continue
                start = d.began if other.row < 0 else min(d.began, other.doubt.began if other.doubt and not other.doubt.born else d.began)
                ob = other.views.before(start)
                if not len(ob):
                    continue
                cross = self._sim(after, ob)
                if other.row < 0:
                    gain = cross - (own if own is not None else p.new)
                    if other.last_seconds > d.ended:  # both were seen at once afterwards
                        continue
                    if gain > (p.margin if own is not None else p.takeover_born - 0.1) and gain - p.margin > best[0]:
                        best = (gain - p.margin, other, "take")
                elif own is not None:
                    oa = other.views.since(max(d.ended, other.doubt.ended if other.doubt else 0))
                    if not len(oa):
                        continue
                    gain = (cross + self._sim(oa, before) - own - self._sim(oa, ob)) / 2
                    if gain > p.swap_margin and gain > best[0]:
                        best = (gain, other, "swap")
            _, other, what = best
            if what == "swap":
                since = d.rivals[other.track_id][1]
                self._swap(t, other, since)
                self.log.append((seconds, what, t.track_id, other.track_id, since, best[0]))
                other.doubt = None
            elif what == "take":
                since = d.rivals[other.track_id][1] if other.track_id in d.rivals else self._worst(t, d.began - 1e-3, after.seconds[0])
                if d.born: since = t.first_seconds
                self.log.append((seconds, what, t.track_id, other.track_id, since, best[0]))
                self._take(t, other, since)
            elif own is not None and own < (p.alarm_split if d.alarm else p.split):
                since = max(d.rivals.values())[1] if d.rivals else self._worst(t, d.began - 1e-3, after.seconds[0])
                self.log.append((seconds, "split", t.track_id, self._next, since, own))
                self._split(t, since)
            t.doubt = None

    def _worst(self, t, began, ended):
        span = [(fit, s) for s, fit in t.fits if began < s <= ended]
        return min(span)[1] if span else ended

    def _reach(self, t, other, d) -> bool:
        a, b = other.motion.xyxy[0], t.motion.xyxy[0]
        last = other.last_xyxy
        h = max(last[3] - last[1], 1)
        dist = min(np.hypot(*(((c[:2] + c[2:]) - (b[:2] + b[2:])) / 2)) for c in (a, last))
        return bool(dist < h * self.p.reach * (0.5 + (self._seconds - other.last_seconds)) and 0.6 < (b[3] - b[1]) / h < 1.6)

    def _swap(self, t, other, since) -> None:
        self._window.relabel({t.track_id: other.track_id, other.track_id: t.track_id}, since)
        tv, ov = t.views, other.views
        t.views, other.views = ov.before(since) + tv.since(since), tv.before(since) + ov.since(since)
        t.track_id, other.track_id = other.track_id, t.track_id

    def _take(self, t, other, since) -> None:
        """t goes on as the lost track other; what t was before is lost since then."""
        self._window.relabel({t.track_id: other.track_id}, since)
        old = t.views.before(since)
        t.views = other.views + t.views.since(since)
        mine = t.track_id
        t.track_id = other.track_id
        t.hits += other.hits
        if since <= t.first_seconds:
            self._tracks.remove(other)
        else:
            other.track_id, other.views = mine, old
            other.last_seconds = since

    def _split(self, t, since) -> None:
        self._window.relabel({t.track_id: self._next}, since)
        t.views = t.views.since(since)
        t.track_id = self._next
        t.first_seconds = since
        self._next += 1
