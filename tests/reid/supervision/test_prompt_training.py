import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from reidpipe.reid.backbones.large.clip_model import CLIP_MEAN_RGB, CLIP_STD_RGB, load_clip
from reidpipe.reid.errors import TrainingError
from reidpipe.reid.supervision.prompt_training import (
    PromptSettings,
    PromptTraining,
    contrastive_loss,
    encode_images,
    learn_prompts,
    learning_rate,
)

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": [32, 16], "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
IDENTITIES, EACH = 6, 4
LABELS = torch.arange(IDENTITIES).repeat_interleave(EACH)
QUICK = PromptSettings(epochs=3, batch_size=12, learning_rate=0.01)

pytest.importorskip("open_clip", reason="needs the extra `train`")


def tiny(seed=0):
    torch.manual_seed(seed)
    return load_clip("tiny", None, model_config=TINY)


def people(height=32, width=16, seed=0):
    """Each identity four bands of colour, with noise: uint8 (24, height, width, 3)."""
    rng = np.random.default_rng(seed)
    bands = np.repeat(rng.integers(0, 256, (IDENTITIES, 4, 1, 3)), height // 4, axis=1)
    noisy = bands[LABELS.numpy()] + rng.normal(0, 10, (len(LABELS), height, width, 3))
    return noisy.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def features():
    return encode_images(tiny()[0], [people()])


def test_images_are_seen_as_clip_sees_them_whatever_the_batches():
    clip, _ = tiny()
    images = people()
    rgb = torch.from_numpy(images[..., ::-1].copy()).permute(0, 3, 1, 2) / 255
    rgb = (rgb - torch.tensor(CLIP_MEAN_RGB).view(3, 1, 1)) / torch.tensor(CLIP_STD_RGB).view(3, 1, 1)
    with torch.no_grad():
        expected = functional.normalize(clip.encode_image(rgb))
    torch.testing.assert_close(encode_images(clip, [images]), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(encode_images(clip, [images[:5], images[5:]]), expected, atol=1e-5, rtol=0)


def test_larger_images_are_resized_to_what_clip_takes():
    clip, _ = tiny()
    doubled = people().repeat(2, axis=1).repeat(2, axis=2)
    torch.testing.assert_close(encode_images(clip, [doubled]), encode_images(clip, [people()]), atol=0.05, rtol=0)


def test_no_image_and_an_image_that_breaks_clip_are_named():
    clip, _ = tiny()
    with pytest.raises(TrainingError, match="expected at least one image, got none"):
        encode_images(clip, [])
    images = people()[:3]
    images[1] = 0
    clip.visual.ln_post.register_forward_hook(lambda module, given, out: out.index_fill(0, torch.tensor([1]), math.nan))
    with pytest.raises(TrainingError, match="image 1 of 3: CLIP's feature is not finite"):
        encode_images(clip, [images])


def test_contrastive_loss_equals_the_loop_over_images_and_positives():
    torch.manual_seed(0)
    anchors, others = functional.normalize(torch.randn(5, 8)), functional.normalize(torch.randn(4, 8))
    anchor_pids, other_pids = torch.tensor([0, 1, 1, 2, 0]), torch.tensor([1, 0, 2, 1])
    terms = []
    for anchor, pid in zip(anchors, anchor_pids, strict=True):
        powers = [math.exp(7 * float(anchor @ other)) for other in others]
        own = [math.log(power / sum(powers)) for power, one in zip(powers, other_pids, strict=True) if one == pid]
        terms.append(-sum(own) / len(own))
    seen = contrastive_loss(anchors, others, anchor_pids, other_pids, 7)
    assert float(seen) == pytest.approx(sum(terms) / len(terms), abs=1e-6)


def test_contrastive_loss_of_perfect_pairs_vanishes_and_of_equal_rows_is_the_logarithm_of_their_number():
    pids = torch.arange(4)
    assert float(contrastive_loss(torch.eye(4), torch.eye(4), pids, pids, 100)) == pytest.approx(0, abs=1e-6)
    equal = torch.eye(4)[:1].expand(4, -1)
    assert float(contrastive_loss(equal, equal, pids, pids, 100)) == pytest.approx(math.log(4), abs=1e-6)


def test_learning_lowers_the_loss_and_brings_text_to_its_identity_s_images():
    clip, tokenizer = tiny()
    features = functional.normalize(torch.randn(IDENTITIES, 16)[LABELS] + 0.1 * torch.randn(len(LABELS), 16))
    reports = []
    settings = PromptSettings(epochs=30, batch_size=12, learning_rate=0.01)
    text = learn_prompts(clip, tokenizer, features, LABELS, settings, progress=reports.append)
    assert text.shape == (IDENTITIES, 16)
    assert [report.epoch for report in reports] == list(range(1, 31))
    assert reports[-1].loss < 0.6 * reports[0].loss
    before = PromptTraining(clip, tokenizer, features, LABELS, settings).text()
    right = [((features @ functional.normalize(one).T).argmax(1) == LABELS).float().mean() for one in (before, text)]
    assert right[0] < 0.5
    assert right[1] > 0.9
    similarity = functional.normalize(text) @ features.T  # (C, N)
    own = LABELS[None, :] == torch.arange(IDENTITIES)[:, None]
    assert (similarity[own].view(IDENTITIES, EACH).mean(1) > similarity[~own].view(IDENTITIES, -1).amax(1)).all()


def test_only_tokens_change(features):
    clip, tokenizer = tiny()
    before = {name: value.clone() for name, value in clip.state_dict().items()}
    learn_prompts(clip, tokenizer, features, LABELS, QUICK)
    assert all(torch.equal(before[name], value) for name, value in clip.state_dict().items())


def test_the_seed_decides(features):
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(len(runs))  # the process's own generator has no say
        clip, tokenizer = tiny()
        settings = PromptSettings(epochs=2, batch_size=12, learning_rate=0.01, seed=seed)
        runs.append(learn_prompts(clip, tokenizer, features, LABELS, settings))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_a_resumed_run_ends_as_an_uninterrupted_one(features, tmp_path):
    clip, tokenizer = tiny()
    whole = learn_prompts(clip, tokenizer, features, LABELS, QUICK)
    epochs = []

    def kill(report):
        epochs.append(report.epoch)
        if len(epochs) == 2:
            raise KeyboardInterrupt

    file = tmp_path / "prompts.pt"
    with pytest.raises(KeyboardInterrupt):
        learn_prompts(clip, tokenizer, features, LABELS, QUICK, state_file=file, progress=kill)
    resumed = learn_prompts(clip, tokenizer, features, LABELS, QUICK, state_file=file, progress=kill)
    assert epochs == [1, 2, 3]
    assert torch.equal(resumed, whole)
    assert torch.equal(learn_prompts(clip, tokenizer, features, LABELS, QUICK, state_file=file, progress=kill), whole)
    assert epochs == [1, 2, 3]  # a finished run is not run again
    assert [path.name for path in tmp_path.iterdir()] == ["prompts.pt"]


def test_a_state_of_another_run_is_refused(features, tmp_path):
    clip, tokenizer = tiny()
    file = tmp_path / "prompts.pt"
    learn_prompts(clip, tokenizer, features, LABELS, QUICK, state_file=file)
    with pytest.raises(TrainingError, match=r"saved with settings .*'seed': 0.*, now .*'seed': 9"):
        other = PromptSettings(epochs=3, batch_size=12, learning_rate=0.01, seed=9)
        learn_prompts(clip, tokenizer, features, LABELS, other, state_file=file)
    with pytest.raises(TrainingError, match="saved for other images or identities"):
        learn_prompts(clip, tokenizer, features, LABELS.flip(0), QUICK, state_file=file)
    with pytest.raises(TrainingError, match="saved for another CLIP"):
        wider = {**TINY, "text_cfg": {**TINY["text_cfg"], "width": 64}}
        learn_prompts(*load_clip("wider", None, model_config=wider), features, LABELS, QUICK, state_file=file)
    file.write_bytes(b"half a file")
    with pytest.raises(TrainingError, match=r"prompts\.pt: not a readable state of CLIP stage 1; delete it"):
        learn_prompts(clip, tokenizer, features, LABELS, QUICK, state_file=file)
    torch.save({"epoch": 1}, file)
    with pytest.raises(TrainingError, match=r"prompts\.pt: not a state of CLIP stage 1; delete it"):
        learn_prompts(clip, tokenizer, features, LABELS, QUICK, state_file=file)


def test_a_step_that_is_not_finite_is_skipped_counted_and_never_learnt_from(features):
    clip, tokenizer = tiny()
    broken = features.clone()
    broken[5] = math.nan
    training = PromptTraining(
        clip, tokenizer, broken, LABELS, PromptSettings(epochs=3, batch_size=8, learning_rate=0.01)
    )
    first = training.prompts.tokens.weight.detach().clone()
    report = training.run_epoch()
    assert report.skipped == 1
    assert math.isfinite(report.loss)
    tokens = training.prompts.tokens.weight.detach()
    assert tokens.isfinite().all()
    assert not torch.equal(tokens, first)


def test_an_epoch_without_one_finite_step_ends_the_run(features):
    clip, tokenizer = tiny()
    training = PromptTraining(clip, tokenizer, torch.full_like(features, math.nan), LABELS, QUICK)
    with pytest.raises(TrainingError, match="epoch 1: no step had a finite loss"):
        training.run_epoch()


def test_text_that_is_not_finite_is_named(features):
    training = PromptTraining(*tiny(), features, LABELS, QUICK)
    with torch.no_grad():
        training.prompts.tokens.weight[4] = math.inf
    with pytest.raises(TrainingError, match="identity 4: its text feature is not finite"):
        training.text()


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        pytest.param(LABELS[:5], QUICK, r"got \(24, 16\) and \(5,\)", id="too few labels"),
        pytest.param(LABELS[:0], QUICK, r"got \(24, 16\) and \(0,\)", id="no labels"),
        pytest.param(LABELS - 1, QUICK, "expected labels from 0, got -1", id="junk label"),
        pytest.param(LABELS.clone().clamp_min(1), QUICK, "identity 0 has no image", id="a gap"),
        pytest.param(LABELS, PromptSettings(epochs=0), "epochs: expected more than 0, got 0", id="no epochs"),
        pytest.param(LABELS, PromptSettings(batch_size=0), "batch_size: expected more than 0", id="no batch"),
        pytest.param(
            LABELS, PromptSettings(learning_rate=-1), "learning_rate: expected more than 0", id="negative rate"
        ),
    ],
)
def test_what_does_not_fit_is_refused(features, labels, settings, message):
    with pytest.raises(TrainingError, match=message):
        PromptTraining(*tiny(), features, labels, settings)


def test_the_learning_rate_climbs_then_falls():
    rates = [learning_rate(epoch, PromptSettings()) for epoch in range(120)]
    assert rates[0] == pytest.approx(1e-5)
    assert rates[5] == max(rates) == pytest.approx(3.5e-4)
    assert rates[:6] == sorted(rates[:6])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert learning_rate(120, PromptSettings()) == pytest.approx(1e-6)
    assert learning_rate(0, PromptSettings(epochs=1)) == pytest.approx(3.5e-4)
