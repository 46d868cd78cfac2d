"""Generate small videos and images, damage them, and read them back.

Frame number i is grey, brighter with i, and dark at its upper left.
"""

import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from reidpipe.pipeline.config.cameras import CameraConfig, SourcesConfig
from reidpipe.pipeline.sources.opening import open_source

WIDTH, HEIGHT = 64, 48
STEP = 8  # grey levels between two frames: enough to distinguish 24 of them after lossy coding
# A key frame in five, so that decoding recovers after damage.
PLAIN = {"preset": "ultrafast", "g": "5", "crf": "15", "x264-params": "scenecut=0"}


def picture(number, width=WIDTH, height=HEIGHT):
    image = np.full((height, width, 3), 40 + STEP * (number % 24), np.uint8)
    image += np.random.default_rng(number).integers(0, 20, image.shape, np.uint8)  # gives the packets some size
    image[: height // 3, : width // 3] = 0
    return image


def number_of(image):
    """Which frame of a video this is, from its brightness."""
    return round((float(image[image.shape[0] // 2 :].mean()) - 49.5) / STEP)


def write_video(
    path: Path,
    count=20,
    fps=10,
    *,
    size=(WIDTH, HEIGHT),
    first=0,
    codec="libx264",
    times_ms: Sequence[int] | None = None,
    options=None,
    container_options=None,
    rotation=None,
    sound=False,
):
    """Write `count` frames at `fps` per second, or at `times_ms` in milliseconds."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options = (PLAIN if codec == "libx264" else {}) | (options or {})
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if sound:
            _add_sound(container, count / fps)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(first + number, *size), format="bgr24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path, seconds=1.0):
    with av.open(str(path), "w") as container:
        _add_sound(container, seconds)
    return path


def _add_sound(container, seconds):
    stream = container.add_stream("aac", rate=16000)
    stream.layout = "mono"
    for start in range(0, int(seconds * 16000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, start
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def write_images(folder: Path, count=6, suffix=".png", size=(WIDTH, HEIGHT)):
    folder.mkdir(exist_ok=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"frame_{number}{suffix}"), picture(number, *size))
    return folder


def cut(path: Path, share=0.5):
    """Keep the first `share` of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def damage(path: Path, first=0.4, last=0.6):
    """Overwrite the bytes between two shares of a file with noise."""
    content = bytearray(path.read_bytes())
    start, end = int(len(content) * first), int(len(content) * last)
    content[start:end] = np.random.default_rng(0).integers(0, 256, end - start, np.uint8).tobytes()
    path.write_bytes(bytes(content))
    return path


def replaced(path: Path, old: bytes, new: bytes):
    """Replace some bytes of a file by as many others."""
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    return path


def open_camera(source, isolate=True, **settings):
    return open_source("entrance", CameraConfig(source=str(source), **settings), SourcesConfig(isolate=isolate))


def read(source):
    return list(source.frames(threading.Event()))


def numbers(frames):
    return [number_of(frame.image) for frame in frames]


def seconds_of(frames):
    return [frame.seconds for frame in frames]


def assert_adds_up(source, frames):
    assert source.counts.decoded == len(frames) + source.counts.thinned
