"""Heads that are blurred."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from tests.pipeline.web.served import Served, decoded, encoded, served_with


def test_heads_are_blurred_in_pictures_and_footage(tmp_path):
    page = served_with(tmp_path, None, blur=True)
    plain = Served(tmp_path / "store.db", tmp_path / "plain")
    try:
        noise = np.random.default_rng(0).integers(0, 255, (160, 64, 3), np.uint8)
        photo = page.post("/api/search/photo", encoded(noise)).json()["photo"]
        shown = decoded(page.get(f"/media/photos/{photo}/0").content)
        assert shown[:40].std() < noise[:40].std() / 3 < shown[60:].std()
        assert page.get("/media/crops/1/2").content != plain.get("/media/crops/1/2").content
        assert {one["state"] for one in page.get("/api/footage").json()} <= {"preparing", "ready"}
        page.until("/api/footage")
        original = (tmp_path / "door.mp4").read_bytes()
        assert page.get("/media/footage/1/0").content != original
        assert plain.get("/media/footage/1/0").content == original
    finally:
        page.close()
        plain.close()
