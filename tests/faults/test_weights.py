"""Operators on initial weights and biases."""

import pytest
import torch

from analysis_lib.configuration import Configuration
from analysis_lib.errors import InputError
from analysis_lib.faults import faulty_setup, get_operator
from analysis_lib.programs import get_program


def parameters_of(program, id="healthy", **parameters):
    setup = faulty_setup(Configuration(program, id, parameters))
    return dict(get_program(program).model(setup, seed=3).named_parameters())


def test_a_gain_scales_weights_and_leaves_biases():
    healthy = parameters_of("lenet5_mnist")
    scaled = parameters_of("lenet5_mnist", "WSC", layer="all", gain=20.0)
    for name, value in scaled.items():
        factor = 1.0 if name.endswith("bias") else 20.0
        torch.testing.assert_close(value, factor * healthy[name])


def test_a_gain_on_one_layer():
    healthy = parameters_of("snn_wine")
    scaled = parameters_of("snn_wine", "WSC", layer="head", gain=0.01)
    changed = {n for n in healthy if not torch.equal(healthy[n], scaled[n])}
    assert len(changed) == 1


def test_biases_start_where_they_are_put():
    healthy = parameters_of("lenet5_mnist")
    shifted = parameters_of("lenet5_mnist", "WBC", layer="all", value=-7.5)
    for name, value in shifted.items():
        if name.endswith("bias"):
            assert (value == -7.5).all()
        else:
            assert torch.equal(value, healthy[name])


def test_normalisations_keep_their_start():
    shifted = parameters_of("mlp_breast_cancer", "WBC", layer="all", value=9.0)
    healthy = parameters_of("mlp_breast_cancer")
    norm = dict(get_program("mlp_breast_cancer").model().named_modules())
    of_norms = {
        f"{path}.{leaf}"
        for path, module in norm.items()
        if isinstance(module, torch.nn.BatchNorm1d)
        for leaf in ("weight", "bias")
    }
    assert of_norms and all(torch.equal(shifted[n], healthy[n]) for n in of_norms)


def test_a_bias_is_removed_and_added():
    assert not any(n.endswith("bias") for n in parameters_of("snn_wine", "WRB", layer="all"))
    added = parameters_of("gat_digits_knn", "WAB", layer="attend1_source")
    assert len(added) == len(parameters_of("gat_digits_knn")) + 1
    assert "no layer without a bias" in get_operator("WAB").applies(get_program("snn_wine"))


def test_a_start_that_changes_nothing_is_refused():
    with pytest.raises(InputError, match="would change nothing"):
        parameters_of("snn_wine", "WSC", layer="all", gain=1.0)
    with pytest.raises(InputError, match="would change nothing"):
        parameters_of("snn_wine", "WBC", layer="all", value=0.0)
