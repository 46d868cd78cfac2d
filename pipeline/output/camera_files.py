"""Names of the files that belong to one camera each."""

import re
from collections.abc import Iterable


def camera_stems(cameras: Iterable[str]) -> dict[str, str]:
    """A distinct, safe file name without extension for every camera: letters, digits, `_`, `-` and `.` are kept."""
    stems: dict[str, str] = {}
    for camera in cameras:
        stem = plain = re.sub(r"[^\w.-]+", "_", camera).lstrip(".") or "camera"
        count = 1
        while stem in stems.values():
            count += 1
            stem = f"{plain}_{count}"
        stems[camera] = stem
    return stems
