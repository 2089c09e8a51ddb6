# what a type checker sees of the names that are loaded on first use
from analysis_lib.corpus.audit import audit_corpus as audit_corpus
from analysis_lib.corpus.journal import Journal as Journal
from analysis_lib.corpus.load import Corpus as Corpus
from analysis_lib.corpus.load import load_corpus as load_corpus
from analysis_lib.corpus.plan import make_plan as make_plan
from analysis_lib.corpus.sample import sample_programs as sample_programs
from analysis_lib.corpus.verify import status as status
from analysis_lib.corpus.verify import verify_store as verify_store
