"""Every published operator, and which of ours it is."""

import pandas as pd

from analysis_lib.faults.operator import Parameter, get_operator, list_operators

__all__ = ["published_operators"]

OPERATORS = {
    "DeepCrime": {
        name: name
        for name in (
            "TCL TRD TUD TAN TCO HBS HLR HNE HDB ACH ARM AAL RAW RCW RRW RCD RCP WCI WAB WRB "
            "LCH OCH OCG"
        ).split()
    }
    | {"VRM": ""},
    "DEFault": {name: name for name in "LKS LCF LCP LCS LCD LCN LAD LRM LCT LCO".split()},
    "DeepFD": {"opt": "FOP", "lr": "FLR", "act": "FAC", "loss": "FLO", "epoch": "HNE"},
}
"""Published ids by technique, and the id under which they are registered."""

REASONS = {
    "VRM": "without a validation pass a channel is missing, which names the fault by itself",
    "HNE": "registered, but never planned: the length of the run names the fault",
    "RCP": "registered, but never planned: the length of the run names the fault",
    "LCD": "causal padding is left out: 2-D convolutions do not know it",
    "epoch": "HNE after one epoch; never planned: the length of the run names the fault",
    "TUD": "on the smaller half of the classes, so that balanced data have some",
    "RCW": "the optimizer's weight_decay counts as the program's regularization",
    "RRW": "the optimizer's weight_decay counts as the program's regularization",
    "opt": "the learning rate stays; where it is reset, that is OCH",
    "OCG": "on every program, also those that do not clip",
}


def published_operators() -> pd.DataFrame:
    """Return one row per published operator, then one per operator of our own.

    Returns
    -------
    DataFrame
        published (id, empty for our own), technique (DeepCrime, DEFault, DeepFD or PyTorch),
        operator (our id, empty if left out), category, programs (to how many it applies),
        parameters (with their ranges), planned (whether a plan draws it), note.

    Examples
    --------
    >>> table = published_operators().set_index("published")
    >>> str(table.loc["VRM", "operator"]), str(table.loc["lr", "operator"])
    ('', 'FLR')
    """
    rows = [
        _row(published, technique, own)
        for technique, operators in OPERATORS.items()
        for published, own in operators.items()
    ]
    known = {own for operators in OPERATORS.values() for own in operators.values()}
    rows += [_row("", "PyTorch", o.id) for o in list_operators() if o.id not in known]
    return pd.DataFrame(rows)


def _row(published: str, technique: str, own: str) -> dict:
    from analysis_lib.programs import list_programs

    row = {"published": published, "technique": technique, "operator": own}
    note = REASONS.get(published, "")
    if not own:
        return {
            **row, "category": "", "programs": 0, "parameters": "", "planned": False, "note": note
        }  # fmt: skip
    found = get_operator(own)
    return {
        **row,
        "category": found.category,
        "programs": sum(found.applies(p) is None for p in list_programs()),
        "parameters": "; ".join(_range(n, p) for n, p in found.parameters.items()),
        "planned": found.weight > 0,
        "note": note,
    }


def _range(name: str, parameter: Parameter) -> str:
    if isinstance(parameter.choices, tuple):
        return f"{name}: {', '.join(map(str, parameter.choices))}"
    if parameter.choices is not None:
        return f"{name}: {parameter.help}"
    return f"{name}: {parameter.low:g} to {parameter.high:g}"
