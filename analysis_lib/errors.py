"""Errors with one readable line, and the nearest match to a mistyped name."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["InputError", "unknown"]


class InputError(ValueError):
    """A value given by the user is wrong; the message is one line that says what to do.

    The command line prints the message and exits with status 2, without a traceback.

    Examples
    --------
    >>> try:
    ...     raise unknown("program", "snn_wein", ["snn_wine", "gcn_film_era"])
    ... except InputError as error:
    ...     print(error)
    unknown program 'snn_wein'; did you mean 'snn_wine'? (known: gcn_film_era, snn_wine)
    """


def unknown(kind: str, name: object, known: Iterable[str]) -> InputError:
    """Return the error for a name that is not in a registry.

    Parameters
    ----------
    kind : str
        What the name stands for, in the singular ("program", "operator").
    name : object
        What was given.
    known : iterable of str
        What would have been accepted.

    Returns
    -------
    InputError
        To be raised by the caller.

    Examples
    --------
    >>> print(unknown("operator", "HRL", ["HLR", "HBS"]))
    unknown operator 'HRL'; did you mean 'HLR'? (known: HBS, HLR)
    """
    names = sorted(known)
    close = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"; did you mean '{close[0]}'?" if close else ";"
    listed = ", ".join(names) or "none"
    listing = f"(known: {listed})" if hint != ";" else f"known: {listed}"
    return InputError(f"unknown {kind} '{name}'{hint} {listing}")
