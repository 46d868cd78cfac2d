"""Keep every dependency offline: no telemetry, no update checks, no packages that install themselves.

Importing this package sets the switches.  `reidpipe.reid`, `reidpipe.trackers` and `reidpipe.pipeline` import it before
any dependency, because most dependencies read their switches once, when they are imported.  Each has its own way:

- onnxruntime, from 1.32 on, looks up a telemetry host and writes to ~/.cache/Microsoft: `ORT_DISABLE_TELEMETRY`.
- ultralytics sends analytics, probes the network, looks for updates and runs pip: `YOLO_OFFLINE`, `YOLO_AUTOINSTALL`.
- OpenVINO's converter, which `import openvino` loads, sends an event with openvino_telemetry and keeps a consent file
  in ~/intel. It has no switch for one process, but does without the package where that cannot be imported.
- huggingface_hub, below timm and open_clip, sends usage data and the user's token, and looks for updates.
- NNCF, which quantises detectors, sends events with openvino_telemetry: `NNCF_CI`.
- albumentations, which ultralytics uses where it is installed, looks for updates.

torch, torchvision, OpenCV, supervision, TensorBoard, matplotlib, PyAV, FAISS, SQLAlchemy and pyarrow have nothing to
switch off.  Weights that a config or recipe names as published are still downloaded, because the user asked for them.
tests/test_offline.py runs every command and checks what this module promises.
"""

from __future__ import annotations

import os
import sys

SWITCHES = {
    "ORT_DISABLE_TELEMETRY": "1",
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "NNCF_CI": "1",
    "DO_NOT_TRACK": "1",  # a convention that several libraries follow: https://donottrack.sh
}


os.environ.update(SWITCHES)  # child processes inherit them
os.environ.setdefault("YOLO_VERBOSE", "false")  # not a leak, but ultralytics prints banners into our output
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: it cannot be imported
