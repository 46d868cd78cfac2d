import subprocess
import sys

import pytest

import reidpipe.reid


@pytest.mark.parametrize("name", reidpipe.reid.__all__)
def test_every_public_name_can_be_imported(name):
    assert getattr(reidpipe.reid, name) is not None


def test_all_has_no_duplicates():
    assert sorted(set(reidpipe.reid.__all__)) == sorted(reidpipe.reid.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'embde'"):
        _ = reidpipe.reid.embde


def test_importing_the_package_loads_nothing_heavy():
    heavy = ("numpy", "cv2", "torch", "onnxruntime", "onnx", "openvino")
    code = f"import sys, reidpipe.reid; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
