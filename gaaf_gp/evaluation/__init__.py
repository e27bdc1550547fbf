"""Evaluation: the fitness of candidates: seeds, races, memory, failures.

- ``Evaluator``: trains candidates and remembers them
- ``Panel``: trains candidates in several tasks, for functions that hold in all of them
- ``Scale``: what the plain sign reaches in the tasks of a panel, and their noise
- ``Record``: what is known of one candidate
- ``Racing``: rules by which weak candidates stop early
- ``simulate``: what a race would have done on known curves
- ``FitnessFunction``: what gives a search its fitness: the contract
- ``PlainFitness``: a plain function as fitness
- ``as_fitness_function``: an evaluator or a function -> a fitness function
- ``TableEvaluator``: looks fitness up in a table of trainings
- ``FunctionTable``: the trainings of all functions of a search space
- ``load_table``: a table from its file, or a bundled one by its name
- ``save_table``: a table into a file
- ``TransferTable``: functions trained in many networks, to try proxies on
- ``load_transfer``: a transfer table from its file
- ``save_transfer``: a transfer table into a file
- ``Trainer``: runs trainings in this process or in workers
- ``Job``: one of them: a candidate and a seed
- ``ArchivedTrainings``: trainings looked up in an archive, and kept there
- ``WORKER_LOST``: the reason of a candidate whose worker died
"""

from gaaf_gp.evaluation.cache import ArchivedTrainings
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.evaluation.fitness_function import FitnessFunction, PlainFitness, as_fitness_function
from gaaf_gp.evaluation.panel import Panel, Scale
from gaaf_gp.evaluation.racing import Racing, simulate
from gaaf_gp.evaluation.records import Record
from gaaf_gp.evaluation.table import FunctionTable, TableEvaluator, load_table, save_table
from gaaf_gp.evaluation.trainer import WORKER_LOST, Job, Trainer
from gaaf_gp.evaluation.transfer_table import TransferTable, load_transfer, save_transfer

__all__ = [
    "WORKER_LOST",
    "ArchivedTrainings",
    "Evaluator",
    "FitnessFunction",
    "FunctionTable",
    "Job",
    "Panel",
    "PlainFitness",
    "Racing",
    "Record",
    "Scale",
    "TableEvaluator",
    "Trainer",
    "TransferTable",
    "as_fitness_function",
    "load_table",
    "load_transfer",
    "save_table",
    "save_transfer",
    "simulate",
]
