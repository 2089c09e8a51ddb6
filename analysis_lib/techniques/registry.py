"""The registry of techniques: what the files of this package declare, and files of one's own.

A file declares its techniques in a tuple or list ``TECHNIQUES``. A file that is put into this
package is in the registry; a file elsewhere is read by :func:`load_techniques`.
"""

import hashlib
import sys
import traceback
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import MappingProxyType, ModuleType

from analysis_lib.errors import InputError, unknown
from analysis_lib.techniques.technique import Technique

__all__ = ["SLOW_TECHNIQUES", "TECHNIQUES", "get_technique", "load_techniques"]

FOLDER = Path(__file__).parent
FIRST = ("default", "deepfd", "autotrainer", "deeplocalize", "umlaut", "deepdiagnosis", "general")
"""Files whose techniques come first, in this order; those of others follow by name of file."""


def get_technique(name: str) -> Technique:
    """Return a registered technique; an unknown name is an InputError.

    Examples
    --------
    >>> get_technique("DEFault").feature_set
    'default'
    """
    known = {**TECHNIQUES, **SLOW_TECHNIQUES}
    if name not in known:
        raise unknown("technique", name, known)
    return known[name]


def load_techniques(paths: str | Path | Iterable[str | Path]) -> dict[str, Technique]:
    """Return the techniques that files of one's own declare.

    A file is Python code with a tuple or list ``TECHNIQUES``. It runs as a module, so it can hold
    estimators, feature sets and functions of its own; worker processes get these by value.

    Parameters
    ----------
    paths : path or iterable of path
        Files, or folders, of which every ``.py`` file is read whose name does not begin with an
        underscore.

    Returns
    -------
    dict of str to Technique
        By name. They are not in the registry: pass them where techniques are taken.

    Raises
    ------
    InputError
        If there is no such file, it cannot be run, declares no technique or something else, or a
        name is taken.

    Examples
    --------
    >>> import tempfile
    >>> code = '''
    ... from sklearn.tree import DecisionTreeClassifier
    ... from analysis_lib.techniques import Technique
    ... TECHNIQUES = [Technique("tree", "curvature", lambda seed: DecisionTreeClassifier(), "a")]
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = Path(folder, "tree.py").write_text(code)
    ...     list(load_techniques(folder))
    ['tree']
    """
    listed = [paths] if isinstance(paths, (str, Path)) else list(paths)
    modules = [_run(file) for path in listed for file in _files(Path(path))]
    return _collect(modules, taken={**TECHNIQUES, **SLOW_TECHNIQUES})


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = [f for f in sorted(path.glob("*.py")) if not f.name.startswith("_")]
        if not found:
            raise InputError(f"folder {path} holds no .py file that declares techniques")
        return found
    if not path.is_file() or path.suffix != ".py":
        raise InputError(f"there is no Python file {path}; give a .py file or a folder of them")
    return [path]


def _run(file: Path) -> ModuleType:
    """Run a file as a module that workers get by value, since they could not import it."""
    code = file.resolve()
    digest = hashlib.sha256(str(code).encode()).hexdigest()[:12]
    name = f"technique_{file.stem}_{digest}"
    spec = spec_from_file_location(name, code)
    assert spec is not None and spec.loader is not None  # the file is there and ends in .py
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        steps = traceback.extract_tb(error.__traceback__)
        lines = [step.lineno for step in steps if step.filename == str(code)]
        line = error.lineno if isinstance(error, SyntaxError) else next(reversed(lines), 1)
        raise InputError(
            f"technique file {file} fails at line {line}: {type(error).__name__}: {error}"
        ) from error
    from cloudpickle import register_pickle_by_value

    register_pickle_by_value(module)
    return module


def _collect(modules: Iterable[ModuleType], taken: Mapping = MappingProxyType({})) -> dict:
    """Return the techniques that modules declare, by name, after checking them."""
    found: dict[str, Technique] = {}
    for module in modules:
        declared = getattr(module, "TECHNIQUES", None)
        where = Path(str(module.__file__)).name
        if not isinstance(declared, (tuple, list)) or not declared:
            raise InputError(
                f"{where} declares no techniques; expected TECHNIQUES = [Technique(name, "
                "feature_set, make_estimator, description), ...]"
            )
        for technique in declared:
            if not isinstance(technique, Technique):
                raise InputError(
                    f"TECHNIQUES of {where} holds a {type(technique).__name__}; expected Technique"
                )
            if technique.name in found or technique.name in taken:
                raise InputError(
                    f"{where} declares a technique '{technique.name}', but there is one of that "
                    "name; choose another"
                )
            found[technique.name] = technique
    return found


def _own() -> list[ModuleType]:
    """Return the modules of this package that declare techniques."""
    names = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", Path(__file__).stem}
    later = sorted(names - set(FIRST))
    modules = [import_module(f"{__package__}.{name}") for name in (*FIRST, *later)]
    return [module for module in modules if hasattr(module, "TECHNIQUES")]


_DECLARED = _collect(_own())

TECHNIQUES: Mapping[str, Technique] = MappingProxyType(
    {name: technique for name, technique in _DECLARED.items() if not technique.slow}
)
"""The techniques by name."""

SLOW_TECHNIQUES: Mapping[str, Technique] = MappingProxyType(
    {name: technique for name, technique in _DECLARED.items() if technique.slow}
)
"""Techniques that take hours, for a single fold at a time; by name."""
