"""Tables of runs from files."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from analysis_lib.errors import InputError

__all__ = ["read_table"]


def read_table(
    path: str | Path, *, encoding: str = "utf-8", keys: Iterable[str] = ()
) -> pd.DataFrame:
    """Read a CSV (also compressed) or Parquet file.

    Columns are separated by commas, or by semicolons or tabs where there is no comma in the
    header. Words such as "None" or "NA" are names in the columns ``keys``, missing values in
    others.

    Parameters
    ----------
    path : path
    encoding : str, default="utf-8"
        Of a CSV; a byte-order mark is heeded.
    keys : iterable of str
        Columns with names.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        If there is no such file, or it is empty, damaged, of another kind or encoding.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "runs.csv")
    ...     size = file.write_text("net,bug,loss\\nNA,none,0.5\\n")
    ...     read_table(file, keys=["net", "bug"])["net"].tolist()
    ['NA']
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"table {path} {what}; give a CSV or Parquet file")
    suffixes = [s.lower() for s in path.suffixes]
    try:
        if suffixes[-1:] in ([".parquet"], [".pq"]):
            return pd.read_parquet(path)
        if {".csv", ".tsv", ".txt"} & set(suffixes[-2:]):
            return _read_csv(path, encoding, {str(key) for key in keys})
    except (UnicodeError, LookupError) as error:
        raise InputError(
            f"table {path} is not {encoding} text; save it as UTF-8, or give its encoding, such "
            "as latin-1"
        ) from error
    except pd.errors.EmptyDataError as error:
        raise InputError(f"table {path} is empty; it needs a header and a row per run") from error
    except (ValueError, OSError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"table {path} cannot be read ({reason}); write it again") from error
    raise InputError(
        f"table {path}: expected a name that ends in .csv, .tsv, .csv.gz or .parquet, by which "
        "the format is told"
    )


def _read_csv(path: Path, encoding: str, keys: set[str]) -> pd.DataFrame:
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8"):
        encoding = _encoding(path)
    options = {"encoding": encoding, "low_memory": False, "index_col": False}
    header = pd.read_csv(path, nrows=0, sep="\x01", engine="c", encoding=encoding)
    line = str(header.columns[0]) if len(header.columns) else ""
    separator = next((s for s in (",", ";", "\t") if s in line), ",")
    table = pd.read_csv(path, sep=separator, **options)
    names = [c for c in table.columns if c in keys and table[c].isna().any()]
    if names:  # a class may be called None
        options |= {"keep_default_na": False, "na_values": [""], "dtype": "str"}
        words = pd.read_csv(path, sep=separator, usecols=names, **options)
        table[names] = words[names]
    return table


def _encoding(path: Path) -> str:
    """Return UTF-16 where a byte-order mark says so; a compressed file is taken for UTF-8."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
