"""Learnable prompts, one per identity: "A photo of a X X X X person.", where the four X are learnt tokens.

Source: Li, Sun, Li, "CLIP-ReID: Exploiting Vision-Language Model for Image Re-identification without Concrete Text
Labels", AAAI 2023, section 3.2 [CLIP-ReID].
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..backbones.large.clip_model import ClipModel, Tokenizer
from ..errors import WeightsError

SENTENCE = "A photo of a X X X X person."
LEARNT_TOKENS = 4
TOKEN_STD = 0.02  # of initial tokens; the standard deviation of CLIP's own token embedding [CLIP-ReID]
IDENTITIES_AT_ONCE = 1024  # of the text tower: 12 positions of width 512 each are some 25 MB a layer


class PromptLearner(nn.Module):
    """Four learnt tokens per identity, inside a fixed sentence [CLIP-ReID].

    Attributes:
        tokens: weight float32 (C, 4 · W), W being the text tower's width.  Its gradient is sparse: the cost of
            a step depends on the batch, not on the number of identities [ours].
        prefix: float32 (P, W), the embedded words before the learnt ones, start token included.
        suffix: float32 (S, W), the words after them, end token included.
    """

    prefix: Tensor
    suffix: Tensor

    def __init__(self, clip: ClipModel, tokenizer: Tokenizer, identities: int, generator: torch.Generator) -> None:
        """Take the fixed tokens from `clip`, draw the learnt ones from `generator` (on the CPU).

        Raises:
            WeightsError: the text tower's context or vocabulary is too small for the sentence.
        """
        super().__init__()
        words = clip.token_embedding.weight.detach().float()  # (V, W)
        ids = _sentence_ids(clip, tokenizer)  # (P + 4 + S,)
        blank = tokenizer(["X"])[0, 1]
        first = int((ids == blank).nonzero()[0])
        self.register_buffer("prefix", words[ids[:first]], persistent=False)
        self.register_buffer("suffix", words[ids[first + LEARNT_TOKENS :]], persistent=False)
        drawn = torch.empty(identities, LEARNT_TOKENS * words.shape[1]).normal_(0, TOKEN_STD, generator=generator)
        drawn = drawn.to(words.device)  # (C, 4 · W)
        self.tokens = nn.Embedding.from_pretrained(drawn, freeze=False, sparse=True)  # type: ignore[no-untyped-call]

    def forward(self, pids: Tensor) -> Tensor:
        """pids: int64 (N,) in [0, C) → embedded sentences, float32 (N, P + 4 + S, W)."""
        learnt = self.tokens(pids).unflatten(1, (LEARNT_TOKENS, -1))  # (N, 4, W)
        prefix, suffix = (fixed.expand(len(pids), -1, -1) for fixed in (self.prefix, self.suffix))
        return torch.cat([prefix, learnt, suffix], 1)


def encode_prompts(clip: ClipModel, prompts: Tensor) -> Tensor:
    """CLIP's text tower on embedded sentences instead of token ids.

    The tower's attention is causal, so nothing after the end token matters: prompts end there, at 12 positions instead
    of 77.

    Args:
        clip: on the device of `prompts`.
        prompts: float (N, L, W), the last position holding the end token.

    Returns:
        float (N, d), not normalised.
    """
    length = prompts.shape[1]
    mask = clip.attn_mask
    hidden = prompts + clip.positional_embedding[:length]  # (N, L, W)
    hidden = clip.transformer(hidden, attn_mask=None if mask is None else mask[:length, :length])
    end: Tensor = clip.ln_final(hidden[:, -1])  # (N, W)
    projection = clip.text_projection
    if projection is None:
        return end
    if isinstance(projection, nn.Linear):
        return functional.linear(end, projection.weight, projection.bias)  # (N, d)
    return end @ projection  # (N, d)


@torch.no_grad()
def encode_identities(clip: ClipModel, prompts: PromptLearner) -> Tensor:
    """T: the text feature of every identity, computed in blocks.

    Returns:
        float32 (C, d), on the CPU, not normalised.
    """
    identities, device = prompts.tokens.num_embeddings, prompts.prefix.device
    text = torch.empty(identities, 0)
    for start in range(0, identities, IDENTITIES_AT_ONCE):
        pids = torch.arange(start, min(start + IDENTITIES_AT_ONCE, identities), device=device)  # (n,)
        rows = encode_prompts(clip, prompts(pids)).float().cpu()  # (n, d)
        if start == 0:
            text = torch.empty(identities, rows.shape[1])  # (C, d)
        text[start : start + len(rows)] = rows
    return text


def _sentence_ids(clip: ClipModel, tokenizer: Tokenizer) -> Tensor:
    """Token ids of the sentence up to its end token: int64 (L,)."""
    length = len(tokenizer.encode(SENTENCE)) + 2  # and the start and the end token
    context, known = len(clip.positional_embedding), clip.token_embedding.num_embeddings
    if context < length:
        raise WeightsError(f'CLIP: "{SENTENCE}" takes {length} tokens, the text tower has only {context} positions')
    ids = tokenizer([SENTENCE])[0, :length].to(clip.token_embedding.weight.device)
    if int(ids.max()) >= known:
        raise WeightsError(f"CLIP: the text tower has {known} tokens, its tokenizer uses {int(ids.max()) + 1}")
    return ids
