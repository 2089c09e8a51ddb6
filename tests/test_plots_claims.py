"""The figure of the claims shows estimates, published values and verdicts as they are."""

import pytest
from matplotlib.colors import to_hex

from analysis_lib import plots
from analysis_lib.errors import InputError
from analysis_lib.questions.claims import claim_verdicts, judge
from analysis_lib.questions.verdicts import VERDICTS, Claim

CLAIMS = (
    Claim("a", "gap", "a number", "w", "q", "equal", 0.2, reading="one way"),
    Claim("b", "gap", "a number", "w", "q", "equal", 0.2, reads="a", reading="other way"),
    Claim("again", "gap", "the first", "w", "q", "equal", 0.2),
    Claim("side", "gap", "a side", "w", "q", "less", null=0.5, form=".0%", unit="share"),
    Claim("far", "structure", "far out", "w", "q", null=1.0, published=3.0, unit="ratio"),
    Claim("count", "structure", "a count", "w", "q", published=7, why_not="theirs"),
    Claim("own", "gap", "our own", "our question", "q", further=True),
)
OURS = {
    "a": (0.1, 0.05, 0.15),
    "b": (0.2, 0.15, 0.25),
    "again": (0.1, 0.05, 0.15),
    "side": (0.25, 0.125, 0.375),
    "far": (4.0, 0.5, 6.0),
    "count": (8.0,),
    "own": (0.3, -0.1, 0.7),
}


pytestmark = pytest.mark.usefixtures("canvas")


def drawn(ax):
    return [(m.get_marker(), *m.get_xdata()) for m in ax.lines if len(m.get_xdata()) == 1]


def test_a_panel_per_question_and_unit_with_the_texts_of_its_claims():
    judged = judge(OURS, CLAIMS)
    words = claim_verdicts(judged)["verdict"]
    axes = plots.plot_claims(judged, verdicts=words, titles={"gap": "The gap"}, further="Ours")
    # the same estimate twice is drawn once, a count without interval not at all
    assert [[t.get_text() for t in ax.get_yticklabels()] for ax in axes] == [
        ["a number – depends", "one way", "other way"],
        ["a side"],
        ["far out"],
        ["our own"],
    ]
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles == ["The gap", "", "structure", "Ours"]
    assert [t.get_text() for t in axes[1].texts] == ["25% [12%, 38%]"]


def test_estimates_are_drawn_as_distances_from_no_effect():
    axes = plots.plot_claims(judge(OURS, CLAIMS))
    spans = [tuple(c.get_segments()[0][:, 0].round(3)) for ax in axes for c in ax.collections]
    assert spans == [(0.05, 0.15), (0.15, 0.25), (-0.375, -0.125), (-0.5, 5.0), (-0.1, 0.7)]
    assert drawn(axes[0]).count(("|", 0.2)) == 2
    assert ("<", 0) in drawn(axes[1]) and ("o", pytest.approx(-0.25)) in drawn(axes[1])
    assert ("|", 2.0) in drawn(axes[2]) and ("D", 3.0) in drawn(axes[2])
    # every panel has the range of its own rows and the value without an effect
    for ax, (low, high) in zip(axes, [(0, 0.25), (-0.375, 0), (-0.5, 5), (-0.1, 0.7)], strict=True):
        left, right = ax.get_xlim()
        assert left < low and right > high and right - left < 1.2 * (high - low)


def test_the_gap_has_its_axis_and_every_pointer_a_line_in_the_legend():
    hardly = Claim("h", "mismatch", "hardly", "w", "q", "negligible", margin=0.1)
    axes = plots.plot_claims(judge(OURS | {"h": (0.02, -0.01, 0.05)}, (*CLAIMS, hardly)))
    labels = {ax.get_title(loc="left"): ax.get_xlabel() for ax in axes}
    assert labels["gap"] == "gap, in balanced accuracy or recall"
    assert labels["mismatch"] == "distance from no effect, in score or area"
    (legend,) = axes[0].figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert {"where the claim points", "claimed: hardly any effect"} <= set(names)
    bold = [label.get_fontweight() for label in axes[0].get_yticklabels()]
    assert bold == ["bold", "normal", "normal"]


def test_a_verdict_has_one_colour_and_one_marker():
    assert list(plots.VERDICT_COLORS) == list(plots.VERDICT_MARKERS) == list(VERDICTS)
    assert len(set(plots.VERDICT_COLORS.values())) == len(set(plots.VERDICT_MARKERS.values())) == 4
    axes = plots.plot_claims(judge(OURS, CLAIMS))
    colors = [to_hex(c.get_color()[0]) for ax in axes for c in ax.collections]
    kinds = ("contradicted", "confirmed", "confirmed", "unresolved", "unresolved")
    assert colors == [plots.VERDICT_COLORS[kind] for kind in kinds]


def test_nothing_to_draw_is_refused():
    with pytest.raises(InputError, match="no claim with an interval"):
        plots.plot_claims(judge({"count": (8.0,)}, CLAIMS[5:6]))
