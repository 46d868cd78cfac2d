import numpy as np
import pytest

from reidpipe.reid.lettering import Lettering


@pytest.mark.parametrize(
    ("keep", "start", "end"),
    [pytest.param("start", "aisle", "…", id="start"), pytest.param("end", "…", "entrance", id="end")],
)
def test_a_long_text_keeps_one_end_and_fits(keep, start, end):
    lettering = Lettering(14)
    shortened = lettering.shortened("aisle behind the second entrance", 120, keep)
    assert shortened.startswith(start)
    assert shortened.endswith(end)
    assert lettering.width_px(shortened) <= 120
    assert lettering.shortened("aisle", 120, keep) == "aisle"
    assert lettering.shortened("aisle", 1, keep) == "…"


@pytest.mark.parametrize("text", ["Kasse", "Ταμείο", "Касса", "صندوق", "✓"])
def test_names_in_other_alphabets_are_drawn(text):
    lettering = Lettering(20)
    letters, missing = (lettering.draw(one, (120, 30), 2, 2) for one in (text, "\uffff" * len(text)))
    assert (letters.shape, letters.dtype) == ((30, 120, 1), np.float32)
    assert letters.min() == 0
    assert letters.max() == 1
    assert not np.array_equal(letters, missing)


def test_digits_share_one_width():
    lettering = Lettering(20)
    assert len({lettering.width_px(digit) for digit in "0123456789"}) == 1
