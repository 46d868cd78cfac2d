"""Run the pipeline over damaged copies of footage and one good camera, in this process; run by test_footage.py.

    python -m tests.fuzz.mutated_footage FOLDER RESULTS COUNT
"""

import json
import random
import shutil
import sys
import threading
import time
import traceback
from pathlib import Path

from reidpipe.pipeline.config.cameras import CameraConfig
from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.listener import Silent
from reidpipe.pipeline.output.export import export_trajectories
from reidpipe.pipeline.run import run_pipeline
from reidpipe.pipeline.storage.store import Store

from ..pipeline.media import write_images, write_video
from ..pipeline.networks import write_detector, write_embedder
from .mutation import mutated

CAMERAS = 24  # damaged ones per run
SIZE = (64, 64)
FRAMES = 20
STALL_SECONDS = 300.0  # on a busy machine, a camera that is no hang was seen to wait for more than 30
KINDS = {  # file name and options of the container
    "mp4": ("a.mp4", {}),
    "mp4 with its index kept": ("a.mp4", {"movflags": "faststart"}),
    "fragmented mp4": ("a.mp4", {"movflags": "frag_keyframe+empty_moov"}),
    "mkv": ("a.mkv", {"cluster_time_limit": "500"}),
    "ts": ("a.ts", {}),
    "avi": ("a.avi", {}),
    "mjpeg": ("a.mjpeg", {}),
    "jpg folder": (".jpg", {}),
    "png folder": (".png", {}),
}


def originals(folder: Path) -> dict[str, Path]:
    """Good footage of every kind."""
    made = {}
    for kind, (name, options) in KINDS.items():
        place = folder / kind.replace(" ", "-")
        if kind.endswith("folder"):
            made[kind] = write_images(place, FRAMES, name, SIZE)
            continue
        place.mkdir()
        motion_jpeg = {"codec": "mjpeg", "options": {"strict": "unofficial"}} if kind == "mjpeg" else {}
        made[kind] = write_video(
            place / name, FRAMES, size=SIZE, container_options=options, sound=kind in ("mp4", "ts"), **motion_jpeg)
    return made


def damaged_copy(kind: str, original: Path, place: Path, seed: int) -> Path:
    """A copy with damage; of a folder, some of its images have it."""
    if original.is_dir():
        shutil.copytree(original, place)
        chance = random.Random(seed)
        for path in chance.sample(sorted(place.iterdir()), chance.randrange(1, FRAMES + 1)):
            path.write_bytes(mutated(path.read_bytes(), chance.randrange(2**32)))
        return place
    place = place.with_suffix(original.suffix)
    content = original.read_bytes()
    place.write_bytes(mutated(content, seed, content.index(b"mdat") if "kept" in kind else 0))
    return place


def run(folder: Path, footage: dict[str, Path], models: dict[str, dict[str, object]]) -> dict[str, object]:
    """One run and its exports; what happened, by camera."""
    cameras = {name: CameraConfig(source=str(path)) for name, path in footage.items()}
    database = folder / "people.db"
    config = Config(cameras=cameras, database=str(database), sources={"stall_seconds": STALL_SECONDS},
                    tracker={"name": "bytetrack"}, **models)
    began = time.monotonic()
    outcome = run_pipeline(config, Silent(), threading.Event())
    with Store.open(database) as store:
        exported = export_trajectories(store, folder / "all.csv")
        export_trajectories(store, folder / "visits.json", "json", summary=True)
        export_trajectories(store, folder / "all.parquet", "parquet")
    return {
        "seconds": time.monotonic() - began, "observations": outcome.observations, "exported": exported,
        "cameras": {one.camera: [one.status, one.analysed, one.error] for one in outcome.cameras},
    }


def main() -> None:
    """Write a line of JSON for each run; the seeds are written before it begins."""
    folder, results, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    made = originals(folder)
    models = {
        "detector": {"weights": str(write_detector(folder / "person.onnx", [[32, 32, 20, 40, 0.9]])), "image_size": 64},
        "appearance": {"weights": str(write_embedder(folder / "appearance.onnx"))},
    }
    kinds = list(KINDS)
    with results.open("w") as report:
        for first in range(0, count, CAMERAS):
            place = folder / f"run-{first}"
            place.mkdir()
            footage = {"good": made["mkv"]}
            for seed in range(first, min(first + CAMERAS, count)):
                kind = kinds[seed % len(kinds)]
                name = f"{kind} {seed}".replace(" ", "-")
                footage[name] = damaged_copy(kind, made[kind], place / name, seed)
            print(json.dumps(list(footage)), file=report, flush=True)
            try:
                done = run(place, footage, models)
            except BaseException:  # noqa: BLE001 - what is looked for
                done = {"traceback": traceback.format_exc()}
            print(json.dumps(done), file=report, flush=True)
            shutil.rmtree(place)


if __name__ == "__main__":
    main()
