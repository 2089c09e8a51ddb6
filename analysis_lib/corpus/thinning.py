"""What a published corpus leaves out of its traces, so that it stays small."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis_lib.channels import GROUPS
from analysis_lib.errors import InputError

__all__ = ["Thinning", "rounded"]

EXACT = frozenset(GROUPS["metrics"])
"""Channels that are never rounded: labels follow from losses and accuracies."""


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Round float32 values to a number of mantissa bits, to nearest.

    The relative error is at most ``2**-(bits + 1)``; rounding twice changes nothing more. Bits that
    are always zero cost nothing in a compressed column. NaN, infinities and zeros stay.

    Parameters
    ----------
    values : ndarray of float32
    bits : int
        1 to 23; 23 keeps everything.

    Raises
    ------
    InputError
        If ``bits`` is out of range.

    Examples
    --------
    >>> rounded(np.array([0.1, 1.0, np.nan], dtype="float32"), 8).tolist()
    [0.10009765625, 1.0, nan]
    """
    if type(bits) is not int or not 1 <= bits <= 23:
        raise InputError(f"mantissa bits are {bits!r}; expected an integer from 1 to 23")
    raw = np.ascontiguousarray(values, dtype=np.float32)
    drop = 23 - bits
    if drop == 0:
        return raw.copy()
    words = raw.view(np.uint32)
    half, mask = np.uint32(1 << (drop - 1)), np.uint32(0xFFFFFFFF ^ ((1 << drop) - 1))
    near = ((words + half) & mask).view(np.float32)
    # what would round up to infinity, and what is no number, stays
    return np.where(np.isfinite(raw) & np.isfinite(near), near, raw)


@dataclass(frozen=True, kw_only=True)
class Thinning:
    """Which bits and which snapshots of the layers a published corpus keeps.

    Parameters
    ----------
    mantissa_bits : int, default=15
        Of every channel but losses, metrics and accuracies (relative error below 2e-5).
    layer_epochs : tuple of int
        Snapshots of the ``layers`` table; the ``epochs`` table keeps all.
    """

    mantissa_bits: int = 15
    layer_epochs: tuple[int, ...] = (-1, 0, 1, 2, 4, 7, 11)

    @classmethod
    def of(cls, manifest: Mapping) -> "Thinning | None":
        """Return the thinning a manifest tells of, or None."""
        about = manifest.get("thinning")
        if not about:
            return None
        epochs = tuple(about["layer_epochs"])
        return cls(mantissa_bits=about["mantissa_bits"], layer_epochs=epochs)

    @property
    def about(self) -> dict:
        """Plain content for a manifest."""
        return asdict(self) | {"layer_epochs": list(self.layer_epochs)}

    @property
    def meaning(self) -> str:
        """One sentence for readers."""
        return (
            f"Channels other than losses, metrics and accuracies are rounded to "
            f"{self.mantissa_bits} bits of mantissa (relative error below "
            f"{2.0 ** -(self.mantissa_bits + 1):.0e}); the layers table keeps the snapshots "
            f"{', '.join(map(str, self.layer_epochs))}."
        )

    def epochs(self, table: pa.Table) -> pa.Table:
        """Round the channels of the ``epochs`` table."""
        return self._rounded(table)

    def layers(self, table: pa.Table) -> pa.Table:
        """Keep some snapshots of the ``layers`` table, rounded."""
        kept = pc.is_in(table["epoch"], pa.array(self.layer_epochs, table["epoch"].type))
        return self._rounded(table.filter(kept))

    def frame(self, trace: pd.DataFrame) -> pd.DataFrame:
        """Round the channels of a trace, as the ``epochs`` table of a corpus holds them."""
        names = [n for n in trace if trace[n].dtype == np.float32 and n not in EXACT]
        values = {n: rounded(trace[n].to_numpy(), self.mantissa_bits) for n in names}
        return trace.assign(**values)

    def _rounded(self, table: pa.Table) -> pa.Table:
        columns = [
            pa.array(rounded(column.to_numpy(), self.mantissa_bits))
            if pa.types.is_floating(field.type) and field.name not in EXACT
            else column
            for field, column in zip(table.schema, table.columns, strict=True)
        ]
        return pa.table(columns, schema=table.schema)
