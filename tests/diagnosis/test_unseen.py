"""From a plain loop on data that no program of ours uses, through the Monitor, to a diagnosis.

What is asserted is what must hold of any diagnosis: that there is one, that its evidence and its
risk fit what was planted. Whether the class is right is measured, and only has to beat guessing by
far; it is right for about six planted faults of ten.
"""

import numpy as np
import pytest

from analysis_lib import diagnose
from analysis_lib.diagnosis import Diagnosis

from .own_loops import CAUSES, train_own


@pytest.fixture(scope="module")
def found():
    """Diagnoses of one loop under every planted fault."""
    return {fault: diagnose(train_own("diabetes", fault, epochs=3)) for fault in CAUSES}


def test_every_loop_gets_a_diagnosis(found):
    for fault, result in found.items():
        assert isinstance(result, Diagnosis), fault
        assert result.causes["confidence"].sum() == pytest.approx(1)
        assert result.window == 3 and len(result.evidence) > 30
        absent = set(result.missing["group"])
        assert absent == ({"activation"} if fault == "no activation" else set())
        assert str(result) and result.to_json()


def test_a_rate_a_hundred_times_too_large_is_a_risk_before_the_first_step(found):
    risk = found["rate x 100"].instability
    assert risk.table["level"].iloc[0] in ("raised", "high")
    assert risk.table["chi"].iloc[0] > 1 and risk.level in ("high", "unstable")
    assert risk.table["chi"].iloc[0] > 20 * found["none"].instability.table["chi"].iloc[0]
    assert risk.layer in ("0", "2", "5")
    low = found["rate / 1000"].instability.table["chi"].iloc[0]
    assert low < 0.01 * found["none"].instability.table["chi"].iloc[0]


@pytest.mark.parametrize(
    ("fault", "groups"),
    [
        ("zero gradients", {"gradient", "optimizer", "stability"}),
        ("biases of -100", {"activation", "gradient", "weights", "curvature"}),
        ("weight decay of 1", {"weights", "activation"}),
        ("rate / 1000", {"optimizer"}),
        ("sigmoid everywhere", {"activation"}),
    ],
)
def test_the_evidence_is_of_the_kind_that_was_planted(found, fault, groups):
    first = found[fault].evidence.head(3)
    assert first["group"].isin(groups).any()
    assert (first["healthy_share"] < 0.05).all() and (first["direction"] != "inside").all()


def test_the_healthy_run_has_less_evidence_than_all_faulty_ones_together(found):
    odd = {f: int((r.evidence["healthy_share"] <= 0.02).sum()) for f, r in found.items()}
    assert odd["none"] < np.median([n for fault, n in odd.items() if fault != "none"])
    assert found["none"].faulty < np.median([r.faulty for r in found.values()])


def test_it_is_right_far_more_often_than_guessing(found):
    faults = [fault for fault in CAUSES if fault != "none"]
    right = [found[f].causes["cause"].iloc[0] == CAUSES[f] for f in faults]
    seen = [found[f].faulty > 0.5 for f in faults]
    assert np.mean(right) > 0.3 and np.mean(seen) > 0.7
    given = [r for f, r in zip(faults, right, strict=True) if not found[f].abstained]
    assert np.mean(given) >= np.mean(right)


def test_a_trace_of_a_dead_network_is_told(found):
    dead = found["biases of -100"]
    table = dead.evidence.set_index("curve")
    assert table.loc["dead share", "value"] == 1.0
    assert dead.causes["cause"].iloc[0] == "Weights"
