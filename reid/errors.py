"""The error tree of reidpipe: every error that a user can act on, with the exit code of the command line.

Every message is one line that names the file, camera or key and says what to do.  `pipeline.errors` adds the errors of
the application to the same tree.
"""


class ReidpipeError(Exception):
    """Base of all errors; its message is one line and says what to do."""

    exit_code = 1


class WeightsError(ReidpipeError):
    """Model weights are missing, damaged or of another kind of model, or a library that they need is not installed."""

    exit_code = 4


class DatasetError(ReidpipeError):
    """A data set is missing, empty or damaged, or is not laid out as it was published."""

    exit_code = 2


class ImageError(DatasetError):
    """An image file is missing, empty, truncated or not an image."""


class RecipeError(ReidpipeError):
    """A training recipe has an unknown key, lacks one, or holds an invalid value."""

    exit_code = 2


class TrainingError(ReidpipeError):
    """Training cannot continue: labels do not fit, losses are not finite, or a checkpoint is of another run."""


class ExportError(ReidpipeError):
    """The outputs of an exported file differ from those of the trained model."""


class GalleryError(ReidpipeError):
    """A gallery file is missing or was not written by `Gallery.save`."""


class OutputError(ReidpipeError):
    """A result file cannot be written."""

    exit_code = 6
