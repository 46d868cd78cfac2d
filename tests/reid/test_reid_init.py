import subprocess
import sys

import reidpipe.reid


def test_all_is_true():
    assert sorted(reidpipe.reid.__all__) == sorted(set(reidpipe.reid.__all__))
    public = {name for name, value in vars(reidpipe.reid).items() if not name.startswith("_") and not is_module(value)}
    assert public == set(reidpipe.reid.__all__)


def is_module(value):
    return type(value).__name__ == "module"


def test_importing_it_is_cheap():
    heavy = ("torch", "onnxruntime", "onnx", "openvino")
    code = f"import sys, reidpipe.reid; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
