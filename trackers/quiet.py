"""Run ultralytics without its analytics, network probes and automatic pip installs."""

from __future__ import annotations

import os


def silence_ultralytics() -> None:
    """Switch off ultralytics' analytics, network probes and automatic installs.

    Call it before the process first imports ultralytics; a surveillance product must do none of these things. Weights
    given by name are still downloaded, because the user asked for them.
    """
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ.setdefault("YOLO_VERBOSE", "false")
