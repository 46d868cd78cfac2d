"""Which errors can re-identification raise?  All of them descend from ReidError."""


class ReidError(Exception):
    """Anything that goes wrong in `reidpipe.reid` and that a caller may want to catch; the message is one line."""


class WeightsError(ReidError):
    """A weights file is missing, unreadable, or not the kind of model that was asked for."""


class DatasetError(ReidError):
    """A folder of crops is missing, empty, or holds an image that cannot be read."""


class RecipeError(ReidError):
    """A training recipe has an unknown key, lacks one, or holds a value of the wrong type."""


class ExportError(ReidError):
    """An exported file does not compute what the trained model computes."""


class TrainingError(ReidError):
    """Training cannot go on: labels that do not fit, values that are not finite, a state of another run."""


class GalleryError(ReidError):
    """A gallery file is missing or not one of ours."""
