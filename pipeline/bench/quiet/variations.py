"""Make footage harder for a comparison of frames: changing light, flicker, rain, noise, darkness, compression."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from ...types import Frame, Image

LIGHT_CHANGE, LIGHT_SECONDS = 0.25, 30.0  # a cloud: a quarter brighter, then darker
FLICKER_CHANGE, FLICKER_HZ = 0.04, 7.3  # a lamp's beat with the shutter
DROPS, DROP_PIXELS = 150, 30  # streaks of rain per frame, each that long and half transparent
NOISE = 8.0  # grey levels, standard deviation in every channel
DARKNESS, DARK_GREY, DARK_NOISE = 0.15, 6.0, 1.5  # share of the light that is left, black level, noise
COMPRESSION = {"crf": "38", "preset": "veryfast", "tune": "zerolatency"}  # blocks are visible
KEY_FRAMES = 50  # between two key frames, at which the quality jumps
INSERTED = 1 << 40  # index of the first inserted frame: in no ground truth
BUSY_SECONDS = 5.0  # between two pauses


def varied(frames: Iterable[Frame], kind: str, pause: Sequence[Image], pause_seconds: float) -> Iterator[Frame]:
    """Frames of one camera, changed.

    Args:
        frames: as they are.
        kind: "plain", "light", "flicker", "rain", "noise", "dark", "compressed" or "pauses".
        pause: for "pauses", pictures of the same camera that show nobody, played to and fro.
        pause_seconds: for "pauses", how long each of them lasts.
    """
    if kind == "compressed":
        return _compressed(frames)
    if kind == "pauses":
        return _with_pauses(frames, pause, pause_seconds)
    if kind == "plain":
        return iter(frames)
    change, numbers = _CHANGES[kind], np.random.default_rng(0)
    return (replace(frame, image=change(frame.image, frame.seconds, numbers)) for frame in frames)


def _light(image: Image, seconds: float, _: np.random.Generator) -> Image:
    return _brightened(image, 1 + LIGHT_CHANGE * np.sin(2 * np.pi * seconds / LIGHT_SECONDS))


def _flicker(image: Image, seconds: float, _: np.random.Generator) -> Image:
    return _brightened(image, 1 + FLICKER_CHANGE * np.sin(2 * np.pi * seconds * FLICKER_HZ))


def _rain(image: Image, _: float, numbers: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    wet = image.copy()
    for x, y in numbers.integers(0, (width, height), (DROPS, 2)).tolist():
        cv2.line(wet, (x, y), (x + DROP_PIXELS // 10, y + DROP_PIXELS), (200, 200, 200))
    return np.asarray(cv2.addWeighted(wet, 0.5, image, 0.5, 0), np.uint8)


def _noise(image: Image, _: float, numbers: np.random.Generator) -> Image:
    return _noisy(image.astype(np.float32), NOISE, numbers)


def _dark(image: Image, _: float, numbers: np.random.Generator) -> Image:
    return _noisy(image * np.float32(DARKNESS) + np.float32(DARK_GREY), DARK_NOISE, numbers)


_CHANGES: dict[str, Callable[[Image, float, np.random.Generator], Image]] = {
    "light": _light, "flicker": _flicker, "rain": _rain, "noise": _noise, "dark": _dark,
}


def _brightened(image: Image, gain: float) -> Image:
    return np.asarray(cv2.convertScaleAbs(image, alpha=gain), np.uint8)


def _noisy(image: NDArray[np.float32], level: float, numbers: np.random.Generator) -> Image:
    noise = numbers.standard_normal(image.shape, dtype=np.float32) * np.float32(level)
    return (image + noise).clip(0, 255).astype(np.uint8)


def _compressed(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Through H.264 of low quality and back."""
    encoder: VideoCodecContext | None = None
    decoder = av.CodecContext.create("h264", "r")
    decoder.flags |= av.codec.context.Flags.low_delay
    waiting: list[Frame] = []
    for number, frame in enumerate(frames):
        height, width = frame.image.shape[:2]
        if encoder is None:
            encoder = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width // 2 * 2, height // 2 * 2, "yuv420p"
            encoder.time_base, encoder.gop_size, encoder.options = Fraction(1, 25), KEY_FRAMES, COMPRESSION
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame.image[: encoder.height, : encoder.width]), "bgr24")
        picture.pts = number
        waiting.append(frame)
        for packet in encoder.encode(picture):
            yield from _shown(waiting, decoder.decode(packet))
    if encoder is not None:
        for packet in encoder.encode(None):
            yield from _shown(waiting, decoder.decode(packet))
        yield from _shown(waiting, decoder.decode(None))


def _shown(waiting: list[Frame], pictures: Iterable[VideoFrame]) -> Iterator[Frame]:
    for picture in pictures:
        yield replace(waiting.pop(0), image=np.asarray(picture.to_ndarray(format="bgr24"), np.uint8))


def _with_pauses(frames: Iterable[Frame], pause: Sequence[Image], pause_seconds: float) -> Iterator[Frame]:
    """After every few seconds, the empty scene for a while; what follows comes later by that."""
    to_and_fro = [*pause, *pause[-2:0:-1]]
    later, step, since = 0.0, 0.0, -np.inf
    index, last = INSERTED, None
    for frame in frames:
        if last is not None:
            step = frame.seconds - last.seconds
            if frame.seconds - since >= BUSY_SECONDS and to_and_fro:
                count = round(pause_seconds / step)
                for number in range(count):
                    image = to_and_fro[number % len(to_and_fro)]
                    yield replace(frame, index=index, seconds=frame.seconds + later, image=image)
                    index, later = index + 1, later + step
                since = frame.seconds
        else:
            since = frame.seconds
        last = frame
        yield replace(frame, seconds=frame.seconds + later)
