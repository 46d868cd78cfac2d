"""Footage of boxes for tracker tests: people who walk, what they look like, and a tracker run over it."""

import numpy as np

from reidpipe.trackers import Detections

FPS = 10
START = 1772442000.0


def people(*centres_x: float, confidence: float = 0.9) -> Detections:
    xyxy = np.array([[x - 20, 100, x + 20, 200] for x in centres_x], np.float32).reshape(-1, 4)
    return Detections(xyxy=xyxy, confidence=np.full(len(xyxy), confidence, np.float32))


def no_appearance(rows):
    """Everybody looks the same."""
    return np.tile(np.float32([1, 0, 0]), (len(rows), 1)), np.ones((len(rows), 3), np.float32)


class FrameTracker:
    """A tracker whose frames come at a fixed rate, unless their time is given; keeps all settled frames."""

    def __init__(self, tracker):
        self.tracker, self.seconds, self.frames = tracker, START, []
        self.embedded = []  # seconds of every embedded crop

    def update(self, detections, after=1 / FPS, looks=None):
        """`looks`: one embedding per box, unit length."""
        self.seconds += after

        def embed(rows):
            self.embedded += [self.seconds] * len(rows)
            if looks is None:
                return no_appearance(rows)
            return np.float32(looks)[rows], np.ones((len(rows), len(looks[0])), np.float32)

        self.frames += self.tracker.update(detections, self.seconds, embed)

    def finish(self):
        """All frames, with those held back."""
        self.frames += self.tracker.finish()
        return self.frames

    def ids(self):
        """Track ids of every frame."""
        return [frame.track_ids.tolist() for frame in self.finish()]
