"""Sections about what is done with the frames of each camera: detection, tracking, appearance."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .section import Section, Share, Text


class DetectorConfig(Section):
    """Detection of people."""

    weights: Text = Field(
        default="person",
        description="`person` (bundled), an ONNX file, an OpenVINO folder, or with --trust-weights any weights or "
        "model name of ultralytics",
    )
    precision: Literal["auto", "float", "int8"] = Field(
        default="auto",
        description="of the bundled detector: `int8` is faster; `auto` takes it where the processor has instructions "
        "for it",
    )
    confidence: Share = Field(default=0.1, description="lowest confidence of a box that reaches the tracker")
    overlap: Share = Field(
        default=0.5, description="of two boxes with a larger IoU, the less confident is suppressed"
    )
    image_size: int = Field(
        default=640, ge=32, le=4096, multiple_of=32, description="long side of the network's input in pixels"
    )
    batch: int = Field(default=4, ge=1, le=256, description="frames per batch, over all cameras")
    quiet_seconds: float = Field(
        default=2.0,
        ge=0,
        le=60,
        description="a frame in which nothing has moved since the last one that was searched has its detections, for "
        "at most this long; 0 searches every frame",
    )
    device: str = Field(default="cpu", description="device of ultralytics weights: cpu, cuda:0, ...")


class TrackerConfig(Section):
    """Tracking within one camera."""

    name: Literal["masked", "bytetrack", "botsort", "ocsort"] = Field(
        default="masked",
        description="the tracking algorithm: ours (`masked`), which also uses appearance and needs no PyTorch, or one "
        "of ultralytics'",
    )
    new_track_confidence: Share = Field(default=0.5, description="lowest confidence of a box that starts a track")
    high_confidence: Share = Field(default=0.35, description="boxes of at least this confidence are matched first")
    low_confidence: Share = Field(default=0.1, description="boxes of at least this confidence may continue a track")
    match_cost: Share = Field(default=0.7, description="largest cost (1 - IoU) of a match")
    lost_seconds: float = Field(
        default=2.0, gt=0, le=3600, description="a track that is not observed for longer than this ends"
    )
    fill_seconds: float = Field(
        default=1.0, ge=0, le=10,
        description="gaps of a track up to this are filled by interpolated boxes, which are marked and never count as "
        "observations; 0: never",
    )
    appearance: Literal["masked", "plain", "none"] = Field(
        default="masked",
        description="how `masked` compares crops to keep people apart: by what both masks show, by everything, or not "
        "at all",
    )
    crops_per_second: float = Field(
        default=2.0, ge=0, le=1000,
        description="budget: most crops embedded per second and tracked person, for tracking and linking together",
    )
    split_similarity: float = Field(
        default=0.5, ge=-1, le=1,
        description="a track that has ended is split where somebody else seems to go on, because crops before and "
        "after are less similar than this; -1: never",
    )


class AppearanceConfig(Section):
    """Which crops are embedded, and by which model."""

    weights: Text = Field(
        default="accurate",
        description="`accurate`, `permissive` (less sure, but trained on no data for research only), `fast` (about "
        "twice as fast, less sure) or `dpmpp` (with a mask, but it knows little beyond its training cameras), "
        "all bundled; or the path of an exported ONNX model",
    )
    precision: Literal["auto", "float", "int8"] = Field(
        default="auto",
        description="`int8` is faster; `auto` takes it where the processor has instructions for it and the model was "
        "calibrated for it, as the bundled `accurate` is",
    )
    interval_seconds: float = Field(
        default=1.0, gt=0, le=86_400,
        description="each track in plain view is embedded once per interval; more often where it decides who is who",
    )
    crops_per_tracklet: int = Field(
        default=16, ge=1, le=1000, description="most embeddings kept per tracklet, those of the best crops"
    )
    min_height_px: float = Field(default=40.0, ge=8, le=100_000, description="lower boxes are tracked but not embedded")
    min_visible: Share = Field(
        default=0.3, description="boxes of which a smaller share is visible are tracked but not embedded"
    )
