"""The content of a checkpoint."""

import weakref

import numpy as np

from reidpipe.pipeline.running.resume import packed, unpacked

META = {"cameras": ["hall"], "link_at": 2.5}


def states():
    yield "linker", {"seconds": np.array([1.5]), "names": np.zeros((0, 3), np.int64)}
    yield "camera 0", {"tracker.image_bytes": np.arange(5, dtype=np.uint8), "tracks_so_far": np.array(7)}


def test_what_is_packed_is_unpacked():
    meta, found = unpacked(packed(META, states()), "store.db")
    assert meta == META
    assert {part: sorted(state) for part, state in found.items()} == {
        "linker": ["names", "seconds"], "camera 0": ["tracker.image_bytes", "tracks_so_far"]}
    for part, state in states():
        for name, array in state.items():
            assert found[part][name].dtype == array.dtype
            np.testing.assert_array_equal(found[part][name], array)


def test_packing_keeps_the_state_of_one_part_at_a_time():
    kept = []

    def large_states():
        before = None
        for number in range(3):
            kept.append(before is not None and before() is not None)
            array = np.zeros(1000)
            before = weakref.ref(array)
            yield f"camera {number}", {"array": array}
            del array

    packed(META, large_states())
    assert kept == [False, False, False]
