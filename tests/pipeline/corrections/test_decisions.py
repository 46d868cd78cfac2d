"""A person corrects identities: the results follow, the audit shows it, and another linking obeys."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from reidpipe.pipeline.corrections.decisions import merge, not_the_same, rename, split, undo
from reidpipe.pipeline.corrections.forgetting import forget
from reidpipe.pipeline.corrections.history import history
from reidpipe.pipeline.corrections.identities import identity_names, identity_tracklets, list_identities
from reidpipe.pipeline.errors import CorrectionError, StoreError
from reidpipe.pipeline.relinking.relink import relink
from reidpipe.pipeline.storage.link_sets import list_link_sets, select_link_set
from reidpipe.pipeline.storage.runs import find_run
from reidpipe.pipeline.storage.schema import Camera, LinkSet
from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.storage.writing.writer import RunWriter
from reidpipe.pipeline.types import Link
from tests.pipeline.stored_runs import DOOR_1, DOOR_2, HALL_1, HALL_2, identities, people_run


@pytest.fixture
def store(tmp_path):
    """Identities 1 (door 1, hall 1), 2 (door 2) and 3 (hall 2); door 1 and hall 2 look the same, so do the others."""
    people_run(tmp_path / "a.db")
    with Store.open(tmp_path / "a.db") as opened:
        yield opened


AT_FIRST = {DOOR_1: 1, HALL_1: 1, DOOR_2: 2, HALL_2: 3}


def test_a_merge_gives_all_tracklets_one_identity_with_the_lower_number(store):
    found = merge(store, None, 3, 1, "Ada", "same bag")
    assert identities(store) == {**AT_FIRST, HALL_2: 1}
    assert (found.kind, found.identities, found.who, found.why) == ("merge", [1, 3], "Ada", "same bag")
    assert found.what == "identity 3 is identity 1"
    assert [one.by for one in identity_tracklets(store, None, 1)] == ["model", "model", "person"]
    assert [one.identity for one in list_identities(store)] == [1, 2]
    assert find_run(store).people == 2
    assert find_run(store).links == 4


def test_a_split_makes_a_new_identity_of_the_tracklets_that_leave(store):
    found = split(store, None, 1, "Ada", tracklets=[HALL_1])
    assert found.identities == [1, 4]
    assert identities(store) == {**AT_FIRST, HALL_1: 4}


def test_a_split_at_a_time_takes_what_begins_then_or_later(store):
    found = split(store, None, 1, "Ada", from_seconds=30.0)
    assert identities(store) == {**AT_FIRST, HALL_1: found.identities[1]}


def test_people_kept_apart_stay_so_when_the_run_is_linked_again(store):
    """By appearance, door 1 and hall 2 are one person; hall 1 is not door 1's."""
    not_the_same(store, None, 1, 3, "Ada")
    assert identities(store) == AT_FIRST
    relink(store, None, {})
    found = identities(store)
    assert found[DOOR_1] != found[HALL_2]
    undo(store, None, "Ada")
    assert identities(store)[DOOR_1] == identities(store)[HALL_2]


BY_APPEARANCE = {DOOR_1: 1, HALL_2: 1, DOOR_2: 2, HALL_1: 2}


def test_a_merge_survives_linking_again_and_a_dry_run_says_so(store):
    """The model has hall 2 with door 1, who was seen at the same time as door 2."""
    merge(store, None, 2, 3, "Ada")
    split(store, None, 2, "Ada", tracklets=[HALL_2])
    undo(store, None, "Ada")
    dry = relink(store, None, {}, dry_run=True)
    found = relink(store, None, {})
    assert identities(store) == {**BY_APPEARANCE, HALL_2: 2}
    assert (dry.after, dry.divided, dry.joined) == (found.after, found.divided, found.joined)
    undo(store, None, "Ada")
    assert identities(store) == BY_APPEARANCE


def test_an_earlier_set_of_links_obeys_when_it_is_shown_again(store):
    relink(store, None, {})
    assert identities(store) == BY_APPEARANCE
    split(store, None, 1, "Ada", tracklets=[HALL_2])
    merge(store, None, 2, 3, "Ada")
    select_link_set(store, None, 1)
    assert identities(store) == {DOOR_1: 1, DOOR_2: 2, HALL_1: 2, HALL_2: 2}
    assert [one.identities for one in list_link_sets(store)] == [3, 2]  # as they were linked


def test_names_follow_the_person_to_another_linking(store):
    rename(store, None, 2, "Bob", "Ada")
    assert identity_names(store) == {2: "Bob"}
    relink(store, None, {})
    assert identity_names(store) == {identities(store)[DOOR_2]: "Bob"}
    rename(store, None, identities(store)[DOOR_2], "", "Ada")
    assert identity_names(store) == {}


def test_a_merged_person_has_the_name_that_was_given_last(store):
    rename(store, None, 1, "Bob", "Ada")
    rename(store, None, 3, "Eve", "Ada")
    merge(store, None, 1, 3, "Ada")
    assert identity_names(store) == {1: "Eve"}
    undo(store, None, "Ada")
    assert identity_names(store) == {1: "Bob", 3: "Eve"}


