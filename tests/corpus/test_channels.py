"""The dictionary of channels."""

import pytest

from analysis_lib.channels import CHANNELS, GROUPS, LAYER_CHANNELS


@pytest.mark.parametrize("channels", [CHANNELS, LAYER_CHANNELS])
def test_every_channel_has_a_unit_and_its_own_meaning(channels):
    assert all(name.isidentifier() and name.islower() for name in channels)
    assert all(unit.strip() and meaning.strip() for unit, meaning in channels.values())
    assert not {"run_id", "epoch", "layer", "depth"} & set(channels)


def test_no_channel_is_in_two_groups():
    assert sum(map(len, GROUPS.values())) == len(CHANNELS)


def test_published_sets_are_complete_and_prefixed():
    assert len(GROUPS["deepfd"]) == 18
    assert len(GROUPS["default"]) == 8
    for prefix in ("deepfd", "default"):
        assert all(name.startswith(f"{prefix}_") for name in GROUPS[prefix])
