"""What all tests need."""

import signal

import pytest
from hypothesis import HealthCheck, settings

# under nohup or in the background of a script SIGINT is ignored, and child processes inherit that;
# the tests that interrupt a child would then wait for ever
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# the same examples in every run: what passes here passes everywhere; how long drawing them takes
# says something about the machine alone
settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")


@pytest.fixture
def canvas():
    """Figures in the project's style, each drawn at the end, so that its warnings are errors."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    from analysis_lib import plots

    with mpl.rc_context():
        mpl.use("agg")
        plots.use_style()
        yield
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
    plt.close("all")
