"""One look for all figures: colours by meaning, sizes legible 500 px wide."""

import sys
from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.patheffects import withStroke

from analysis_lib.errors import InputError, unknown

__all__ = [
    "CATEGORY_COLORS",
    "FEATURE_COLORS",
    "LINE_COLORS",
    "PART_COLORS",
    "PART_MARKERS",
    "STRATEGY_COLORS",
    "STRATEGY_HATCHES",
    "STRATEGY_MARKERS",
    "STRATEGY_NAMES",
    "TECHNIQUE_COLORS",
    "VIEW_COLORS",
    "use_style",
]

# "muted" of P. Tol, Colour schemes (2021), in an order that keeps neighbours apart
CATEGORY_COLORS = {
    "Healthy": "#7f7f7f",
    "Hyperparameter": "#332288",
    "Loss": "#cc6677",
    "Activation": "#44aa99",
    "Layer": "#999933",
    "Optimization": "#882255",
    "Weights": "#88ccee",
    "Regularization": "#117733",
    "Data": "#ddcc77",
    "Loop": "#aa4499",
}
"""Colour of each fault category, and of healthy runs."""

# the two palest are hard to see as lines on white
LINE_COLORS = CATEGORY_COLORS | {"Weights": "#3a93c2", "Data": "#b87a10"}
"""The same for lines and points: darker forms where an area may be pale."""

# Okabe and Ito, Color universal design (2008); a balanced strategy is a light form of its base
STRATEGY_COLORS = {
    "E1": "#e69f00",
    "E2": "#009e73",
    "E2bal": "#8fdcc2",
    "E3": "#d55e00",
    "E4": "#0072b2",
    "E4bal": "#8cc4f0",
    "E5": "#cc79a7",
    "E6": "#000000",
}
"""Colour of each evaluation strategy."""

STRATEGY_MARKERS = {
    "E1": "o",
    "E2": "s",
    "E2bal": "p",
    "E3": "X",
    "E4": "D",
    "E4bal": "d",
    "E5": "^",
    "E6": "v",
}
"""Marker of each evaluation strategy, so that colour is never alone."""

STRATEGY_HATCHES = {
    "E1": "",
    "E2": "//",
    "E2bal": "///",
    "E3": "++",
    "E4": "..",
    "E4bal": "...",
    "E5": "xx",
    "E6": "\\\\",
}
"""Hatch of each evaluation strategy, for bars."""

STRATEGY_NAMES = {
    "E1": "E1 runs",
    "E2": "E2 configurations",
    "E2bal": "E2 even mixes",
    "E3": "E3 one program alone",
    "E4": "E4 programs",
    "E4bal": "E4 even mixes",
    "E5": "E5 families",
    "E6": "E6 operators",
}
"""What each evaluation strategy holds out."""

PART_COLORS = {
    "total": "#000000",
    "replicate leak": "#d55e00",
    "class-prior leak": "#117733",
    "program-specific part": "#aa4499",
    "prior-shift cost": "#56b4e9",
    "program part": "#aa4499",
}
"""Colour of each part of the gap."""

PART_MARKERS = {
    "total": "*",
    "replicate leak": "^",
    "class-prior leak": "P",
    "program-specific part": "v",
    "prior-shift cost": "h",
    "program part": "v",
}
"""Marker of each part of the gap."""

TECHNIQUE_COLORS = {
    "DeepFD": "#0072b2",
    "DEFault": "#d55e00",
    "AutoTrainer": "#56b4e9",
    "DeepLocalize": "#cc79a7",
    "UMLAUT": "#e69f00",
    "DeepDiagnosis": "#009e73",
    "ours": "#000000",
}
"""Colour of each diagnosis technique."""

# Okabe and Ito, Color universal design (2008)
FEATURE_COLORS = {
    "accuracy": "#000000",
    "curvature": "#d55e00",
    "dimensionless": "#0072b2",
    "optimizer": "#cc79a7",
    "rate": "#e69f00",
    "curvature and rate": "#009e73",
    "curvature and optimizer": "#56b4e9",
    "nuisance": "#7f7f7f",
}
"""Colour of each set of features; losses and accuracies are "accuracy"."""

VIEW_COLORS = {"within": "#0072b2", "between": "#d55e00", "pooled": "#7f7f7f"}
"""Colour of what is compared within programs, between them, or over all runs pooled."""


def use_style() -> None:
    """Set seaborn's theme, opaque white ground, and sizes that stay legible 500 px wide.

    In a notebook, figures become SVG with letters as outlines, so that they are sharp at any size
    and look the same everywhere.
    """
    sns.set_theme(context="notebook", style="ticks", palette="colorblind")
    mpl.rcParams.update(
        {
            "figure.figsize": (6.4, 3.8),
            "figure.dpi": 120,
            "savefig.dpi": 120,
            "figure.facecolor": "white",
            "axes.facecolor": "white",
            "savefig.facecolor": "white",
            "savefig.transparent": False,
            "figure.constrained_layout.use": True,
            "font.size": 13,
            "axes.labelsize": 13,
            "axes.titlesize": 13,
            "xtick.labelsize": 12,
            "ytick.labelsize": 12,
            "legend.fontsize": 12,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "lines.linewidth": 1.8,
            "svg.hashsalt": "analysis_lib",
        }
    )
    if "ipykernel" in sys.modules:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        # without the date, one figure is one file
        set_matplotlib_formats("svg", metadata={"Date": None})


def axes_or_new(ax: plt.Axes | None) -> plt.Axes:
    return plt.subplots()[1] if ax is None else ax


def need(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise InputError(f"{what} needs the columns {', '.join(columns)}; no '{missing[0]}' found")
    if frame.empty:
        raise InputError(f"{what} got a table without rows")


def color_of(category: str) -> str:
    if category not in CATEGORY_COLORS:
        raise unknown("category", category, CATEGORY_COLORS)
    return CATEGORY_COLORS[category]


def halo(width: float) -> list[withStroke]:
    """Return a white edge that keeps a line or text legible on any colour."""
    return [withStroke(linewidth=width, foreground="white")]
