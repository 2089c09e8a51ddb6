"""Which files of this package a module is made of: what a kept result depends on."""

import ast
from pathlib import Path

__all__ = ["code_files"]

PACKAGE = Path(__file__).resolve().parent


def code_files(module: str) -> list[Path]:
    """Return the files of this package on which a module depends, itself included.

    Imports are followed as they are written, inside functions, too. A module stands for itself, a
    package for its ``__init__``, and a module ``registry``, which imports by name, for its folder.

    Parameters
    ----------
    module : str
        Full name, such as ``"analysis_lib.labels"``.

    Returns
    -------
    list of Path
        Sorted; empty for a module of another package.

    Examples
    --------
    >>> [path.name for path in code_files("analysis_lib.errors")]
    ['errors.py']
    """
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = _file(waiting.pop())
        if path is None or path in found:
            continue
        found.add(path)
        if path.stem == "registry":
            folder = ".".join((PACKAGE.name, *path.parent.relative_to(PACKAGE).parts))
            waiting += [f"{folder}.{file.stem}" for file in path.parent.glob("*.py")]
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                waiting += [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
    return sorted(found)


def _file(module: str) -> Path | None:
    top, *rest = module.split(".")
    if top != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*rest)
    options = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in options if rest and path.is_file()), None)
