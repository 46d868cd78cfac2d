import os
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


def test_embedding_writes_nothing_into_the_home_folder(tmp_path):
    code = "import numpy as np; from reidpipe.reid import embed; embed([np.zeros((80, 40, 3), np.uint8)])"
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []
