"""From one trace to a diagnosis."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis_lib.diagnosis.calibration import HEALTHY, prior_of
from analysis_lib.diagnosis.curves import CURVES, GROUPS
from analysis_lib.diagnosis.features import curves_of
from analysis_lib.diagnosis.instability import Instability, instability
from analysis_lib.diagnosis.model import EPOCHS, USUAL, DiagnosisModel, align, load_model
from analysis_lib.diagnosis.report import UNCLEAR, Diagnosis
from analysis_lib.diagnosis.trace import read_trace
from analysis_lib.errors import InputError
from analysis_lib.features.values import OPTIONAL

__all__ = ["FEWEST", "diagnose"]

FEWEST = 5
"""Curves that a verdict needs."""

STRANGE = 0.1
"""Below this p-value a run is called strange, though its verdict may stand."""


def diagnose(
    trace: Any,
    layers: Any = None,
    *,
    prior: float = 0.5,
    alpha: float = 0.02,
    model: DiagnosisModel | None = None,
    encoding: str = "utf-8",
) -> Diagnosis:
    """Diagnose one training run from its trace.

    Parameters
    ----------
    trace : DataFrame, Monitor, training.Trace, str or Path
        One row per snapshot: ``epoch`` (-1 is the state before training) and any of the channels
        of :data:`analysis_lib.channels.CHANNELS`, as :class:`analysis_lib.Monitor` records them.
    layers : DataFrame, str or Path, optional
        ``epoch``, ``layer``, ``rho``: to say which layer drives an instability.
    prior : float, default=0.5
        Probability, before looking, that the run is healthy; faults share the rest evenly.
    alpha : float, default=0.02
        The verdict is withheld where a run of a new program is as strange with a smaller
        probability, see :func:`~analysis_lib.diagnosis.abstention.unlike_p_values`. The smallest
        that 52 training programs can tell is 1 / 53: by default a run must be stranger than every
        known one. Among known programs a strange run is no harder to diagnose, since the strangest
        are those with the largest faults; so a stricter limit mostly withholds right verdicts.
    model : DiagnosisModel, optional
        The shipped one by default.
    encoding : str, default="utf-8"
        Of files that are CSV.

    Returns
    -------
    Diagnosis
        It abstains if there is no epoch yet, fewer than five curves can be computed, the run is
        unlike anything seen, or no class is more likely than all others together.

    Raises
    ------
    InputError
        If the trace cannot be read, has no channel that a curve needs, or an option is out of
        range.

    Notes
    -----
    Where only the cause is unclear and a fault is as good as certain, the verdict says so, though
    the diagnosis abstains from a cause.

    A run whose loss exploded is not healthy, whatever its curves say: Healthy is then ruled out.

    Causes are learned from the first 12 epochs of small programs; of a longer trace the first 12
    are used for causes and evidence, and all for the instability.

    Examples
    --------
    >>> trace = pd.DataFrame({"epoch": [-1, 0, 1], "train_loss": [2.0, 1.0, 0.5],
    ...                       "valid_loss": [2.0, 1.2, 0.8]})
    >>> result = diagnose(trace)
    >>> result.abstained, result.reasons
    (True, ('too few channels: 3 curves, and a verdict needs 5',))
    """
    if not (isinstance(alpha, int | float) and 0 < alpha < 1):
        raise InputError(f"alpha is {alpha!r}; expected a number between 0 and 1")
    epochs, layers = read_trace(trace, layers, encoding=encoding)
    model = load_model() if model is None else model
    prior_of(model.classes, prior)  # a wrong one is refused even where no cause is named
    _, epoch, values, broken = curves_of(epochs.assign(run_id="trace"))
    risk = instability(epochs, layers)
    last = int(epoch.max())
    window = min(last + 1, EPOCHS)
    curves, bad = align(epoch[0], values[0]), align(epoch[0], broken[0])
    known = np.isfinite(curves).any(axis=0)
    if not known.any() and risk.level == "unknown":
        raise InputError(
            "no curve can be computed from the trace; record more channels, such as train_loss, "
            "valid_loss, probe_loss, grad_norm, weight_norm, update_ratio"
        )
    reasons, unlike, healthy = [], float("nan"), float("nan")
    causes = pd.DataFrame(columns=["cause", "confidence"])
    if window == 0:
        reasons.append("the trace has no epoch yet, only the state before training")
    else:
        p = model.predict(curves[None], bad[None], window=window, healthy=prior)[0]
        if risk.level == "unstable":
            p = np.where(np.array(model.classes) == HEALTHY, 0, p)
            p = p / p.sum()
        causes = pd.DataFrame({"cause": model.classes, "confidence": p})
        causes = causes.sort_values("confidence", ascending=False, kind="stable")
        causes = causes.reset_index(drop=True)
        healthy = float(p[model.classes.index(HEALTHY)])
        if known.sum() < FEWEST:
            reasons.append(
                f"too few channels: {int(known.sum())} curves, and a verdict needs {FEWEST}"
            )
        elif p.max() <= 0.5:
            reasons.append(UNCLEAR)
    if known.any():
        unlike = model.reference.unlike(curves)
        if unlike < alpha and window:
            reasons.insert(
                0,
                f"unlike anything seen: p = {unlike:.3f} < {alpha:g} that a run of a new program "
                f"is as far from the runs of {model.about['programs']} known programs",
            )
    seen = curves[: window + 1]
    return Diagnosis(
        healthy=healthy,
        causes=causes,
        evidence=model.ranges.evidence(seen),
        nearest=model.reference.nearest(curves) if known.any() else _no_neighbours(model),
        instability=risk,
        unlike=unlike,
        reasons=tuple(reasons),
        missing=_missing(epochs, known, bool(bad.any()), model),
        window=window,
        notes=(*_notes(epochs, last, bad), *_rates(risk, model), *_strange(unlike)),
        curves=pd.DataFrame(seen, columns=list(CURVES)).assign(
            epoch=np.arange(-1, window, dtype=int)
        ),
        bands=_bands(model, window),
        prior=float(prior),
        source=str(trace) if isinstance(trace, str | Path) else None,
    )


def _no_neighbours(model: DiagnosisModel) -> pd.DataFrame:
    return model.reference.runs.head(0).assign(distance=0.0)


def _missing(
    epochs: pd.DataFrame, known: np.ndarray, broken: bool, model: DiagnosisModel
) -> pd.DataFrame:
    scores = {row["case"]: row["all_classes"] for row in model.about["scores"]}
    full = scores[f"window {USUAL}"]
    rows = []
    for group in GROUPS:
        own = [(c, k) for c, k in zip(CURVES.values(), known, strict=True) if c.group == group]
        wanted = dict.fromkeys(c for curve, k in own if not k for c in curve.channels)
        absent = [c for c in wanted if c not in OPTIONAL and _absent(epochs, c, broken)]
        if not absent:
            continue
        rows.append(
            {
                "group": group,
                "channels": ", ".join(absent),
                "lost": sum(not k for _, k in own),
                "of": len(own),
                "cost": full - scores[f"without {group}"],
            }
        )
    return pd.DataFrame(rows, columns=["group", "channels", "lost", "of", "cost"])


def _absent(epochs: pd.DataFrame, channel: str, broken: bool) -> bool:
    """Whether a channel was not recorded; a run that broke may have recorded it without a value."""
    return channel not in epochs or (epochs[channel].isna().all() and not broken)


def _notes(epochs: pd.DataFrame, last: int, bad: np.ndarray) -> tuple[str, ...]:
    notes = []
    if last >= EPOCHS:
        notes.append(
            f"Causes and evidence are from the first {EPOCHS} of {last + 1} epochs, the "
            "instability is from all."
        )
    if epochs["epoch"].iloc[0] >= 0:
        notes.append(
            f"There is no snapshot before training (epoch -1); growth is counted from epoch "
            f"{epochs['epoch'].iloc[0]}."
        )
    if bad.any():
        notes.append(f"A loss is not finite at epoch {int(np.flatnonzero(bad)[0]) - 1}.")
    return tuple(notes)


def _rates(risk: Instability, model: DiagnosisModel) -> tuple[str, ...]:
    """What became of the corpus' runs that began at this level."""
    level = risk.table["level"].iloc[0]
    known = {row["level"]: row for row in model.about["instability"]}
    if risk.table["epoch"].iloc[0] != -1 or level not in ("low", "raised", "high"):
        return ()
    if level not in known:
        return ()
    return (
        f"Before training the risk was {level}; {100 * known[level]['unstable']:.1f} % of the "
        "corpus' runs that began so became unstable.",
    )


def _strange(unlike: float) -> tuple[str, ...]:
    if not unlike < STRANGE:
        return ()
    return (
        f"Few known runs are as far from those of other programs (p = {unlike:.2f}): the causes "
        "are an extrapolation.",
    )


def _bands(model: DiagnosisModel, window: int) -> pd.DataFrame:
    low, middle, high = model.ranges.quantiles[:, : window + 1].astype(float)
    steps = window + 1
    return pd.DataFrame(
        {
            "curve": np.repeat(list(CURVES), steps),
            "epoch": np.tile(np.arange(-1, window), len(CURVES)),
            "low": low.T.ravel(),
            "median": middle.T.ravel(),
            "high": high.T.ravel(),
        }
    )
