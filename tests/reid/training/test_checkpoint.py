import pytest
import torch

from reidpipe.reid.training.checkpoint import save


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "last.pt"
    save({"epoch": 1}, path)
    with pytest.raises(Exception, match="pickle"):
        save({"epoch": lambda: None}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
