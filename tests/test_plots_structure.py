"""Figures of where the gap comes from show the numbers they are given."""

import pandas as pd
import pytest
from matplotlib.colors import to_hex

from analysis_lib import plots
from analysis_lib.errors import InputError

pytestmark = pytest.mark.usefixtures("canvas")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_the_waterfall_goes_down_step_by_step():
    names = ["replicate leak", "class-prior leak", "program-specific part", "prior-shift cost"]
    parts = pd.DataFrame(
        {
            "part": [*names, "total"],
            "start": [0.9, 0.6, 0.55, 0.35, 0.9],
            "end": [0.6, 0.55, 0.35, 0.4, 0.4],
            "estimate": [0.3, 0.05, 0.2, -0.05, 0.5],
            "low": [0.2, 0.0, 0.1, -0.1, 0.4],
            "high": [0.45, 0.1, 0.3, 0.0, 0.6],
        }
    )
    ax = plots.plot_waterfall(parts, chance=0.25)
    bars = [(round(b.get_y(), 9), round(b.get_height(), 9)) for b in ax.patches]
    # E1 and E4 stand on the ground, the parts between them
    assert bars == [(0, 0.9), (0, 0.4), (0.6, 0.3), (0.55, 0.05), (0.35, 0.2), (0.35, 0.05)]
    assert texts(ax) == ["0.900", "0.400", "0.300", "0.050", "0.200", "-0.050"]
    # a whisker spans the ends that the interval of the part would lead to
    spans = [line.get_segments()[0][:, 1] for line in ax.collections]
    assert [tuple(span) for span in spans][0] == pytest.approx((0.45, 0.7))
    assert to_hex(ax.patches[2].get_facecolor()) == plots.PART_COLORS["replicate leak"]
    assert len({bar.get_hatch() for bar in ax.patches[2:]}) == 4
    ticks = [t.get_text() for t in ax.get_xticklabels()]
    assert ticks[0] == "E1" and ticks[-1] == "E4" and len(ticks) == 6


def test_permuted_scores_stand_beside_the_others():
    summary = pd.DataFrame(
        {
            "mix": ["even", "uneven"],
            "permuted": "run",
            "strategy": "E1",
            "actual": [0.8, 0.7],
            "median": [0.2, 0.4],
            "low": [0.15, 0.35],
            "high": [0.3, 0.45],
        }
    )
    ax = plots.plot_permutations(
        summary, chance=0.25, prior={"even": 0.25, "uneven": 0.5}, published=(0.41, 0.47)
    )
    assert [t.get_text() for t in ax.get_yticklabels()] == [
        "the study",
        "even: by run, E1",
        "uneven: by run, E1",
    ]
    drawn = {tuple(line.get_xdata()) for line in ax.get_lines()}
    assert {(0.8, 0.7), (0.2, 0.4), (0.25, 0.5), (0.41,), (0.47,)} <= drawn
    assert plots.plot_permutations(summary, chance=0.25).get_legend() is not None


def test_the_plane_marks_groups_and_names():
    shares = pd.DataFrame(
        {
            "channel": ["rho", "train_loss", "valid_loss"],
            "group": ["dimensionless", "losses and accuracies", "losses and accuracies"],
            "program_total": [0.1, 0.8, 0.9],
            "fault_total": [0.6, 0.1, 0.1],
        }
    )
    ax = plots.plot_feature_plane(shares, named=["rho", "valid_loss", "train_loss"])
    assert [c.get_label() for c in ax.collections] == ["dimensionless", "losses and accuracies"]
    assert ax.collections[1].get_offsets().tolist() == [[0.8, 0.1], [0.9, 0.1]]
    assert sorted(texts(ax)) == ["rho", "train_loss", "valid_loss"]
    heights = {t.get_text(): t.get_position()[1] for t in ax.texts}
    assert abs(heights["train_loss"] - heights["valid_loss"]) > 0.02  # do not overlap
    with pytest.raises(InputError, match="group"):
        plots.plot_feature_plane(shares.assign(group="other"))


def test_the_audit_has_a_mark_per_strategy():
    table = pd.DataFrame(
        {
            "technique": ["a", "a", "b", "b"],
            "strategy": ["E4", "E1", "E4", "E1"],
            "score": [0.3, 0.5, 0.4, 0.9],
        }
    ).assign(low=lambda t: t["score"] - 0.1, high=lambda t: t["score"] + 0.05)
    ax = plots.plot_audit(table, names={"a": "rate"}, chance=0.25)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["rate", "b"]
    points = [line for line in ax.get_lines() if len(line.get_xdata()) == 2]
    drawn = {tuple(line.get_xdata()) for line in points}
    assert {(0.5, 0.9), (0.3, 0.4)} <= drawn
    names = [t.get_text() for t in ax.get_legend().get_texts()]
    assert sorted(names) == ["E1", "E4", "chance"]
    with pytest.raises(InputError, match="score"):
        plots.plot_audit(table.drop(columns="score"))
