"""Take the documentation's pictures of the review page; needs the extra `web`, playwright and Chromium.

`python -m docs.screenshots reidpipe.db sample_videos/entrance.mp4` after `make demo`.
"""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import av
from PIL import Image
from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).parent
WIDTH_PX = 1000
WAIT_MS = 2000  # for pictures, videos and drawings to appear
PLAYER_SECONDS = 12.5  # after the first frame: people are in all four cameras
PHOTO_SECONDS = 12.5  # of the footage: a frame with several people, to search by


def main(database: Path, footage: Path) -> None:
    """Serve a database of the sample store, and write page-*.png."""
    command = ["reidpipe", "serve", "--database", str(database), "--port", "0", "--by", "Ada"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        sync_playwright() as driver,
        tempfile.TemporaryDirectory() as folder,
    ):
        try:
            assert server.stdout is not None
            login = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
            photo = Path(folder) / "photo.png"
            with av.open(str(footage)) as video:
                next(one for one in video.decode(video=0) if (one.time or 0) >= PHOTO_SECONDS).to_image().save(photo)
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            page.goto(login)
            take(page, login.split("/login")[0], photo)
            browser.close()
        finally:
            server.terminate()


def take(page: Page, address: str, photo: Path) -> None:
    """Open the pages of a server at which the browser is logged in, one after the other."""
    timeline = page.request.get(f"{address}/api/timeline").json()
    visits: dict[int, set[int]] = {}
    for identity, camera, *_ in timeline["visits"]:
        visits.setdefault(identity, set()).add(camera)
    everywhere = max(visits, key=lambda one: len(visits[one]))  # who was in most cameras
    page.goto(f"{address}/#/player/{timeline['first_seconds'] + PLAYER_SECONDS}")
    shoot(page, "player")
    page.goto(f"{address}/#/search")
    page.set_input_files("input[type=file]", str(photo))
    page.locator("button.pick").nth(1).click()
    page.locator(".found").first.wait_for()
    shoot(page, "search")
    page.set_viewport_size({"width": 1280, "height": 1180})
    page.goto(f"{address}/#/identity/{everywhere}")
    shoot(page, "person")
    page.get_by_role("button", name="Why?").first.click()
    page.get_by_role("dialog").get_by_text("Probability that the two").wait_for()
    page.set_viewport_size({"width": 1280, "height": 860})
    shoot(page, "why")


def shoot(page: Page, name: str) -> None:
    """Write what the browser shows, a little smaller."""
    page.wait_for_timeout(WAIT_MS)
    shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    scaled = shown.resize((WIDTH_PX, round(shown.height * WIDTH_PX / shown.width)), Image.Resampling.LANCZOS)
    scaled.save(DOCS / f"page-{name}.png", optimize=True)


main(*map(Path, sys.argv[1:]))
