"""The memory of a picture is used again when it is gone, and never before."""

import numpy as np

from reidpipe.pipeline.sources.isolation.pictures import SPARE_PICTURES, PictureMemory


def picture(grey):
    return np.full((36, 64, 3), grey, np.uint8)


def place(image):
    return image.ctypes.data


def test_a_picture_lies_where_one_was_that_is_gone():
    memory = PictureMemory()
    first = memory.copy(picture(1))
    former = place(first)
    del first
    second = memory.copy(picture(2))
    assert place(second) == former
    np.testing.assert_array_equal(second, picture(2))


def test_no_picture_changes_while_a_part_of_it_is_in_use():
    memory = PictureMemory()
    parts = [memory.copy(picture(grey))[10:20, 5:9][2:] for grey in range(SPARE_PICTURES + 3)]
    for grey, part in enumerate(parts):
        np.testing.assert_array_equal(part, np.full((8, 4, 3), grey))


def test_a_copy_does_not_change_with_what_was_copied():
    original = picture(1)
    copy = PictureMemory().copy(original)
    original[:] = 2
    np.testing.assert_array_equal(copy, picture(1))


def test_pictures_of_two_sizes_share_nothing():
    memory = PictureMemory()
    wide = memory.copy(picture(1))
    del wide
    high = memory.copy(np.full((64, 36, 3), 2, np.uint8))
    wide = memory.copy(picture(3))
    np.testing.assert_array_equal(high, np.full((64, 36, 3), 2))
    np.testing.assert_array_equal(wide, picture(3))
