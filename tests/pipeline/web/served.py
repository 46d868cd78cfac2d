"""A page over a database, and what tests do with it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import numpy as np
from starlette.testclient import TestClient

from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.web.access.security import Sessions
from reidpipe.pipeline.web.app import make_app
from reidpipe.pipeline.web.database import Database
from reidpipe.pipeline.web.jobs import Jobs
from reidpipe.pipeline.web.search.finder import Finder
from tests.pipeline.web.small_store import ColourEmbedder, WholePicture, small_store

TOKEN, VIEW_TOKEN = "a token of twenty chars", "a token for looking only"
HOST = "127.0.0.1:8471"
ORIGIN = {"origin": f"http://{HOST}"}


class Served:
    """A page over a database, with a browser that is logged in."""

    def __init__(self, path, folder, token=TOKEN, blur=False, plan=None):
        self.store = Store.open(path)
        self.database, self.jobs = Database(self.store), Jobs(Path(folder) / "cache")
        finder = Finder(blur, WholePicture, lambda _store, _run: ColourEmbedder())
        app = make_app(self.database, Sessions(TOKEN, view_token=VIEW_TOKEN), self.jobs, "Ada", frozenset({HOST}),
                       blur=blur, finder=finder, plan=plan)
        self.browser = TestClient(app, base_url=f"http://{HOST}", follow_redirects=False)
        assert self.browser.get("/login", params={"token": token}).status_code == 303

    def get(self, address, **headers):
        return self.browser.get(address, headers=headers)

    def post(self, address, content):
        csrf = self.get("/api/session").json()["csrf"]
        return self.browser.post(address, content=content, headers={"x-csrf-token": csrf, **ORIGIN})

    def until(self, address, state="ready", seconds=30.0):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            found = self.get(address).json()
            states = {one["state"] for one in found} if isinstance(found, list) else {found["state"]}
            if states == {state}:
                return found
            time.sleep(0.05)
        raise AssertionError(found)

    def close(self):
        self.jobs.close()
        self.database.close()
        self.store.close()


def served_with(tmp_path, footage, **how):
    return Served(small_store(tmp_path, footage), tmp_path, **how)


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def client_of(store, clock=None, hosts=frozenset({HOST})):
    database = Database(store)
    jobs = Jobs(Path(store.file).parent / "cache")
    app = make_app(database, Sessions(TOKEN, clock or Clock(), VIEW_TOKEN), jobs, "Ada", hosts)
    return TestClient(app, base_url=f"http://{HOST}", follow_redirects=False), database


def post(browser, address, body, **headers):
    csrf = browser.get("/api/session").json()["csrf"]
    own = {"x-csrf-token": csrf, "content-type": "application/json", **ORIGIN} | {
        name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, str | bytes) else json.dumps({"run": 1, "who": "Bob", **body})
    return browser.post(address, content=content, headers={k: v for k, v in own.items() if v is not None})


def people(browser):
    return [one["identity"] for one in browser.get("/api/timeline").json()["identities"]]


def tracklets(browser, identity):
    found = browser.get(f"/api/identities/{identity}").json()["tracklets"]
    return {(one["camera"], one["track"]): one for one in found}


def encoded(image, suffix=".png"):
    return cv2.imencode(suffix, image)[1].tobytes()


def decoded(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
