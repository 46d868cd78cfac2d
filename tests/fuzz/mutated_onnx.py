"""Load damaged copies of a network in this process, and report how each ended; run by test_onnx.py.

    python -m tests.fuzz.mutated_onnx KIND FOLDER RESULTS COUNT
"""

import sys
import time
import traceback
from pathlib import Path

from reidpipe.pipeline.config.stages import DetectorConfig
from reidpipe.pipeline.running.prepare import try_detector, try_embedder
from reidpipe.pipeline.stages.detection.detect import open_detector
from reidpipe.reid.embedder import Embedder
from reidpipe.reid.errors import WeightsError

from .mutation import mutated


def load(kind: str, path: Path) -> None:
    """Open a network as a run does, and try it."""
    if kind == "detector":
        try_detector(open_detector(DetectorConfig(weights=str(path)), threads=1), 64, 64)
    else:
        try_embedder(Embedder(path, threads=1))


def main() -> None:
    """Write `seed outcome seconds` (of the processor) for each copy; the seed is written before it is tried."""
    kind, folder, results, count = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    content = (folder / f"{kind}.onnx").read_bytes()
    path = folder / f"{kind}-mutated.onnx"
    with results.open("w") as report:
        for seed in range(count):
            path.write_bytes(mutated(content, seed))
            print(seed, end=" ", file=report, flush=True)
            began = time.process_time()
            try:
                load(kind, path)
                outcome = "loaded"
            except WeightsError as error:
                outcome = "refused" if "\n" not in str(error) else "lines"
            except Exception:  # noqa: BLE001 - what is looked for
                outcome = "traceback"
                traceback.print_exc()
            print(outcome, f"{time.process_time() - began:.2f}", file=report, flush=True)


if __name__ == "__main__":
    main()
