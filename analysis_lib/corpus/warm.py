"""Preloaded once in the fork server, so that every run starts with everything imported.

Importing torch is not enough: its first optimizer step imports much more (about a second of CPU
time). One tiny step here pays that once for all runs. Nothing here may start a thread, because
processes are forked from this one, and nothing may raise, because that would end the fork server.
"""

import contextlib
import gc
import importlib
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"  # pyarrow starts one otherwise

import pandas as pd  # noqa: E402

from analysis_lib.corpus import child, schema  # noqa: E402

__all__ = ["COLD", "warm_up"]

COLD = "ANALYSIS_LIB_COLD"
"""Environment variable: if set, torch is left out (for trainers that do not need it)."""

_PACKAGES = (
    "analysis_lib.programs",
    "analysis_lib.faults",
    "analysis_lib.curvature",
    "analysis_lib.monitor",
    child.TRAINER.partition(":")[0],
    "analysis_lib.injection.loop",
)


def warm_up() -> None:
    """Import what a run needs, and take one single-threaded optimizer step with a Hessian product.

    Packages that cannot be imported are left out: the run that needs them says why.
    """
    table = schema.pa.table(pd.DataFrame({"a": ["b"], "c": [1.0]}))
    schema.to_bytes(table)
    if os.environ.get(COLD):
        return
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = model(torch.ones(4, 2)).square().mean()
    slopes = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
    sum(s.square().sum() for s in slopes).backward()
    optimizer.step()
    for name in _PACKAGES:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


with contextlib.suppress(Exception):
    warm_up()
gc.collect()
gc.freeze()  # no collection, in the runs or when the server leaves, looks at what is imported here
