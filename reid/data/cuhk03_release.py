"""Extract the images of CUHK03 from its release, a single MATLAB file, into PNG files.

cuhk-03.mat is a MATLAB 7.3 file, which is HDF5 with all axes in reverse order.  Its variables `labeled` and `detected`
are cells of five camera pairs; a pair is a cell of people × 10 images, five of the first camera and then five of the
second.  A missing image is an empty array, for which HDF5 holds its two sizes.
"""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from ..disk.files import make_folder, write_new
from ..errors import DatasetError

if TYPE_CHECKING:
    import h5py

RELEASE_PATHS = ("cuhk-03.mat", "cuhk03_release/cuhk-03.mat")  # without and with the folder of the archive
IMAGES_PER_PERSON = 10
IMAGES_PER_CAMERA = 5

logger = logging.getLogger(__name__)


def find_release(root: Path) -> Path | None:
    """The path of the release in a data set's folder; None if it is not there."""
    return next((root / path for path in RELEASE_PATHS if (root / path).is_file()), None)


def extract_release(release: Path, boxes: str, folder: Path) -> None:
    """Write all images of one kind of boxes into `folder`, which appears only when it is complete.

    Names are those of the new protocol's lists: 1_001_2_06.png is the camera pair, the person in it, the camera of the
    pair, and the image, counted over both cameras.

    Args:
        release: cuhk-03.mat.
        boxes: "labeled" or "detected".
        folder: must not exist yet.

    Raises:
        DatasetError: h5py is not installed, the release is damaged or of another structure, or the folder cannot be
            written.
    """
    _require_h5py(release)
    logger.info("%s: extracting the %s images into %s, once", release, boxes, folder)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
            unfinished = Path(temporary) / folder.name
            make_folder(unfinished)
            for name, image in _images(release, boxes):
                write_new(unfinished / name, cv2.imencode(".png", image)[1].tobytes())
            unfinished.rename(folder)
    except OSError as error:
        problem = error.strerror or error
        raise DatasetError(f"{folder}: the images of {release.name} cannot be extracted to it: {problem}") from error


def _require_h5py(release: Path) -> None:
    try:
        import h5py  # noqa: F401
    except ImportError as error:
        message = f"{release}: needs h5py, which is not installed: pip install 'reidpipe[cuhk03]'"
        raise DatasetError(message) from error


def _images(release: Path, boxes: str) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yield file names and images, uint8 (h, w, 3) BGR."""
    import h5py

    try:
        file = h5py.File(release, "r")
    except OSError as error:
        raise DatasetError(f"{release}: not a readable MATLAB 7.3 (HDF5) file") from error
    with file:
        if boxes not in file:
            raise DatasetError(f"{release}: not CUHK03's release: it has no variable {boxes}")
        for pair, one in enumerate(_cell(file[boxes]).ravel(), 1):
            people = _cell(file[one]).T  # (people, 10)
            if people.ndim != 2 or people.shape[1] != IMAGES_PER_PERSON:
                raise DatasetError(f"{release}: {boxes}: expected pairs of (people, 10) images, got {people.shape}")
            for (person, number), reference in np.ndenumerate(people):
                camera = 1 + number // IMAGES_PER_CAMERA
                name = f"{pair}_{person + 1:03d}_{camera}_{number + 1:02d}.png"
                image = _image(file[reference], name) if reference else None
                if image is not None:
                    yield name, image


def _cell(variable: "h5py.Dataset") -> NDArray[np.object_]:
    """The references in a cell, in HDF5's order of axes."""
    import h5py

    if h5py.check_ref_dtype(getattr(variable, "dtype", None)) is not h5py.Reference:
        raise DatasetError(f"{variable.file.filename}: not CUHK03's release: {variable.name} is not a cell")
    return np.asarray(variable[()])


def _image(variable: "h5py.Dataset", name: str) -> NDArray[np.uint8] | None:
    """Read one image, uint8 (h, w, 3) BGR; None for an empty array."""
    if variable.ndim < 3:
        return None
    release = variable.file.filename
    if variable.ndim != 3 or variable.shape[0] != 3 or variable.dtype != np.uint8:
        found = f"{variable.dtype} {variable.shape}"
        raise DatasetError(f"{release}: image {name}: expected uint8 (3, width, height), got {found}")
    try:
        pixels = variable[()]  # (3, w, h), RGB
    except OSError as error:
        raise DatasetError(f"{release}: image {name} cannot be read: the file is damaged") from error
    return np.ascontiguousarray(pixels.T[:, :, ::-1])
