import math
import subprocess
import sys

import pytest
import torch
from torch.nn import functional

from reidpipe.reid.errors import TrainingError
from reidpipe.reid.supervision.text import TextSupervision, prototype_transfer_loss, text_cross_entropy


def text_of(identities=5, width=6, seed=0):
    return torch.randn(identities, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("donors", [None, torch.tensor([3, -1, 0])], ids=["all classes", "donors left out"])
def test_text_cross_entropy_equals_the_loop_over_images_and_classes(smoothing, donors):
    projected, text, labels = text_of(3, seed=1), text_of(), torch.tensor([1, 4, 2])
    total = 0.0
    for row in range(3):
        kept = [k for k in range(5) if donors is None or k != int(donors[row])]
        powers = {k: math.exp(float(projected[row] @ text[k])) for k in kept}
        shares = {k: power / sum(powers.values()) for k, power in powers.items()}
        for k in kept:
            target = (1 - smoothing) * (k == int(labels[row])) + smoothing / len(kept)
            total -= target * math.log(shares[k]) / 3
    assert float(text_cross_entropy(projected, text, labels, smoothing, donors)) == pytest.approx(total, abs=1e-5)


def test_text_cross_entropy_is_nothing_for_the_right_sentence_and_log_c_for_no_opinion():
    labels = torch.tensor([2, 0])
    sure = text_cross_entropy(100 * torch.eye(4)[labels], torch.eye(4), labels, smoothing=0)
    assert float(sure) == pytest.approx(0, abs=1e-6)
    for smoothing in (0.0, 0.1):
        unsure = text_cross_entropy(torch.zeros(2, 4), torch.eye(4), labels, smoothing)
        assert float(unsure) == pytest.approx(math.log(4), abs=1e-6)


def test_a_donor_s_sentence_neither_pulls_nor_pushes():
    projected, labels, donor = text_of(2, seed=1).requires_grad_(), torch.tensor([0, 1]), torch.tensor([3, 3])
    text = text_of().requires_grad_()
    text_cross_entropy(projected, text, labels, donors=donor).backward()
    assert projected.grad.isfinite().all()
    assert torch.equal(text.grad[3], torch.zeros(6))
    assert (text.grad[:3].abs().sum(1) > 0).all()


def test_prototype_transfer_equals_the_loop_over_identities():
    prototypes, adapted = text_of(seed=1), text_of(seed=2)
    terms = [1 - float(w @ a) / float(w.norm() * a.norm()) for w, a in zip(prototypes, adapted, strict=True)]
    assert float(prototype_transfer_loss(prototypes, adapted)) == pytest.approx(sum(terms) / 5, abs=1e-6)


@pytest.mark.parametrize(
    ("factor", "expected"), [pytest.param(3.0, 0, id="parallel"), pytest.param(-0.2, 2, id="opposed")]
)
def test_prototype_transfer_of_proportional_rows(factor, expected):
    prototypes = text_of()
    lengths = torch.arange(1.0, 6)[:, None]
    seen = float(prototype_transfer_loss(prototypes, factor * lengths * prototypes))
    assert seen == pytest.approx(expected, abs=1e-6)


def test_prototype_transfer_of_perpendicular_rows_is_one():
    assert float(prototype_transfer_loss(torch.eye(4)[:2], torch.eye(4)[2:])) == pytest.approx(1)


def test_the_text_term_starts_without_an_opinion():
    torch.manual_seed(0)
    losses = TextSupervision(text_of(), 8)(torch.randn(3, 8), torch.tensor([0, 1, 2]), torch.randn(5, 8))
    assert float(losses.text.detach()) == pytest.approx(math.log(5), abs=0.05)


def test_clip_s_own_projection_may_be_where_it_starts():
    own = torch.randn(8, 6)
    supervision = TextSupervision(text_of(), 8, own)
    features, labels = torch.randn(3, 8), torch.tensor([0, 4, 2])
    expected = functional.cross_entropy(features @ own @ text_of().T, labels, label_smoothing=0.1)
    torch.testing.assert_close(supervision(features, labels, torch.randn(5, 8)).text, expected)


def test_the_adapter_keeps_the_angles_between_sentences():
    torch.manual_seed(0)
    supervision = TextSupervision(text_of(), 8)
    adapted = supervision.adapter(supervision.text)
    torch.testing.assert_close(adapted @ adapted.T, text_of() @ text_of().T, atol=1e-5, rtol=1e-5)


def test_sampled_identities_are_compared_with_their_own_text_features():
    torch.manual_seed(0)
    rows, prototypes = torch.tensor([1, 3, 4]), torch.randn(5, 8)
    whole, part = TextSupervision(text_of(), 8), TextSupervision(text_of()[rows], 8)
    part.load_state_dict({**whole.state_dict(), "text": text_of()[rows]})
    features, places, donor = torch.randn(2, 8), torch.tensor([2, 0]), torch.tensor([1, -1])
    seen = whole(features, places, prototypes[rows], rows, donor)
    expected = part(features, places, prototypes[rows], None, donor)
    torch.testing.assert_close(seen, expected)


def test_everything_but_the_sentences_learns():
    torch.manual_seed(0)
    supervision = TextSupervision(text_of(), 8)
    features, prototypes = torch.randn(3, 8, requires_grad=True), torch.randn(5, 8, requires_grad=True)
    losses = supervision(features, torch.tensor([0, 1, 2]), prototypes)
    (losses.text + losses.prototype).backward()
    learnt = [features, prototypes, *supervision.parameters()]
    assert len(learnt) == 4
    assert all(one.grad.abs().sum() > 0 for one in learnt)
    assert not supervision.text.requires_grad


def test_descending_brings_features_to_sentences_and_prototypes_to_their_images():
    torch.manual_seed(0)
    labels = torch.arange(5).repeat(3)
    features = torch.randn(5, 8)[labels] + 0.1 * torch.randn(15, 8)
    supervision = TextSupervision(text_of(), 8)
    prototypes = torch.nn.Parameter(torch.randn(5, 8))
    optimiser = torch.optim.Adam([*supervision.parameters(), prototypes], 0.03)
    for _ in range(150):
        losses = supervision(features, labels, prototypes)
        optimiser.zero_grad()
        (losses.text + losses.prototype).backward()
        optimiser.step()
    scores = supervision.projection(features) @ supervision.text.T
    assert torch.equal(scores.argmax(1), labels)
    assert float(losses.prototype.detach()) < 0.01


def test_a_donor_of_one_s_own_identity_is_no_donor():
    projected, labels = text_of(2, seed=1), torch.tensor([0, 1])
    plain = text_cross_entropy(projected, text_of(), labels)
    torch.testing.assert_close(text_cross_entropy(projected, text_of(), labels, donors=labels), plain)


def test_logits_are_in_fp32_under_mixed_precision():
    projected, labels = text_of(2, seed=1), torch.tensor([0, 1])
    plain = text_cross_entropy(projected, text_of(), labels)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(text_cross_entropy(projected, text_of(), labels), plain)


def test_the_loss_is_in_fp32_under_mixed_precision():
    supervision = TextSupervision(text_of(), 8)
    with torch.autocast("cpu", torch.bfloat16):
        losses = supervision(torch.randn(2, 8), torch.tensor([0, 1]), torch.randn(5, 8))
    assert losses.text.dtype == losses.prototype.dtype == torch.float32


def test_a_saved_module_is_restored_with_its_text_features(tmp_path):
    supervision = TextSupervision(text_of(), 8)
    torch.save(supervision.state_dict(), tmp_path / "text.pt")
    again = TextSupervision(torch.zeros(5, 6), 8)
    again.load_state_dict(torch.load(tmp_path / "text.pt", weights_only=True))
    features, labels, prototypes = torch.randn(2, 8), torch.tensor([0, 1]), torch.randn(5, 8)
    assert torch.equal(again.text, text_of())
    assert again(features, labels, prototypes) == supervision(features, labels, prototypes)


def test_what_does_not_fit_is_refused():
    with pytest.raises(TrainingError, match=r"expected finite text features \(C, d\), got \(5,\)"):
        TextSupervision(torch.zeros(5), 8)
    with pytest.raises(TrainingError, match="expected finite text features"):
        TextSupervision(torch.full((5, 6), math.nan), 8)
    with pytest.raises(TrainingError, match=r"projection: expected \(8, 6\), got \(6, 8\)"):
        TextSupervision(text_of(), 8, torch.zeros(6, 8))
    with pytest.raises(TrainingError, match="5 text features for 4 prototypes"):
        TextSupervision(text_of(), 8)(torch.zeros(1, 8), torch.tensor([0]), torch.zeros(4, 8))


def test_stage_2_works_without_open_clip():
    code = """if True:
        import sys
        sys.modules["open_clip"] = None  # as if it were not installed
        import torch
        from reidpipe.reid.backbones.large import clip_model
        from reidpipe.reid.supervision import prompt_training
        from reidpipe.reid.supervision import prompts
        from reidpipe.reid.supervision.text import TextSupervision
        losses = TextSupervision(torch.ones(2, 3), 4)(torch.ones(1, 4), torch.tensor([1]), torch.ones(2, 4))
        print(losses.text.isfinite().item())
    """
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert ran.stdout == "True\n", ran.stderr