def test_undo_restores_what_was_there_and_can_be_undone(store):
    merged = merge(store, None, 1, 3, "Ada")
    first = undo(store, None, "Bob", "wrong person")
    assert identities(store) == AT_FIRST
    assert (first.undoes, first.who) == (merged.number, "Bob")
    undo(store, None, "Ada", correction=first.number)
    assert identities(store)[HALL_2] == 1
    states = [(one.kind, one.undone_by) for one in history(store)]
    assert states == [("undo", None), ("undo", 3), ("merge", None)]


def test_corrections_of_corrections_are_undone_in_any_order(store):
    merge(store, None, 1, 3, "Ada")
    split(store, None, 1, "Ada", tracklets=[DOOR_1])
    assert identities(store) == {DOOR_1: 4, HALL_1: 1, HALL_2: 1, DOOR_2: 2}
    undo(store, None, "Ada", correction=1)
    assert identities(store) == {DOOR_1: 4, HALL_1: 1, HALL_2: 3, DOOR_2: 2}
    undo(store, None, "Ada", correction=2)
    assert identities(store) == AT_FIRST


@pytest.mark.parametrize(("decide", "message"), [
    pytest.param(lambda store: merge(store, None, 1, 1, "Ada"), "identity 1 is itself", id="with itself"),
    pytest.param(lambda store: merge(store, None, 1, 9, "Ada"), "run 1 has no identity 9", id="unknown"),
    pytest.param(lambda store: merge(store, None, 1, 2, "Ada"), "both in door for 9.0 s", id="seen at once"),
    pytest.param(lambda store: split(store, None, 1, "Ada"), "either which tracklets", id="split of nothing"),
    pytest.param(lambda store: split(store, None, 1, "Ada", tracklets=[HALL_2]), "no track 2 of hall", id="not its"),
    pytest.param(lambda store: split(store, None, 2, "Ada", tracklets=[DOOR_2]), "all of the 1", id="all leave"),
    pytest.param(lambda store: split(store, None, 1, "Ada", from_seconds=99.0), "none of the 2", id="none leave"),
    pytest.param(lambda store: rename(store, None, 1, "a\nb", "Ada"), "one line", id="two lines"),
    pytest.param(lambda store: rename(store, None, 1, "x" * 201, "Ada"), "at most 200", id="a long name"),
    pytest.param(lambda store: rename(store, None, 1, "Bob", " "), "somebody who decides", id="by nobody"),
    pytest.param(lambda store: undo(store, None, "Ada"), "no correction that could be undone", id="nothing to undo"),
    pytest.param(lambda store: undo(store, None, "Ada", correction=7), "no correction 7", id="unknown correction"),
])
def test_mistakes_are_refused_in_one_line_and_change_nothing(store, decide, message):
    with pytest.raises(CorrectionError, match=message):
        decide(store)
    assert identities(store) == AT_FIRST
    assert history(store) == []


def test_people_seen_at_once_are_merged_if_the_person_insists(store):
    merge(store, None, 1, 2, "Ada", anyway=True)
    assert identities(store)[DOOR_2] == 1


def test_a_merge_of_people_who_are_kept_apart_names_the_decision(store):
    not_the_same(store, None, 1, 3, "Ada")
    with pytest.raises(CorrectionError, match="different people by correction 1: undo it first"):
        merge(store, None, 3, 1, "Ada")


def test_two_people_cannot_have_one_name(store):
    rename(store, None, 1, "Bob", "Ada")
    with pytest.raises(CorrectionError, match='identity 1 is called "Bob" already'):
        rename(store, None, 2, "Bob", "Ada")


def test_what_is_undone_or_forgotten_cannot_be_undone_again(store):
    merge(store, None, 1, 3, "Ada")
    undo(store, None, "Ada")
    with pytest.raises(CorrectionError, match="is undone already, by correction 2"):
        undo(store, None, "Ada", correction=1)
    forget(store, None, 2, "Ada")
    with pytest.raises(CorrectionError, match="for good"):
        undo(store, None, "Ada", correction=3)


def test_a_run_that_goes_on_cannot_be_corrected(tmp_path):
    with (
        Store.open(tmp_path / "b.db", create=True) as store,
        store.start_run("{}", []),
        pytest.raises(StoreError, match="still goes on"),
    ):
        merge(store, None, 1, 2, "Ada")


def test_a_run_that_goes_on_after_corrections_obeys_them_at_its_end(store):
    """A resumed run writes its links again, revised, and numbers people by first appearance."""
    rename(store, None, 3, "Bob", "Ada")
    merge(store, None, 1, 3, "Ada")
    split(store, None, 1, "Ada", tracklets=[HALL_1])
    with store.reading() as connection:
        link_set = connection.scalar(select(LinkSet.id))
        cameras = {row.name: row.id for row in connection.execute(select(Camera.name, Camera.id))}
    with RunWriter(store.writing, 1, link_set, cameras) as writer:
        writer.add_links([Link("hall", 2, 2, 0.9, 0.5, 3.0)])  # the model has hall 2 with door 2 now
        writer.settle_links()
    found = identities(store)
    assert found[DOOR_1] == found[HALL_2]
    assert len({found[DOOR_1], found[DOOR_2], found[HALL_1]}) == 3
    assert identity_names(store) == {found[HALL_2]: "Bob"}
    undo(store, None, "Ada")
    undo(store, None, "Ada")
    assert identities(store) == {DOOR_1: 1, HALL_1: 1, DOOR_2: 2, HALL_2: 2}
