"""The book of the quick profile, made the way users make it."""

import pytest

from analysis_lib.book import build
from analysis_lib.notebooks import Project, run


@pytest.fixture(scope="session")
def book():
    project = Project("quick")
    run(project, say=str)
    return build(project, say=str).parent
