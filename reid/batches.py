"""What is in one training batch?  Augmented crops, at least one of each person clean and at least one occluded."""

import numpy as np
from numpy.typing import NDArray

from .augmentation import augment
from .dataset import CropSet
from .occlusion import erase, occlude

ERASING_PROBABILITY = 0.15  # on top of occlusion: noise in a rectangle is the one cover that needs no realism


def training_images(
    crops: CropSet,
    rows: NDArray[np.intp],
    crops_per_identity: int,
    occlusion_probability: float,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Augment the crops of one PK batch and hide parts of some: occlusion-aware pairing [summary], form ours.

    Of every person's K crops the first stays unhidden, the last is always occluded, and each in between is with
    `occlusion_probability`.  The draw of the rows is random, so no crop has a fixed place.

    Args:
        crops: where the rows point, and where pieces to paste come from.
        rows: intp (P * K,), grouped by person.
        crops_per_identity: K.
        occlusion_probability: in [0, 1].
        rng: where all chance comes from.

    Returns:
        uint8 (P * K, 256, 128, 3) BGR.
    """
    images = np.empty((len(rows), *crops.images.shape[1:]), np.uint8)
    for position, row in enumerate(rows):
        image = crops.images[row]
        place = position % crops_per_identity
        always = place == crops_per_identity - 1
        if always or (place > 0 and rng.random() < occlusion_probability):
            image = occlude(image, crops.images, rng).image
        elif place > 0 and rng.random() < ERASING_PROBABILITY:
            image = erase(image, rng)
        images[position] = augment(image, rng)
    return images
