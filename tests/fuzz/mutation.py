"""The usual kinds of damage to a file: flipped bits, lost, repeated and overwritten bytes, a missing end."""

import random

BYTES_OF_A_WORD = 4
START_BYTES = 2000  # in which most formats keep their structure


def mutated(content: bytes, seed: int, first: int = 0) -> bytes:
    """A damaged copy of a file.

    Args:
        content: of the file.
        seed: of the damage; half of it lies in the first bytes.
        first: bytes before this one are kept.
    """
    chance = random.Random(seed)
    kept, damaged = content[:first], bytearray(content[first:])
    kind = chance.choice(["flip", "flip", "flip", "cut", "zero", "repeat", "remove", "number"])
    for _ in range(chance.choice([1, 2, 8, 64])):
        end = len(damaged) if chance.random() < 0.5 else min(START_BYTES, len(damaged))
        at = chance.randrange(end)
        if kind == "flip":
            damaged[at] ^= 1 << chance.randrange(8)
        elif kind == "number":
            damaged[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == "zero":
            damaged[at : at + BYTES_OF_A_WORD] = bytes(len(damaged[at : at + BYTES_OF_A_WORD]))
        elif kind == "cut":
            del damaged[max(1, at) :]
        elif kind == "repeat":
            damaged[at:at] = damaged[at : at + 64]
        elif kind == "remove" and len(damaged) > 128:
            del damaged[at : at + chance.randrange(1, 64)]
    return kept + bytes(damaged)
