"""Losses: plain and masked classification on shared prototypes, triplet, contrastive and orthogonality losses."""

import math

import torch
from torch import Tensor
from torch.nn import functional

SMALLEST_SQUARE = 1e-12
PAIR_SCALE = 16.0  # inverse temperature: cosines of different identities lie within about ±0.3
COSINE_LIMIT = 1 - 1e-6  # the derivative of the angle is infinite at ±1


def masked_cosine(neck: Tensor, mask: Tensor, prototypes: Tensor) -> Tensor:
    """Cosine of each embedding with each prototype, masked by the embedding's mask, without a loop [DPM].

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
    customary linear fall-back c - margin·sin(margin) is used.

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


def classification_loss(logits: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy that ignores classes whose logit is -inf, label smoothing included.

    With label smoothing ε the target is (1 - ε) on the true class and ε shared evenly by all classes not ignored
    (Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, sec. 7).

    Args:
        logits: float (N, C); -inf where `without_donors` ignores a class, never at the true one.
        labels: int64 (N,) in [0, C).
        label_smoothing: ε, in [0, 1).

    Returns:
        A scalar.
    """
    true = functional.cross_entropy(logits, labels)
    if label_smoothing == 0:
        return true
    counts = logits.isfinite()  # (N, C)
    log_share = functional.log_softmax(logits, 1).masked_fill(~counts, 0)  # (N, C)
    uniform = -(log_share.sum(1) / counts.sum(1)).mean()
    return (1 - label_smoothing) * true + label_smoothing * uniform


def without_donors(logits: Tensor, labels: Tensor, donors: Tensor) -> Tensor:
    """Class-ignoring: the identity pasted into a crop is not a class of that crop [SPT].

    Args:
        logits: float (N, C).
        labels: int64 (N,), the true columns.
        donors: int64 (N,), the column of the identity pasted in, -1 for none; a donor that is the true class
            is not ignored.

    Returns:
        float (N, C), -inf at (i, donors[i]).
    """
    columns = torch.arange(logits.shape[1], device=logits.device)  # (C,)
    ignored = (donors[:, None] == columns) & (donors != labels)[:, None]  # (N, C)
    return logits.masked_fill(ignored, -torch.inf)


def hardest_triplet_loss(
    features: Tensor, labels: Tensor, donors: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """Soft-margin batch-hard triplet loss: mean log(1 + exp(d(a, hardest p) - d(a, hardest n))).

    Source: Hermans, Beyer, Leibe, "In Defense of the Triplet Loss", 2017, eq. 5 with its soft margin.  With masks it
    is a mean weighted by the product of the two pairs' `mask_overlap` [summary: pairs are weighted by the overlap of
    their masks; form ours].

    Args:
        features: float (N, D); Euclidean distances are taken between these as they are.
        labels: int64 (N,), at least two different ones.
        donors: int64 (N,), label pasted into each crop, which is no negative of it [SPT]; -1 for none.
        mask: float (N, D) in [0, 1], without gradient; None weights all triplets equally, as constant masks do.

    Returns:
        A scalar.
    """
    distance = _distances(features.float())  # (N, N)
    same = labels[:, None] == labels[None, :]  # (N, N)
    barred = same if donors is None else same | (donors[:, None] == labels[None, :])  # (N, N)
    positive, nearest_positive = distance.masked_fill(~same, -torch.inf).max(1)  # (N,), (N,)
    negative, nearest_negative = distance.masked_fill(barred, torch.inf).min(1)  # (N,), (N,)
    losses = functional.softplus(positive - negative)  # (N,), 0 without any negative
    if mask is None:
        return losses.mean()
    overlap = mask_overlap(mask)  # (N, N)
    anchors = torch.arange(len(labels), device=labels.device)
    weight = overlap[anchors, nearest_positive] * overlap[anchors, nearest_negative]  # (N,)
    return (weight * losses).sum() / weight.sum().clamp_min(SMALLEST_SQUARE)


def mask_overlap(mask: Tensor) -> Tensor:
    """Overlap of the masks of every two crops: their cosine, 1 for equal masks, 0 for disjoint ones.

    Args:
        mask: float (N, D) in [0, 1].

    Returns:
        float32 (N, N) in [0, 1], symmetric.
    """
    directions = functional.normalize(mask.float())  # (N, D)
    return directions @ directions.T


def orthogonality_loss(heads: Tensor) -> Tensor:
    """Decorrelate a transformer's heads: the mean squared cosine between the heads of a crop [DPM].

    mean_{a≠b} cos²(h_a, h_b), mean over the batch; exactly 0 for orthogonal heads, 1 for equal ones.  Squares, and the
    mean over pairs instead of their sum, are our reading: with the published weight the sum, about 30 for the heads of
    an untrained ViT-B/16, would be twenty times all other terms.

    Args:
        heads: float (N, h, D_h), h ≥ 2.

    Returns:
        A scalar.
    """
    directions = functional.normalize(heads.float(), dim=2)  # (N, h, D_h)
    cosine = directions @ directions.transpose(1, 2)  # (N, h, h)
    itself = torch.eye(heads.shape[1], dtype=torch.bool, device=heads.device)
    pairs = heads.shape[1] * (heads.shape[1] - 1)
    return cosine.masked_fill(itself, 0).square().sum((1, 2)).mean() / pairs


def _distances(features: Tensor) -> Tensor:
    products = features @ features.T  # (N, N)
    squares = products.diagonal()  # (N,)
    squared = squares[:, None] - 2 * products + squares[None, :]  # (N, N)
    return squared.clamp_min(SMALLEST_SQUARE).sqrt()  # clamped: the root's derivative at 0 is infinite


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
    """Contrast the pairs of a batch by the metric that ranks galleries later [ours].

    Supervised contrastive loss (Khosla et al., NeurIPS 2020, eq. 2) over joint masked similarities.  An
    alternative to DPM's classification loss of the mask generator: trained by that one, masks scored below plain cosine
    on held-out identities, since a mask can lower it by encoding the training identity; this loss uses pairs only.

    Args:
        neck: h, float (N, D).
        mask: m, float (N, D) in [0, 1].
        labels: int64 (N,), each identity at least twice.
        scale: inverse temperature.

    Returns:
        A scalar.
    """
    similarity = scale * joint_similarity(functional.normalize(neck), mask)  # (N, N)
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    same = (labels[:, None] == labels[None, :]) & ~itself  # (N, N)
    others = similarity.masked_fill(itself, -torch.inf)
    log_share = similarity - others.logsumexp(1, keepdim=True)  # (N, N)
    return -((log_share * same).sum(1) / same.sum(1)).mean()
