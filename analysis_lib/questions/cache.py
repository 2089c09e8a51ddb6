"""Results that took long, kept on disk under a key of everything they depend on.

``cached(function)`` is the function with a memory. The key of a call is a digest of

- the code: the module of the function and every module of this package that it imports, directly
  or through others, so that a change anywhere below makes the result anew;
- the content of the arguments: values, column names and types of tables, not where they live;
- the versions of numpy, pandas and scikit-learn.

Results are kept by :class:`joblib.Memory` below ``_build/cache``, which may be deleted at any time.
"""

import functools
import hashlib
import importlib.metadata
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from analysis_lib import ROOT, dependencies
from analysis_lib.corpus import Corpus
from analysis_lib.corpus.load import seal
from analysis_lib.dependencies import code_files
from analysis_lib.errors import InputError

__all__ = ["CACHE", "cached", "content_digest"]

CACHE = ROOT / "_build" / "cache"
"""Where results are kept."""

VERSIONS = ("numpy", "pandas", "scikit-learn")
PLAIN = (bool, int, float, complex, str, bytes, Path, np.generic, type(None), type(...))


def cached(
    function: Callable, *, ignore: Iterable[str] = ("n_jobs",), folder: str | Path | None = None
) -> Callable:
    """Return a function with a memory on disk.

    Parameters
    ----------
    function : callable
        A function at the top of a module, whose result depends on its arguments and its module's
        code alone and can be pickled.
    ignore : iterable of str
        Parameters on which the result does not depend, such as the number of workers.
    folder : path, optional
        By default :data:`CACHE`.

    Returns
    -------
    callable
        With the signature of ``function``; a result that was kept is read from disk.

    Raises
    ------
    InputError
        When made, if ``function`` is no function at the top of a module; when called, if an
        argument has a content that :func:`content_digest` does not know.

    Examples
    --------
    >>> import tempfile
    >>> from analysis_lib.evaluation import chance_level
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cached(chance_level, folder=folder)(pd.DataFrame({"label": list("xyyz")}))
    0.3333333333333333
    """
    name = getattr(function, "__qualname__", "")
    if not inspect.isfunction(function) or not name.isidentifier():
        raise InputError(
            f"{name or function!r} is no function at the top of a module; only such a one has a "
            "code of its own that a key can hold"
        )
    signature = inspect.signature(function)
    left_out = set(ignore)
    memory = joblib.Memory(CACHE if folder is None else folder, verbose=0)
    keep = memory.cache(_call, ignore=["function", "arguments"])

    @functools.wraps(function)
    def remembered(*args, **options):
        given = signature.bind(*args, **options)
        given.apply_defaults()
        content = {k: v for k, v in given.arguments.items() if k not in left_out}
        key = content_digest([function.__module__, name, _code(function), content])
        return keep(key, function, (given.args, given.kwargs))

    return remembered


def content_digest(value: Any) -> str:
    """Return a digest of the content of a value: equal contents, equal digests, in any process.

    Known are None, numbers, strings, paths, arrays, tables, lists, tuples, sets, mappings, classes
    and functions (by name and code), estimators (by class and parameters), a corpus (by runs,
    epochs and, for the layers, the seal of its manifest), and other objects by class and
    attributes, such as a technique.

    Parameters
    ----------
    value : object

    Returns
    -------
    str

    Raises
    ------
    InputError
        If it holds something else.

    Examples
    --------
    >>> content_digest({"a": [1, 2.0]}) == content_digest({"a": [1, 2.0]})
    True
    >>> content_digest([1]) == content_digest(["1"])
    False
    """
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _call(key: str, function: Callable, arguments: tuple) -> Any:
    args, options = arguments
    return function(*args, **options)


@functools.cache
def _code_of(module: str) -> str:
    digest = hashlib.sha256()
    for path in code_files(module):
        digest.update(str(path.relative_to(dependencies.PACKAGE)).encode() + path.read_bytes())
    return digest.hexdigest()


def _code(function: Callable) -> list[str]:
    versions = [f"{name} {importlib.metadata.version(name)}" for name in VERSIONS]
    return [_source(function), _code_of(function.__module__), *versions]


def _source(thing: Any) -> str:
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):  # compiled, or defined in a console
        return ""


def _feed(digest: Any, value: Any) -> None:
    digest.update(f"<{type(value).__module__}.{type(value).__qualname__}>".encode())
    if isinstance(value, PLAIN):
        digest.update(repr(value).encode())
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, (pd.DataFrame, pd.Series, pd.Index)):
        _feed_table(digest, value)
    elif isinstance(value, Mapping):
        _feed(digest, sorted(((content_digest(k), k, v) for k, v in value.items()), key=_first))
    elif isinstance(value, (set, frozenset)):
        _feed(digest, sorted(content_digest(v) for v in value))
    elif isinstance(value, (list, tuple, np.ndarray, range)):
        digest.update(str(len(value)).encode())
        for item in value:
            _feed(digest, item)
    elif inspect.isfunction(value) or inspect.isclass(value) or inspect.isbuiltin(value):
        _feed(digest, [value.__module__, value.__qualname__, _source(value)])
        _feed(digest, _code_of(value.__module__))
        # two lambdas of one line have the same source
        _feed(digest, [getattr(value, name, None) for name in ("__code__", "__defaults__")])
        _feed(digest, [c.cell_contents for c in getattr(value, "__closure__", None) or ()])
    elif inspect.iscode(value):
        _feed(digest, (value.co_code, value.co_names, value.co_consts))
    elif isinstance(value, functools.partial):
        _feed(digest, (value.func, value.args, value.keywords))
    elif hasattr(value, "get_params"):
        _feed(digest, (type(value), value.get_params()))
    elif isinstance(value, Corpus):
        layers = value.layers if value.manifest is None else seal(value.manifest)
        _feed(digest, (value.runs, value.epochs, layers))
    elif hasattr(value, "__dict__") and not inspect.ismodule(value):
        _feed(digest, (type(value), vars(value)))
    else:
        raise InputError(
            f"an argument holds a {type(value).__name__}, whose content is not known; pass plain "
            "values, tables, arrays, functions or estimators"
        )


def _first(item: tuple) -> Any:
    return item[0]


def _feed_table(digest: Any, table: pd.DataFrame | pd.Series | pd.Index) -> None:
    if isinstance(table, pd.Index):
        table = table.to_frame(index=False)
    frame = table.to_frame() if isinstance(table, pd.Series) else table
    _feed(digest, [list(frame.columns), [str(t) for t in frame.dtypes], list(frame.index.names)])
    digest.update(str(frame.shape).encode())
    digest.update(pd.util.hash_pandas_object(frame, index=True).to_numpy().tobytes())
