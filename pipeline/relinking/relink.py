"""Link a stored run again, without its footage, and compare with the identities that it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json
from sqlalchemy import select

from ..config.linking import LinkingConfig
from ..config.messages import describe_error
from ..errors import ConfigError, StoreError
from ..linking.linker import link_tracklets
from ..storage.link_sets import add_link_set
from ..storage.queries import tracklet_rows
from ..storage.runs import find_run, run_config
from ..storage.schema import LinkSet
from ..storage.store import Store
from ..storage.tracklets import stored_tracklets
from ..storage.writing.corrected import corrected_identities
from ..types import TrackKey


@dataclass(frozen=True, slots=True)
class Relinked:
    """What linking a run again changes.

    Attributes:
        run: its number.
        link_set: number of the new set of links; None if it was not stored.
        config: the settings.
        before, after: number of identities.
        tracklets: how many have an identity now.
        joined: new identities that hold tracklets of several earlier ones: (number, earlier numbers).
        divided: earlier identities whose tracklets now have several: (number, new numbers).
    """

    run: int
    link_set: int | None
    config: LinkingConfig
    before: int
    after: int
    tracklets: int
    joined: list[tuple[int, list[int]]]
    divided: list[tuple[int, list[int]]]


def relink(store: Store, run: int | None, settings: Mapping[str, object], dry_run: bool = False) -> Relinked:
    """Link a run's tracklets again, as a new set of links that results then show; it obeys the corrections in force.

    Args:
        run: its number; the newest by default.
        settings: keys of the `linking` section that differ from the run's, such as `calibration.bias`.
        dry_run: change nothing in the database.

    Raises:
        StoreError: there is no such run, or it still goes on.
        ConfigError: a key or value is not valid.
    """
    found = find_run(store, run)
    if found.status == "running":
        raise StoreError(f"{store.name}: run {found.run} still goes on: link it again when it is complete")
    config = validated_linking(_changed(run_linking(store, found.run), settings), "--set")
    links = link_tracklets(stored_tracklets(store, found.run), config)
    before = {(row.camera, row.track): row.identity for row in tracklet_rows(store, found.run) if row.identity}
    linked = {(link.camera, link.track_id): link.identity for link in links}
    with store.reading() as connection:
        after = corrected_identities(connection, found.run, linked)
    number = None if dry_run else add_link_set(store, found.run, config.model_dump_json(), links)
    return Relinked(
        found.run, number, config, len(set(before.values())), len(set(after.values())), len(after),
        _several(after, before), _several(before, after))


def run_linking(store: Store, run: int) -> LinkingConfig:
    """The `linking` section that a run was made with.

    Raises:
        ConfigError: a newer or older reidpipe wrote keys that this one does not know.
    """
    return _stored_linking(from_json(run_config(store, run)).get("linking", {}), f"the config of run {run}")


def shown_linking(store: Store, run: int) -> LinkingConfig:
    """The `linking` section of the set of links that results show.

    Raises:
        ConfigError: a newer or older reidpipe wrote keys that this one does not know.
    """
    with store.reading() as connection:
        config = connection.execute(
            select(LinkSet.config).where(LinkSet.run_id == run, LinkSet.selected == 1)).scalar_one()
    return _stored_linking(from_json(config), f"the links of run {run}")


def _stored_linking(section: dict[str, object], where: str) -> LinkingConfig:
    section.pop("similarity", None)  # the threshold of earlier versions; a probability took its place
    return validated_linking(section, where)


def validated_linking(section: Mapping[str, object], where: str) -> LinkingConfig:
    """Check a `linking` section.

    Args:
        section: its keys.
        where: where it comes from, for messages.

    Raises:
        ConfigError: a key or value is not valid.
    """
    try:
        return LinkingConfig.model_validate(section)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        detail["loc"] = ("linking", *detail["loc"])
        raise ConfigError(f"{where}: {describe_error(detail)}") from error


def _changed(config: LinkingConfig, settings: Mapping[str, object]) -> dict[str, object]:
    """A section with other values; `calibration.bias` stands for a key within one of its keys."""
    section: dict[str, Any] = config.model_dump()
    for key, value in settings.items():
        outer, dot, inner = key.partition(".")
        if dot and isinstance(section.get(outer), dict):
            section[outer][inner] = value
        else:
            section[key] = value
    return section


def _several(one: Mapping[TrackKey, int], other: Mapping[TrackKey, int]) -> list[tuple[int, list[int]]]:
    """Identities of `one` whose tracklets have several identities in `other`."""
    shared: dict[int, set[int]] = {}
    for key, number in one.items():
        if key in other:
            shared.setdefault(number, set()).add(other[key])
    return [(number, sorted(numbers)) for number, numbers in sorted(shared.items()) if len(numbers) > 1]
