"""Faults of the training loop that PyTorch users make."""

from dataclasses import replace

import numpy as np

from analysis_lib.faults.operator import Parameter, operator
from analysis_lib.faults.slots import matrices, rows, steps, uniform, weighted
from analysis_lib.programs.program import Program, Setup

__all__ = [
    "accumulate_without_mean",
    "ascend",
    "break_graph",
    "broadcast_target",
    "cut_gradient",
    "decay_every_batch",
    "forget_parameters",
    "forget_train_mode",
    "forget_zero_grad",
    "keep_sorted",
    "restart_loader",
    "squash_twice",
]


def _cuttable(program: Program) -> tuple[str, ...]:
    return matrices(program)[:-1]


@operator(
    "PZG",
    category="Loop",
    title="gradients never cleared",
    source="PyTorch: missing optimizer.zero_grad()",
)
def forget_zero_grad(program: Program, setup: Setup) -> Setup:
    """Let gradients add up over all steps."""
    return replace(setup, zero_grad=False)


@operator(
    "PSX",
    category="Loop",
    title="output activation applied twice",
    source="PyTorch: softmax before CrossEntropyLoss, sigmoid before BCEWithLogitsLoss",
    applies=lambda p: None if p.setup.output in ("softmax", "sigmoid") else "its output is linear",
    weight=0.5,
)
def squash_twice(program: Program, setup: Setup) -> Setup:
    """Squash the outputs before a loss that expects raw ones."""
    return replace(setup, output_twice=True)


@operator(
    "PDT",
    category="Loop",
    title="gradient cut by detach",
    source="PyTorch: a stray .detach() or .data in forward()",
    parameters={"layer": Parameter(str, "slot behind which it is cut", choices=_cuttable)},
    applies=lambda p: None if _cuttable(p) else "it has no layer before the last one",
    sample=lambda p, rng: {"layer": _cuttable(p)[-1]},
)
def cut_gradient(program: Program, setup: Setup, *, layer: str) -> Setup:
    """Stop the gradient behind a layer, so that all before it stay as they were."""
    return setup.edited(layer, detach=True)


@operator(
    "PNS",
    category="Loop",
    title="sorted data, no shuffling",
    source="PyTorch: DataLoader without shuffle=True on data sorted by target",
    applies=lambda p: None if rows(p) > p.setup.batch_size else "it trains on full batches",
)
def keep_sorted(program: Program, setup: Setup) -> Setup:
    """Present the rows sorted by target, in the same order every epoch."""
    return replace(setup, shuffle=False)


@operator(
    "PEM",
    category="Loop",
    title="training in evaluation mode",
    source="PyTorch: model.train() missing after an evaluation",
    applies=lambda p: (
        None
        if p.slots("dropout") or any("batch" in s.options["kind"] for s in p.slots("norm"))
        else "it has neither dropout nor batch normalisation"
    ),
    weight=0.5,
)
def forget_train_mode(program: Program, setup: Setup) -> Setup:
    """Train with dropout off and batch statistics frozen at their initial values."""
    return replace(setup, train_mode=False)


def _sample_decay(program: Program, rng: np.random.Generator) -> dict:
    left = uniform(rng, 2.0, 6.0)  # decades lost over the first epoch
    return {"factor": float(f"{10 ** (-left / steps(program)):.6g}")}


@operator(
    "PSB",
    category="Loop",
    title="scheduler stepped every batch",
    source="PyTorch: scheduler.step() inside the batch loop",
    parameters={"factor": Parameter(float, "factor on the rate after each batch", 0.01, 0.9999)},
    sample=_sample_decay,
    weight=1.5,
)
def decay_every_batch(program: Program, setup: Setup, *, factor: float) -> Setup:
    """Decay the learning rate after every batch instead of every epoch."""
    return replace(setup, decay_per_batch=factor)


@operator(
    "PBC",
    category="Loop",
    title="prediction and target broadcast",
    source="PyTorch: MSELoss on shapes (n, 1) and (n,)",
    applies=lambda p: (
        None
        if p.task == "regression" and p.arrays().train[-1].shape[1:] == (1,)
        else "its target is not one number per row"
    ),
)
def broadcast_target(program: Program, setup: Setup) -> Setup:
    """Compare every prediction with every target of the batch."""
    return replace(setup, broadcast=True)


@operator(
    "PMP",
    category="Loop",
    title="layers missing from the optimizer",
    source="PyTorch: optimizer built before a layer was added, or layers kept in a plain list",
    parameters={
        "layers": Parameter(
            str, "first, last or all but the last layer", choices=("first", "last", "all but last")
        )
    },
    applies=lambda p: None if len(weighted(p)) > 1 else "it has one layer only",
    sample=lambda p, rng: {"layers": "all but last"},
)
def forget_parameters(program: Program, setup: Setup, *, layers: str) -> Setup:
    """Build the optimizer without the parameters of some layers."""
    names = weighted(program)
    chosen = {"first": names[:1], "last": names[-1:], "all but last": names[:-1]}[layers]
    return replace(setup, left_out=chosen)


@operator(
    "PGB",
    category="Loop",
    title="loss cut off from the model",
    source="PyTorch: torch.tensor(loss.item(), requires_grad=True), which silences 'element 0 of "
    "tensors does not require grad'",
    weight=0.5,
)
def break_graph(program: Program, setup: Setup) -> Setup:
    """Wrap the loss anew before backward(), so that no gradient reaches the model."""
    return replace(setup, backward=False)


@operator(
    "PMX",
    category="Loop",
    title="loss ascended",
    source="PyTorch: maximize=True of torch.optim, or a reward that was to be maximised as a loss",
    weight=0.5,
)
def ascend(program: Program, setup: Setup) -> Setup:
    """Step up the gradient."""
    return replace(setup, options={**setup.options, "maximize": True})


@operator(
    "PGA",
    category="Loop",
    title="gradients accumulated, not averaged",
    source="PyTorch: accumulation over batches (Automatic Mixed Precision examples) without "
    "dividing the loss by their number",
    parameters={"batches": Parameter(int, "batches per step", 2, 10_000)},
    applies=lambda p: None if steps(p) >= 4 else "it takes fewer than four steps per epoch",
    sample=lambda p, rng: {"batches": max(2, round(steps(p) / uniform(rng, 0.6, 2.0)))},
)
def accumulate_without_mean(program: Program, setup: Setup, *, batches: int) -> Setup:
    """Add the gradients of several batches up for every step."""
    return replace(setup, accumulate=batches)


@operator(
    "PFB",
    category="Loop",
    title="the same batch in every step",
    source="PyTorch: next(iter(loader)) inside the loop, without shuffling",
    applies=lambda p: None if rows(p) > p.setup.batch_size else "it trains on full batches",
)
def restart_loader(program: Program, setup: Setup) -> Setup:
    """Take the first batch of the training data in every step."""
    return replace(setup, one_batch=True)
