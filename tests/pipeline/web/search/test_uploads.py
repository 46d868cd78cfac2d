"""Uploaded pictures, hostile ones too."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.web.access.security import LARGEST_PHOTO
from tests.pipeline.web.served import ORIGIN, encoded
from tests.pipeline.web.small_store import RED


def png_bomb() -> bytes:
    """A PNG of some kilobytes that says it has 60000x60000 pixels."""
    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def zip_bomb() -> bytes:
    import zipfile

    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(10**6))
    return content.getvalue()


@pytest.mark.parametrize("content", [
    pytest.param(b"", id="0 bytes"),
    pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", id="SVG"),
    pytest.param(zip_bomb(), id="zip bomb"),
    pytest.param(png_bomb(), id="PNG bomb"),
    pytest.param(b"GIF89a/*" + b"\x00" * 64 + b"*/=1;alert(1)", id="GIF that is JavaScript"),
    pytest.param(b"\x89PNG\r\n\x1a\n" + b"<html>" * 50, id="PNG that is HTML"),
    pytest.param(encoded(np.zeros((200, 200, 3), np.uint8), ".jpg")[:300], id="cut off"),
    pytest.param(encoded(np.zeros((4, 4, 3), np.uint8)), id="tiny"),
    pytest.param(b"%PDF-1.4\n" + b"x" * 200, id="PDF"),
])
def test_hostile_uploads_are_refused(served, content):
    answer = served.post("/api/search/photo", content)
    assert (answer.status_code, "\n" in answer.json()["error"]) == (400, False)


def test_uploads_are_refused_when_pillow_misses_a_package(served, monkeypatch):
    """Once it is imported, ultralytics makes Pillow ask for a package for HEIF wherever it knows no format."""
    monkeypatch.setattr("PIL.Image.open", lambda *_, **__: __import__("no_such_package_for_heif"))
    assert served.post("/api/search/photo", b"no picture").status_code == 400


def test_a_picture_with_a_page_behind_it_is_decoded_as_a_picture_only(served):
    content = encoded(np.full((120, 40, 3), RED, np.uint8)) + b"<html><script>alert(1)</script>"
    photo = served.post("/api/search/photo", content).json()["photo"]
    assert b"script" not in served.get(f"/media/photos/{photo}/0").content


def test_an_upload_has_a_largest_size(served):
    csrf = served.get("/api/session").json()["csrf"]
    headers = {"x-csrf-token": csrf, "content-length": str(LARGEST_PHOTO + 1), **ORIGIN}
    assert served.browser.post("/api/search/photo", content=b"x", headers=headers).status_code == 413
