"""Arrays kept as files in a user's cache folder."""

import os
import secrets
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path

import numpy as np

from analysis_lib.errors import InputError

__all__ = ["SOURCES", "Arrays", "cache_folder", "cached"]

Arrays = dict[str, np.ndarray]

SOURCES: dict[str, Callable[[], Arrays]] = {}
"""Readers by data set name."""

_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def cache_folder() -> Path:
    """Return the folder of the cached arrays.

    ``$DYNFAULT_CACHE`` if set, else ``$XDG_CACHE_HOME/dynfault-torch``, else
    ``~/.cache/dynfault-torch``.
    """
    if own := os.environ.get("DYNFAULT_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dynfault-torch"


def cached(name: str, *, version: int) -> Callable:
    """Decorate a reader so that its arrays are kept as ``<name>-v<version>.npz``.

    A file that cannot be read is rebuilt. Writing goes through a temporary file in the same
    folder and one rename, so processes that start at once never see half a file.

    Parameters
    ----------
    name : str
        Name of the data set, used in the file name.
    version : int
        Raise it whenever the reader changes; older files are then left alone.

    Raises
    ------
    InputError
        From the reader it decorates, when the package that holds the data is missing or the
        cache folder cannot be written.
    """

    def decorate(read: Callable[[], Arrays]) -> Callable[[], Arrays]:
        @wraps(read)
        def load() -> Arrays:
            path = cache_folder() / f"{name}-v{version}.npz"
            if path.is_file():
                try:
                    with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
                        return {key: file[key] for key in file.files}
                except _DAMAGE:
                    pass
            arrays = read()
            _write(path, arrays)
            return arrays

        SOURCES[name] = load
        return load

    return decorate


def _write(path: Path, arrays: Arrays) -> None:
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"cannot write the data cache {path.parent} ({error.strerror}); "
            "set DYNFAULT_CACHE to a folder that can be written"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
