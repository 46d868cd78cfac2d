"""Load damaged copies of a network in this process, and report how each ended; run by test_onnx.py.

    python -m tests.fuzz.mutated_onnx KIND FOLDER RESULTS COUNT
"""

import random
import sys
import time
import traceback
from pathlib import Path

from reidpipe.pipeline.config.schema import DetectorConfig
from reidpipe.pipeline.prepare import try_detector, try_embedder
from reidpipe.pipeline.stages.detect import open_detector
from reidpipe.reid.embedder import Embedder
from reidpipe.reid.errors import WeightsError

BYTES_OF_A_WORD = 4


def mutated(content: bytes, seed: int) -> bytes:
    """One of the usual kinds of damage, mostly in the graph: at the start and the end of the file."""
    chance = random.Random(seed)
    damaged = bytearray(content)
    kind = chance.choice(["flip", "flip", "flip", "cut", "zero", "repeat", "remove", "number"])
    for _ in range(chance.choice([1, 2, 8, 64])):
        at = chance.randrange(len(damaged)) if chance.random() < 0.5 else chance.randrange(min(2000, len(damaged)))
        if kind == "flip":
            damaged[at] ^= 1 << chance.randrange(8)
        elif kind == "number":
            damaged[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == "zero":
            damaged[at : at + BYTES_OF_A_WORD] = bytes(len(damaged[at : at + BYTES_OF_A_WORD]))
        elif kind == "cut":
            del damaged[max(1, at) :]
        elif kind == "repeat":
            damaged[at:at] = damaged[at : at + 64]
        elif kind == "remove" and len(damaged) > 128:
            del damaged[at : at + chance.randrange(1, 64)]
    return bytes(damaged)


def load(kind: str, path: Path) -> None:
    """Open a network as a run does, and try it."""
    if kind == "detector":
        try_detector(open_detector(DetectorConfig(weights=str(path)), threads=1), 64, 64)
    else:
        try_embedder(Embedder(path, threads=1))


def main() -> None:
    """Write `seed outcome seconds` for each copy; the seed is written before the copy is tried."""
    kind, folder, results, count = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    content = (folder / f"{kind}.onnx").read_bytes()
    path = folder / f"{kind}-mutated.onnx"
    with results.open("w") as report:
        for seed in range(count):
            path.write_bytes(mutated(content, seed))
            print(seed, end=" ", file=report, flush=True)
            began = time.monotonic()
            try:
                load(kind, path)
                outcome = "loaded"
            except WeightsError as error:
                outcome = "refused" if "\n" not in str(error) else "lines"
            except Exception:  # noqa: BLE001 - what is looked for
                outcome = "traceback"
                traceback.print_exc()
            print(outcome, f"{time.monotonic() - began:.2f}", file=report, flush=True)


if __name__ == "__main__":
    main()
