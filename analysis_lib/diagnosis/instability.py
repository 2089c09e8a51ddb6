"""Whether the next steps would raise the loss: chi and rho against 1, and the layer behind it.

Nothing is fitted. rho = d'Hd / (2 |g'd|) and chi = step / critical step, both along the update d
that the optimizer would make next; above 1 the step overshoots, on a quadratic model and in fact
(see :mod:`analysis_lib.curvature`). A step may overshoot for a while and training recover, so the
corpus says how often each level ends badly.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis_lib.diagnosis.losses import not_finite
from analysis_lib.labels import first_bad_epoch

__all__ = ["LEVELS", "Instability", "first_levels", "instability"]

LEVELS = ("unknown", "low", "raised", "high", "unstable")
"""No chi and rho; both at most 1; one above 1 at some snapshot; both above 1 at one snapshot; the
loss has already exploded."""


@dataclass(frozen=True)
class Instability:
    """Risk that training explodes.

    Attributes
    ----------
    level : str
        One of :data:`LEVELS`, the worst of all snapshots.
    epoch : int or None
        Snapshot that decides: the first of that level.
    table : DataFrame
        epoch, chi, rho, level; one row per snapshot.
    layer : str or None
        Layer with the largest part of rho at the deciding snapshot.
    share : float
        That part, over the sum of all positive parts; missing without layers.
    layers : DataFrame
        layer, rho, share at the deciding snapshot, largest first; empty without layers.
    """

    level: str
    epoch: int | None
    table: pd.DataFrame
    layer: str | None
    share: float
    layers: pd.DataFrame

    def __str__(self):
        row = self.table[self.table["epoch"] == self.epoch]
        numbers = ", ".join(
            f"{c} {_number(row[c].iloc[0])}"
            for c in ("chi", "rho")
            if len(row) and row[c].notna().any()
        )
        at = "before training" if self.epoch == -1 else f"at epoch {self.epoch}"
        text = {
            "unknown": "unknown: the trace has neither chi nor rho",
            "low": "low: no step would overshoot",
            "raised": "raised: one of chi and rho is above 1",
            "high": "high: steps overshoot, chi and rho are above 1",
            "unstable": "unstable: its loss exploded",
        }[self.level]
        if self.level in ("raised", "high", "unstable"):
            text += f" {at}" + (f" ({numbers})" if numbers else "")
        if self.layer is not None and self.level not in ("unknown", "low"):
            text += f"; most of it from layer {self.layer} ({self.share:.0%})"
        return text


def _number(value: float) -> str:
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def _levels(chi: np.ndarray, rho: np.ndarray) -> np.ndarray:
    known = np.isfinite(chi) | np.isfinite(rho) | np.isposinf(chi) | np.isposinf(rho)
    above = (chi > 1).astype(int) + (rho > 1)
    alone = np.isnan(chi) | np.isnan(rho)
    high = (above == 2) | ((above == 1) & alone)
    return np.select([~known, high, above == 1], ["unknown", "high", "raised"], "low")


def instability(epochs: pd.DataFrame, layers: pd.DataFrame | None = None) -> Instability:
    """Judge a trace by its chi and rho.

    Parameters
    ----------
    epochs : DataFrame
        epoch and, if recorded, chi, rho, train_loss, valid_loss, probe_loss. Where one of chi and
        rho is missing the other decides.
    layers : DataFrame, optional
        epoch, layer, rho: the layers' parts, which add up to rho.

    Returns
    -------
    Instability

    Examples
    --------
    >>> trace = pd.DataFrame({"epoch": [-1, 0], "chi": [0.2, 3.0], "rho": [0.1, 2.0]})
    >>> parts = pd.DataFrame({"epoch": 0, "layer": ["a", "b"], "rho": [0.5, 1.5]})
    >>> risk = instability(trace, parts)
    >>> risk.level, risk.epoch, risk.layer, risk.share
    ('high', 0, 'b', 0.75)
    """
    table = epochs.reindex(columns=["epoch", "chi", "rho"])
    table = table.assign(level=_levels(table["chi"].to_numpy(), table["rho"].to_numpy()))
    bad = _exploded(epochs)
    if bad is not None:
        table.loc[table["epoch"] >= bad, "level"] = "unstable"
    level = max(table["level"], key=LEVELS.index)
    epoch = None
    if level != "unknown":
        first = table[table["level"] == level]
        epoch = int(first["epoch"].iloc[0])
    driver, share, parts = _driver(layers, table, epoch)
    return Instability(level, epoch, table, driver, share, parts)


def first_levels(epochs: pd.DataFrame) -> pd.Series:
    """Return the level of every run before its first step, by run_id.

    Parameters
    ----------
    epochs : DataFrame
        run_id, epoch, chi, rho.
    """
    start = epochs[epochs["epoch"] == -1]
    found = _levels(start["chi"].to_numpy(dtype=float), start["rho"].to_numpy(dtype=float))
    return pd.Series(found, index=start["run_id"].to_numpy())


def _exploded(epochs: pd.DataFrame) -> int | None:
    losses = epochs.reindex(columns=["train_loss", "probe_loss", "valid_loss"]).astype(float)
    known = [c for c in losses if losses[c].notna().any()]
    if not known:
        return None
    names = ("train_loss", "valid_loss", "probe_loss")
    train, valid, probe = (losses[c].to_numpy()[None] for c in names)
    broke = not_finite(train, valid, probe, np.ones((1, len(losses)), dtype=bool))
    broken = dict(zip(names, broke, strict=True))
    numbers = {
        c: losses[c].where(losses[c].notna() | broken[c][0], losses[c].ffill().bfill())
        for c in losses
    }  # what was not measured did not explode
    loss = losses[known[0]].to_numpy()
    start = 0 if np.isfinite(loss[0]) or epochs["epoch"].iloc[0] >= 0 else 1
    rows = epochs.iloc[start:]  # a loop has no train loss yet when it takes the first snapshot
    curves = pd.DataFrame({"run_id": "trace", "epoch": rows["epoch"]})
    curves["train_loss"] = numbers[known[0]].iloc[start:]
    curves["valid_loss"] = numbers["valid_loss"].iloc[start:]
    for name in ("train_accuracy", "valid_accuracy"):
        curves[name] = rows[name] if name in rows else np.nan
    found = first_bad_epoch(curves)
    return int(found.iloc[0]) if len(found) else None


def _driver(
    layers: pd.DataFrame | None, table: pd.DataFrame, epoch: int | None
) -> tuple[str | None, float, pd.DataFrame]:
    none = pd.DataFrame(columns=["layer", "rho", "share"])
    if layers is None or epoch is None or "rho" not in layers:
        return None, float("nan"), none
    finite = layers[np.isfinite(layers["rho"])]
    seen = finite[finite["epoch"] <= epoch]
    if seen.empty:
        return None, float("nan"), none
    part = seen[seen["epoch"] == seen["epoch"].max()][["layer", "rho"]]
    positive = part["rho"].clip(lower=0)
    part = part.assign(share=positive / positive.sum() if positive.sum() > 0 else np.nan)
    part = part.sort_values("rho", ascending=False, kind="stable").reset_index(drop=True)
    if not positive.sum() > 0:
        return None, float("nan"), part
    return str(part["layer"].iloc[0]), float(part["share"].iloc[0]), part
