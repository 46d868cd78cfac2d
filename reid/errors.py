"""The error tree of reidpipe: every error that a user can act on, and the exit code that it ends the program with.

Every message is one line that names the file, camera or key and says what to do.  `pipeline.errors` adds the errors of
the application to the same tree.
"""


class ReidpipeError(Exception):
    """Base of all errors; its text is one line and says what to do."""

    exit_code = 1


class WeightsError(ReidpipeError):
    """Model weights are missing, damaged, or not the kind of model that is needed."""

    exit_code = 4


class DatasetError(ReidpipeError):
    """A folder of crops is missing or empty, or does not hold what its layout promises."""

    exit_code = 2


class ImageError(DatasetError):
    """An image file is missing, empty, cut off or not an image."""


class RecipeError(ReidpipeError):
    """A training recipe has an unknown key, lacks one, or holds a value of the wrong type."""

    exit_code = 2


class TrainingError(ReidpipeError):
    """Training cannot continue: labels that do not fit, values that are not finite, the state of another run."""


class ExportError(ReidpipeError):
    """An exported file does not compute what the trained model computes."""


class GalleryError(ReidpipeError):
    """A gallery file is missing or was not written by this program."""


class OutputError(ReidpipeError):
    """A result file cannot be written."""

    exit_code = 6
