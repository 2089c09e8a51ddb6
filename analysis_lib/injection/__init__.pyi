# what a type checker sees of the names that are loaded on first use
from analysis_lib.injection.corpus import configuration_table as configuration_table
from analysis_lib.injection.corpus import own_corpus as own_corpus
from analysis_lib.injection.declare import own_program as own_program
from analysis_lib.injection.loop import train_own as train_own
from analysis_lib.injection.program import OwnProgram as OwnProgram
from analysis_lib.injection.program import fault_table as fault_table
from analysis_lib.injection.unseen import predict_unseen as predict_unseen
