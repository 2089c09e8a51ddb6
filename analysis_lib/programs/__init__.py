"""The small, real training programs into which faults are put.

Importing the package registers every program; look one up with :func:`get_program` or list them
with :func:`list_programs`.
"""

from analysis_lib.programs import (  # noqa: F401  (they register their programs)
    convolution,
    documents,
    forecast,
    generative,
    graph,
    graph_films,
    image,
    language,
    patches,
    pixelwise,
    rating,
    recommender,
    recurrent,
    sequence,
    tabular,
    tabular_deep,
    text,
)
from analysis_lib.programs.program import (
    MODALITIES,
    Data,
    Program,
    Setup,
    get_program,
    list_programs,
    register,
)

__all__ = [
    "MODALITIES",
    "Data",
    "Program",
    "Setup",
    "get_program",
    "list_programs",
    "register",
]
