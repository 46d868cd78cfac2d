"""What is the network trained to do?  Tell identities apart by prototypes, masked and plain, and by triplets."""

import math

import torch
from torch import Tensor
from torch.nn import functional

SMALLEST_SQUARE = 1e-12
PAIR_SCALE = 16.0  # inverse temperature: cosines of different people spread over about ±0.3
COSINE_LIMIT = 1 - 1e-6  # the derivative of the angle is infinite at ±1


def masked_cosine(neck: Tensor, mask: Tensor, prototypes: Tensor) -> Tensor:
    """Cosine of each embedding with each prototype cut down by that embedding's mask, without a loop [DPM].

    c = ((m⊙ĥ)Ŵᵀ) / sqrt((m⊙m)(Ŵ⊙Ŵ)ᵀ) in fp32, which is cos(ĥ, m⊙Ŵ); clamped to |c| ≤ 1 - 1e-6.

    Args:
        neck: h, float (N, D).
        mask: m, float (N, D) in [0, 1].
        prototypes: W, float (C, D).

    Returns:
        float32 (N, C).
    """
    weight = mask.float()  # (N, D)
    directions = functional.normalize(prototypes.float())  # (C, D)
    dot = (weight * functional.normalize(neck.float())) @ directions.T  # (N, C)
    kept = (weight.square() @ directions.square().T).clamp_min(SMALLEST_SQUARE)  # (N, C)
    return (dot / kept.sqrt()).clamp(-COSINE_LIMIT, COSINE_LIMIT)


def arcface_logits(cosine: Tensor, labels: Tensor, margin: float, scale: float) -> Tensor:
    """Add an angular margin to each row's true class: s·cos(θ + margin) there, s·cos θ elsewhere.

    Source: Deng et al., "ArcFace", CVPR 2019.  Past θ = π - margin, where cos(θ + margin) would rise again, the
    usual linear fall-back c - margin·sin(margin) takes over.

    Args:
        cosine: float32 (N, C) in (-1, 1).
        labels: int64 (N,) in [0, C).
        margin: in radians.
        scale: s.

    Returns:
        float32 (N, C).
    """
    true = cosine.gather(1, labels[:, None])  # (N, 1)
    widened = true * math.cos(margin) - (1 - true.square()).sqrt() * math.sin(margin)  # (N, 1), cos(θ + margin)
    fallback = true - margin * math.sin(margin)
    widened = torch.where(true > -math.cos(margin), widened, fallback)
    return scale * cosine.scatter(1, labels[:, None], widened)


def hardest_triplet_loss(features: Tensor, labels: Tensor) -> Tensor:
    """Soft-margin batch-hard triplet loss: mean log(1 + exp(d(a, hardest p) - d(a, hardest n))).

    Source: Hermans, Beyer, Leibe, "In Defense of the Triplet Loss", 2017, eq. 5 with its soft margin.

    Args:
        features: float (N, D); Euclidean distances are taken between these as they are.
        labels: int64 (N,), at least two different ones.

    Returns:
        A scalar.
    """
    products = features @ features.T  # (N, N)
    squares = products.diagonal()  # (N,)
    squared = squares[:, None] - 2 * products + squares[None, :]  # (N, N)
    distance = squared.clamp_min(SMALLEST_SQUARE).sqrt()  # clamped: the root's derivative at 0 is infinite
    same = labels[:, None] == labels[None, :]  # (N, N)
    positive = distance.masked_fill(~same, -torch.inf).amax(1)  # (N,)
    negative = distance.masked_fill(same, torch.inf).amin(1)  # (N,)
    return functional.softplus(positive - negative).mean()


def joint_similarity(embedding: Tensor, mask: Tensor) -> Tensor:
    """Joint masked similarity of every row with every row: `similarity.masked_similarity`, with gradients.

    Args:
        embedding: float (N, D), of unit length.
        mask: float (N, D) in [0, 1].

    Returns:
        float (N, N) in [-1, 1], symmetric.
    """
    masked = mask * embedding  # (N, D)
    energy = (masked * embedding) @ mask.T  # (N, N), Σ m_i m_j e_i²
    return (masked @ masked.T) / (energy * energy.T).clamp_min(SMALLEST_SQUARE).sqrt()


def masked_pair_loss(neck: Tensor, mask: Tensor, labels: Tensor, scale: float) -> Tensor:
    """Tell the batch's pairs apart by the very metric that is used later [ours].

    Supervised contrastive loss (Khosla et al., NeurIPS 2020, eq. 2) over joint masked similarities.  It replaces
    DPM's classification loss for the mask generator: that one scored below plain cosine on held-out people, since
    a mask may lower it by spelling out a training identity; this one knows identities only as pairs.

    Args:
        neck: h, float (N, D); no gradient is wanted here.
        mask: m, float (N, D) in [0, 1].
        labels: int64 (N,), everybody at least twice.
        scale: inverse temperature.

    Returns:
        A scalar.
    """
    similarity = scale * joint_similarity(functional.normalize(neck), mask)  # (N, N)
    itself = torch.eye(len(labels), dtype=torch.bool)
    same = (labels[:, None] == labels[None, :]) & ~itself  # (N, N)
    others = similarity.masked_fill(itself, -torch.inf)
    log_share = similarity - others.logsumexp(1, keepdim=True)  # (N, N)
    return -((log_share * same).sum(1) / same.sum(1)).mean()
