import pytest
import torch

from reidpipe.reid.backbones.large.clip_model import load_clip
from reidpipe.reid.errors import WeightsError
from reidpipe.reid.supervision import prompts
from reidpipe.reid.supervision.prompts import PromptLearner, encode_identities, encode_prompts

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VISION = {"image_size": [32, 16], "layers": 1, "width": 32, "patch_size": 8, "head_width": 16}

pytest.importorskip("open_clip", reason="needs the extra `train`")


def tiny(**text):
    torch.manual_seed(0)
    return load_clip("tiny", None, model_config={"embed_dim": 16, "vision_cfg": VISION, "text_cfg": {**TEXT, **text}})


def prompts_of(identities, seed=0, **text):
    clip, tokenizer = tiny(**text)
    return clip, PromptLearner(clip, tokenizer, identities, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "words", [["X", "X", "X", "X"], ["tall", "woman", "red", "coat"]], ids=["the blanks themselves", "other words"]
)
def test_learnt_tokens_that_are_words_give_what_clip_says_of_these_words(words):
    clip, tokenizer = tiny()
    one = PromptLearner(clip, tokenizer, 2, torch.Generator())
    ids = torch.tensor([tokenizer.encode(word)[0] for word in words])
    with torch.no_grad():
        one.tokens.weight[1] = clip.token_embedding(ids).flatten()
        expected = clip.encode_text(tokenizer([f"A photo of a {' '.join(words)} person."]))
        seen = encode_prompts(clip, one(torch.tensor([1])))
    torch.testing.assert_close(seen, expected)


def test_a_prompt_is_as_long_as_its_sentence_and_learns_four_tokens():
    one = prompts_of(3)[1]
    assert one(torch.tensor([2, 0])).shape == (2, 12, 32)
    assert [tuple(parameter.shape) for parameter in one.parameters()] == [(3, 4 * 32)]


def test_identities_start_apart_and_by_their_seed():
    first, again, other = (encode_identities(*prompts_of(3, seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert not torch.allclose(first[0], first[1])


def test_an_identity_s_gradient_stays_with_it():
    clip, one = prompts_of(5)
    encode_prompts(clip, one(torch.tensor([3, 1]))).square().sum().backward()
    gradient = one.tokens.weight.grad.coalesce()
    assert gradient.indices().tolist() == [[1, 3]]
    assert (gradient.values().abs().sum(1) > 0).all()


def test_many_identities_are_read_in_turns_and_come_out_in_order(monkeypatch):
    clip, one = prompts_of(10)
    whole = encode_identities(clip, one)
    assert whole.shape == (10, 16)
    seen = []
    clip.transformer.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    monkeypatch.setattr(prompts, "IDENTITIES_AT_ONCE", 4)
    torch.testing.assert_close(encode_identities(clip, one), whole)
    assert seen == [4, 4, 2]


def test_a_projection_with_bias_or_none_is_followed():
    for text, width in (({"proj_bias": True}, 16), ({"proj_type": "none"}, 32)):
        clip, one = prompts_of(2, **text)
        assert encode_identities(clip, one).shape == (2, width)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param({"context_length": 11}, "takes 12 tokens, the text tower has only 11 positions", id="too short"),
        pytest.param({"vocab_size": 1000}, "has 1000 tokens, its tokenizer uses 49408", id="too few words"),
    ],
)
def test_a_text_tower_that_cannot_take_the_sentence_is_refused(text, message):
    with pytest.raises(WeightsError, match=message):
        prompts_of(2, **text)


def test_a_text_tower_just_long_enough_will_do():
    assert encode_identities(*prompts_of(2, context_length=12)).isfinite().all()
