"""A frame of a video as a small picture."""

from __future__ import annotations

from pathlib import Path

import av
import av.error
import cv2

PREVIEW_WIDTH, PREVIEW_QUALITY = 480, 80


def preview(path: Path, seconds: float) -> bytes | None:
    """A frame of an MP4 file as a JPEG file: the last one until a second after its beginning; None if there is none."""
    image = None
    try:
        with av.open(str(path.absolute()), format="mp4", metadata_errors="replace") as container:
            stream = container.streams.video[0]
            container.seek(max(0, int(seconds * av.time_base)), backward=True)
            for frame in container.decode(stream):
                if image is not None and frame.time is not None and frame.time > seconds + 1e-3:
                    break
                image = frame
    except (OSError, IndexError, av.error.FFmpegError):
        return None
    if image is None:
        return None
    scale = min(1.0, PREVIEW_WIDTH / image.width)
    small = image.to_ndarray(format="bgr24", width=round(image.width * scale), height=round(image.height * scale))
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, PREVIEW_QUALITY])[1].tobytes()
