"""The claims of the study, with what decides each on our corpus.

Of the study we have the abstract, captions and parts of three sections, not the text. Where a claim
is not stated there in the words of a measurement, "our reading" says so. Where several readings are
possible, the claim has a row for each; ``reading`` says what is then taken for granted.
"""

from analysis_lib.questions.study_claims.corpus import CORPUS
from analysis_lib.questions.study_claims.gap import GAP
from analysis_lib.questions.study_claims.instability import INSTABILITY
from analysis_lib.questions.study_claims.mismatch import MISMATCH
from analysis_lib.questions.study_claims.readings import OTHER_DEFINITIONS
from analysis_lib.questions.study_claims.structure import STRUCTURE

__all__ = ["CHAPTERS", "CLAIMS", "OTHER_DEFINITIONS", "QUESTIONS"]

QUESTIONS = {
    "corpus": "Corpus",
    "gap": "RQ1: the gap",
    "structure": "RQ2: where it comes from",
    "instability": "RQ3: instability and curvature",
    "mismatch": "RQ4: mismatch and optimizer features",
}
"""What claims are about."""

CHAPTERS = {
    "corpus": "02_corpus",
    "gap": "03_evaluation_gap",
    "structure": "04_program_structure",
    "instability": "05_instability_and_curvature",
    "mismatch": "06_mismatch_and_optimizer",
}
"""Where our estimates come from."""

CLAIMS = (*CORPUS, *GAP, *STRUCTURE, *INSTABILITY, *MISMATCH)
"""The claims, in the order of the research questions; readings of a claim follow each other."""
