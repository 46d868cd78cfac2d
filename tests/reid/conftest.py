from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml


@pytest.fixture
def kit():
    """The development data beside the checkout; tests that need it are skipped elsewhere."""
    folder = Path(__file__).parents[2].parent / "shared" / "kit"
    if not folder.is_dir():
        pytest.skip(f"needs the development kit at {folder}, which is not part of the repository")
    return folder


@pytest.fixture
def write_crops():
    """Write a small folder of synthetic people: each identity four bands of colour, each camera a tint."""

    def write(folder, identities=6, cameras=2, each=2, seed=0):
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        for pid in range(1, identities + 1):
            bands = rng.integers(0, 256, (4, 1, 3))
            for camid in range(1, cameras + 1):
                for index in range(each):
                    noisy = np.repeat(bands, 24, axis=0) + rng.normal(0, 12, (96, 40, 3)) + 6 * camid
                    name = f"{pid:04d}_c{camid}s1_{index:06d}_00.png"
                    cv2.imwrite(str(folder / name), noisy.clip(0, 255).astype(np.uint8))
        return folder

    return write


@pytest.fixture
def tiny_backbones(monkeypatch):
    """Every model that the test builds has a backbone of a few thousand weights."""
    from .tiny_network import TinyBackbone, TinyVit

    options = {}

    def create(name, *, width=1.0, pretrained=None, cameras=0, graph="", height_px=None):
        return TinyVit() if name == "vit-b16" else TinyBackbone(cameras, **options)

    monkeypatch.setattr("reidpipe.reid.model.network.create_backbone", create)
    return options


TINY_RECIPE = {
    "train": ["crops/train"],
    "backbone": {"name": "osnet", "width": 0.25, "frozen": ["stem"]},
    "sampling": {"identities": 2, "crops": 2},
    "schedule": {"epochs": 2, "steps_per_epoch": 2, "warmup_steps": 1, "learning_rate": 1e-3},
    "held_out": {"identities": 2},
    "seed": 3,
    "threads": 1,
}


@pytest.fixture
def write_recipe(tmp_path, write_crops, tiny_backbones):
    """Write a recipe of two epochs of two steps on five synthetic people; whole sections may differ, or single keys."""
    write_crops(tmp_path / "crops" / "train", identities=5)

    def write(**changes):
        values = {
            key: {**TINY_RECIPE.get(key, {}), **part} if isinstance(part, dict) else part
            for key, part in changes.items()
        }
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({**TINY_RECIPE, **values}))
        return path

    return write
