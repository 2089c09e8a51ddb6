"""Data sets that ship inside registry packages, as plain arrays.

Every reader returns a dictionary of arrays. The first call reads the package and writes a file
into :func:`~analysis_lib.programs.cache.cache_folder`; later calls, in any process, read that
file.
"""

from analysis_lib.programs.sources.chemistry import *  # noqa: F403
from analysis_lib.programs.sources.images import *  # noqa: F403
from analysis_lib.programs.sources.ratings import *  # noqa: F403
from analysis_lib.programs.sources.reading import *  # noqa: F403
from analysis_lib.programs.sources.series import *  # noqa: F403
from analysis_lib.programs.sources.tables import *  # noqa: F403
from analysis_lib.programs.sources.texts import *  # noqa: F403
