"""ultralytics without its analytics: it reports home, probes the network and pip-installs unless told not to."""

from __future__ import annotations

import os


def silence_ultralytics() -> None:
    """Switch off ultralytics' events, network probes and self-installed packages.

    Call it before the first import of ultralytics in a process; a surveillance product does none of these things.
    Weights given by name are still fetched: that is a request of the user's own.
    """
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ.setdefault("YOLO_VERBOSE", "false")
