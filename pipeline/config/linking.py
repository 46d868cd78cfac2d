"""Sections about linking tracklets to identities over all cameras."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from .section import Section, Share

LONGEST_TRANSIT = 300.0  # seconds, of transits between cameras: longer ones say little


class CalibrationConfig(Section):
    """Weights of the probability that a link is right: a logistic regression, for one appearance model."""

    similarity: float = Field(default=10.2, ge=0, le=1e6, description="log-odds per 1 of masked similarity")
    motion: float = Field(
        default=0.57, ge=0, le=1e6, description="weight of the log-likelihood ratio of the positions on the floor"
    )
    bias: float = Field(default=-5.2, ge=-1e6, le=1e6, description="log-odds where both are 0")
    level: float = Field(
        default=0.3, ge=-1, le=1,
        description="usual similarity of a tracklet to the three most similar ones of people who surely are others",
    )


class TransitConfig(Section):
    """How long people take from one camera's view to another's."""

    leaves: str = Field(description="camera whose view they leave")
    enters: str = Field(description="camera in which they are seen next")
    seconds: tuple[float, float] = Field(description="usual time between, from and to, such as [5, 20]")

    @field_validator("seconds")
    @classmethod
    def _rising(cls, seconds: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= seconds[0] < seconds[1] <= LONGEST_TRANSIT:
            raise ValueError(f"expected two rising numbers from 0 to {LONGEST_TRANSIT:g}")
        return seconds


class LinkingConfig(Section):
    """Linking of tracklets to identities over all cameras."""

    mode: Literal["joint", "query", "plain"] = Field(
        default="joint", description="weights of the similarity: both masks (`joint`), one (`query`) or none (`plain`)"
    )
    false_link_rate: float = Field(
        default=0.4,
        gt=0,
        lt=1,
        description="a link may be wrong with this probability; if it is less sure, a new identity begins",
    )
    self_calibration: bool = Field(
        default=True,
        description="compare similarities with those of people who are seen at the same time, and so are others",
    )
    learn_transits: bool = Field(
        default=True,
        description="learn from sure links where people go next and how long they take, and use it as evidence",
    )
    transits: list[TransitConfig] = Field(
        default_factory=list, max_length=10_000,
        description="what is known of this from the beginning: `[{leaves: door, enters: aisle, seconds: [2, 10]}]`; "
        "name all ways that people usually take out of a camera's view",
    )
    calibration: CalibrationConfig = CalibrationConfig()
    max_gap_seconds: float = Field(
        default=3600.0, gt=0, le=1e9, description="a person away for longer becomes a new identity"
    )
    overlaps: list[tuple[str, str]] | None = Field(
        default=None, max_length=100_000,
        description="pairs of cameras whose views share a place, such as `[[door, aisle]]`; nobody is in two other "
        "cameras at a time. By default any two may overlap where the floor is unknown",
    )
    max_speed: float = Field(
        default=3.5,
        gt=0,
        le=1000,
        description="highest walking speed in metres per second; with homographies, faster links are refused",
    )
    min_observations: int = Field(
        default=5, ge=1, le=1_000_000, description="tracklets with fewer boxes get no identity"
    )
    min_confidence: Share = Field(
        default=0.4,
        description="tracklets whose boxes have a lower mean confidence are nobody by themselves: many are no people",
    )
    min_seconds: float = Field(
        default=5.0, ge=0, le=3600,
        description="an identity begins when its tracklets together last so long; until then they are undecided",
    )
