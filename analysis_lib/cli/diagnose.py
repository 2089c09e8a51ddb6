"""Commands that diagnose a trace, and that make the model behind it."""

from pathlib import Path
from typing import Annotated

import typer

from analysis_lib.errors import InputError

__all__ = ["diagnose", "diagnosis_model"]


def _writable(path: Path | None, option: str) -> None:
    """Refuse a place that could not be written before the work is done."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise InputError(f"{option} {path}: expected a file in a folder that exists")


def diagnose(
    trace: Annotated[Path, typer.Argument(help="CSV or Parquet: epoch and channels of one run.")],
    layers: Annotated[
        Path | None, typer.Option(help="CSV or Parquet with the layers of the run.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with the plot here.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write all tables as JSON here.")] = None,
    prior: Annotated[
        float, typer.Option(help="Probability, before looking, that the run is healthy.")
    ] = 0.5,
    alpha: Annotated[
        float, typer.Option(help="Abstain where fewer runs than this share are as strange.")
    ] = 0.02,
    encoding: Annotated[str, typer.Option(help="Of a CSV.")] = "utf-8",
) -> None:
    """Say what is wrong with a training run, from its trace."""
    _writable(html, "--html")
    _writable(json, "--json")

    from analysis_lib.diagnosis import diagnose as judge

    result = judge(trace, layers, prior=prior, alpha=alpha, encoding=encoding)
    typer.echo(str(result))
    if json is not None:
        result.to_json(json)
    if html is not None:
        from analysis_lib.plots.style import use_style

        use_style()
        result.to_html(html)


def diagnosis_model(
    out: Annotated[Path | None, typer.Option(help="Where the model goes; data/models.")] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="Another corpus than the shipped one.")
    ] = None,
) -> None:
    """Make the model behind `diagnose` anew from the corpus: ten minutes on one core."""
    from analysis_lib.corpus import load_corpus
    from analysis_lib.diagnosis.build import build_model
    from analysis_lib.diagnosis.model import SHIPPED

    model = build_model(load_corpus(corpus))
    for row in model.about["scores"]:
        typer.echo(
            f"{row['case']:20} all classes {row['all_classes']:.3f}  faults {row['faults']:.3f}  "
            f"healthy or not {row['healthy']:.3f}  Brier {row['brier']:.3f}"
        )
    path = model.save(SHIPPED if out is None else out)
    typer.echo(f"saved to {path} ({path.stat().st_size / 2**20:.2f} MiB)")
