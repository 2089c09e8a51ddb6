"""The figure of the claims shows estimates, published values and verdicts as they are."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex

from analysis_lib import plots
from analysis_lib.errors import InputError
from analysis_lib.questions.claims import judge
from analysis_lib.questions.verdicts import VERDICTS, Claim

CLAIMS = (
    Claim("a number", "gap", "t", "w", "q", "equal", 0.2),
    Claim("a side", "gap", "t", "w", "q", "less", null=0.5, form=".0%"),
    Claim("far out", "structure", "t", "w", "q", null=1.0, published=9.0),
    Claim("a count", "structure", "t", "w", "q", published=7, why_not="theirs"),
)
OURS = {
    "a number": (0.1, 0.05, 0.15),
    "a side": (0.25, 0.125, 0.375),
    "far out": (4.0, 0.5, 6.0),
    "a count": (8.0,),
}


@pytest.fixture(autouse=True)
def canvas():
    with mpl.rc_context():
        mpl.use("agg")
        plots.use_style()
        yield
    plt.close("all")


def test_estimates_are_drawn_as_distances_from_no_effect():
    ax = plots.plot_claims(judge(OURS, CLAIMS), titles={"gap": "The gap"})
    ticks = [t.get_text() for t in ax.get_yticklabels()]
    assert ticks == ["The gap", "a number", "a side", "structure", "far out"]
    spans = [tuple(c.get_segments()[0][:, 0].round(3)) for c in ax.collections[:3]]
    # the last one is cut, and its estimate beyond the end stands beside the arrow
    assert spans == [(0.05, 0.15), (-0.375, -0.125), (-0.5, 1.0)]
    drawn = [(m.get_marker(), *m.get_xdata()) for m in ax.lines if len(m.get_xdata()) == 1]
    assert ("|", 0.2) in drawn and ("<", 0) in drawn and (">", 1.0) in drawn
    assert sum(mark == "|" for mark, *_ in drawn) == 1
    for mark, place in (("X", 0.1), ("o", -0.25), ("D", 0.93)):
        assert any(m == mark and x == pytest.approx(place) for m, x in drawn)
    assert [t.get_text() for t in ax.texts] == [
        "0.100 [0.050, 0.150]",
        "25% [12%, 38%]",
        "4.000 [0.500, 6.000]",
    ]


def test_a_verdict_has_one_colour_and_one_marker():
    assert list(plots.VERDICT_COLORS) == list(plots.VERDICT_MARKERS) == list(VERDICTS)
    assert len(set(plots.VERDICT_COLORS.values())) == len(set(plots.VERDICT_MARKERS.values())) == 4
    ax = plots.plot_claims(judge(OURS, CLAIMS))
    colors = [to_hex(c.get_color()[0]) for c in ax.collections[:3]]
    kinds = ("contradicted", "confirmed", "unresolved")
    assert colors == [plots.VERDICT_COLORS[kind] for kind in kinds]


def test_nothing_to_draw_is_refused():
    with pytest.raises(InputError, match="no claim with an interval"):
        plots.plot_claims(judge({"a count": (8.0,)}, CLAIMS[3:]))
