"""The diagnosis model: what is shipped, how it is saved without pickle, and what it predicts."""

import io
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from analysis_lib import ROOT
from analysis_lib.diagnosis.calibration import prior_of, probabilities
from analysis_lib.diagnosis.evidence import HealthyRanges
from analysis_lib.diagnosis.features import feature_names, summarise_curves
from analysis_lib.diagnosis.reference import Reference
from analysis_lib.diagnosis.trees import Trees
from analysis_lib.errors import InputError

__all__ = ["FORMAT", "SHIPPED", "DiagnosisModel", "align", "load_model"]

SHIPPED = ROOT / "data" / "models" / "diagnosis.npz"
"""The model that comes with the library."""

FORMAT = 1
"""Version of the file."""

EPOCHS = 12
"""Epochs that the model has seen; later ones of a trace are not used for causes."""

USUAL = 5
"""Window at which the cost of missing channels is measured."""

REMEDY = "make it with `python -m analysis_lib diagnosis-model`"


def align(epoch: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Put the snapshots of one run where the model has them: ``init``, then epochs 0 to 11.

    Parameters
    ----------
    epoch : ndarray of int of shape (n_snapshots,)
    values : ndarray of shape (n_snapshots, ...)

    Returns
    -------
    ndarray of shape (13, ...)
        NaN where there is no such snapshot, False for truth values.
    """
    missing = False if values.dtype == bool else np.nan
    found = np.full((EPOCHS + 1, *values.shape[1:]), missing, dtype=values.dtype)
    inside = epoch < EPOCHS
    found[epoch[inside] + 1] = values[inside]
    return found


@dataclass(frozen=True)
class DiagnosisModel:
    """Everything a diagnosis needs.

    Attributes
    ----------
    classes : tuple of str
        Healthy and the fault categories, sorted.
    trees : Trees
    temperature : float
    ranges : HealthyRanges
    reference : Reference
    about : dict
        What the model was made from and how it was judged: ``corpus`` (the digest of its contents),
        ``programs``, ``runs``, ``held_out_groups``, and tables (lists of rows) ``scores``,
        ``by_class``, ``reliability``, ``abstention``, ``instability`` and ``check``.
    """

    classes: tuple[str, ...]
    trees: Trees
    temperature: float
    ranges: HealthyRanges
    reference: Reference
    about: dict

    def predict(
        self, values: np.ndarray, broken: np.ndarray, *, window: int, healthy: float = 0.5
    ) -> np.ndarray:
        """Return the probability of every class.

        Parameters
        ----------
        values : ndarray of shape (n_runs, 13, n_curves)
            Curves as :func:`align` arranges them.
        broken : ndarray of bool of shape (n_runs, 13)
        window : int
            Number of epochs that are used.
        healthy : float, default=0.5
            Prior probability of a healthy run; faults share the rest evenly.
        """
        epoch = np.broadcast_to(np.arange(-1, EPOCHS), broken.shape)
        features = summarise_curves(epoch, values, broken, window=window)
        prior = prior_of(self.classes, healthy)
        return probabilities(self.trees.scores(features), temperature=self.temperature, prior=prior)

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of :attr:`about`."""
        return pd.DataFrame(self.about[name])

    def to_bytes(self) -> bytes:
        """Return the content of the file; the same model gives the same bytes."""
        text = {
            "format": FORMAT,
            "classes": list(self.classes),
            "features": feature_names(),
            "temperature": self.temperature,
            "reference": self.reference.runs.to_dict(orient="list"),
            "about": self.about,
        }
        arrays = {f"trees_{name}": value for name, value in self.trees.arrays().items()}
        arrays |= {
            "ranges_quantiles": self.ranges.quantiles,
            "ranges_peaks": self.ranges.peaks,
            "reference_codes": self.reference.codes,
            "reference_centre": self.reference.centre,
            "reference_scale": self.reference.scale,
            "text": np.frombuffer(json.dumps(text, sort_keys=True).encode(), dtype=np.uint8),
        }
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()

    def save(self, path: str | Path) -> Path:
        """Write the model as a NumPy archive of plain arrays and one text."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.to_bytes())
        return path


@lru_cache(maxsize=2)
def _load(path: Path, changed: int) -> DiagnosisModel:
    try:
        with path.open("rb") as source, np.load(source, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        text = json.loads(arrays.pop("text").tobytes())
        version, features = text["format"], text["features"]
    except Exception as error:  # a damaged archive fails in many ways
        raise InputError(f"{path} is no diagnosis model ({str(error)[:100]}); {REMEDY}") from None
    if version != FORMAT or features != feature_names():
        raise InputError(f"{path} was made by another version of the library; {REMEDY}")
    names = [name for name in arrays if name.startswith("trees_")]
    return DiagnosisModel(
        classes=tuple(text["classes"]),
        trees=Trees.from_arrays({name.removeprefix("trees_"): arrays[name] for name in names}),
        temperature=text["temperature"],
        ranges=HealthyRanges(arrays["ranges_quantiles"], arrays["ranges_peaks"]),
        reference=Reference(
            pd.DataFrame(text["reference"]),
            arrays["reference_codes"],
            arrays["reference_centre"],
            arrays["reference_scale"],
        ),
        about=text["about"],
    )


def load_model(path: str | Path | None = None) -> DiagnosisModel:
    """Load a model, the shipped one by default.

    Parameters
    ----------
    path : str or Path, optional

    Returns
    -------
    DiagnosisModel
        Kept in memory until the file changes.

    Raises
    ------
    InputError
        If there is no file, it is damaged, or of another version.

    Examples
    --------
    >>> len(load_model().classes)
    10
    """
    path = SHIPPED if path is None else Path(path)
    if not path.is_file():
        raise InputError(f"there is no model at {path}; {REMEDY}")
    return _load(path, path.stat().st_mtime_ns)
