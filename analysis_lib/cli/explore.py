"""Commands that show programs and faults, and train one run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analysis_lib.errors import InputError, unknown

if TYPE_CHECKING:
    from analysis_lib.faults import Operator
    from analysis_lib.programs import Program

__all__ = ["faults", "programs", "run"]

SHOWN = "train_loss,valid_loss,train_metric,valid_metric,grad_norm,update_ratio,hvp_norm"


def _table(rows: list[dict]) -> str:
    """Rows as left-aligned columns."""
    columns = [[name, *(str(row[name]) for row in rows)] for name in rows[0]]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def programs(
    modality: Annotated[str | None, typer.Option(help="Only those of this modality.")] = None,
) -> None:
    """List the training programs."""
    from analysis_lib.programs import list_programs

    rows = [
        {
            "program": p.name,
            "modality": p.modality,
            "family": p.family,
            "data": p.source,
            "metric": p.metric,
            "reaches": f"{p.reaches:g}",
        }
        for p in list_programs(modality)
    ]
    typer.echo(_table(rows))


def faults(
    category: Annotated[str | None, typer.Option(help="Only those of this category.")] = None,
    program: Annotated[
        str | None, typer.Option(help="Show which apply to this program, and why not.")
    ] = None,
) -> None:
    """List the fault operators."""
    from analysis_lib.faults import list_operators

    rows = [
        {
            "operator": o.id,
            "category": o.category,
            "title": o.title,
            "parameters": ", ".join(o.parameters) or "-",
        }
        for o in list_operators(category)
    ]
    if program is not None:
        from analysis_lib.programs import get_program

        target = get_program(program)
        for row, operator in zip(rows, list_operators(category), strict=True):
            del row["parameters"]
            reason = operator.applies(target)
            row["applies"] = "yes" if reason is None else f"no: {reason}"
    typer.echo(_table(rows))


def _parameters(
    operator: "Operator", target: "Program", seed: int, given: list[str]
) -> dict[str, Any]:
    """Sampled parameters, with those given in their place, all checked by the operator."""
    import numpy as np

    from analysis_lib.notebooks.parameters import Parameter, split_override

    values = dict(operator.sample(target, np.random.default_rng(seed)))
    for name, text in map(split_override, given):
        if name not in operator.parameters:
            raise unknown(f"parameter of operator '{operator.id}'", name, operator.parameters)
        wanted = operator.parameters[name]
        try:
            values[name] = Parameter(name, wanted.kind.__name__, None, "").value(text)
        except ValueError as error:
            raise InputError(
                f"parameter '{name}' is '{text}'; expected {wanted.kind.__name__}: {wanted.help}"
            ) from error
    return operator.check(target, values)


def _save_to(save: Path | None) -> Path | None:
    """Refuse a file that could not be written before the training starts."""
    if save is None:
        return None
    if save.suffix not in (".csv", ".parquet"):
        raise InputError(f"--save {save}: expected a name that ends in .csv or .parquet")
    if not save.absolute().parent.is_dir():
        raise InputError(f"--save {save}: the folder {save.parent} does not exist")
    return save


def _columns(channels: str) -> list[str]:
    from analysis_lib.channels import CHANNELS

    wanted = [name.strip() for name in channels.split(",") if name.strip()]
    if wanted == ["all"]:
        return list(CHANNELS)
    for name in wanted:
        if name not in CHANNELS:
            raise unknown("channel", name, CHANNELS)
    return wanted


def run(
    program: Annotated[str, typer.Argument(help="Name of a program.")],
    operator: Annotated[str, typer.Argument(help="Id of a fault operator.")] = "healthy",
    parameters: Annotated[
        list[str] | None,
        typer.Option(
            "-p", metavar="NAME=VALUE", help="A parameter of the operator; others are sampled."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=10_000, help="Index of the replicate.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, max=10_000, help="Epochs to train.")] = 12,
    save: Annotated[
        Path | None, typer.Option(help="Write every channel to this .csv or .parquet file.")
    ] = None,
    channels: Annotated[
        str, typer.Option(help="Channels to print, separated by commas; or 'all'.")
    ] = SHOWN,
    device: Annotated[str, typer.Option(help="Where it trains: cpu, cuda, cuda:1, ...")] = "cpu",
) -> None:
    """Train one run and print its trace."""
    save, columns = _save_to(save), _columns(channels)

    from analysis_lib.configuration import Configuration, Run
    from analysis_lib.faults import get_operator
    from analysis_lib.programs import get_program

    target, fault = get_program(program), get_operator(operator)
    reason = fault.applies(target)
    if reason is not None:
        raise InputError(f"operator '{fault.id}' does not apply to '{target.name}': {reason}")
    chosen = _parameters(fault, target, seed, parameters or [])

    from analysis_lib.training import train

    planned = Run(Configuration(target.name, operator, chosen), seed, epochs)
    typer.echo(planned.key)
    trace = train(planned, device=device)
    shown = trace.epochs[["epoch", *columns]]
    typer.echo(shown.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    typer.echo(f"status: {trace.status}" + (f" ({trace.reason})" if trace.reason else ""))
    if save is not None:
        if save.suffix == ".csv":
            trace.epochs.to_csv(save, index=False)
        else:
            trace.epochs.to_parquet(save, index=False)
        typer.echo(f"saved to {save}")
