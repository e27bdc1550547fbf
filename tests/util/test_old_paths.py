"""What moved or has another name is where it was, and says where it is."""

import importlib

import pytest

from gaaf_gp.evaluation import fitness_function
from gaaf_gp.search import SearchResult


@pytest.mark.parametrize("module", ["gaaf_gp.evolution", "gaaf_gp.evolve"])
def test_a_renamed_class_is_still_there_and_says_its_new_name(module):
    with pytest.warns(DeprecationWarning, match=r"Evolution has moved to gaaf_gp\.search\.result\.SearchResult"):
        assert importlib.import_module(module).Evolution is SearchResult


def test_a_moved_name_says_where_it_is():
    module = importlib.import_module("gaaf_gp.toolbox")
    with pytest.warns(DeprecationWarning, match=r"make_toolbox has moved to gaaf_gp\.search\.toolbox\.make_toolbox"):
        assert module.make_toolbox is importlib.import_module("gaaf_gp.search.toolbox").make_toolbox
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_a_judge_is_a_fitness_function_now():
    judges = importlib.import_module("gaaf_gp.judges")
    with pytest.warns(DeprecationWarning, match=r"Judge has moved to .*fitness_function\.FitnessFunction: import it"):
        assert judges.Judge is fitness_function.FitnessFunction
    with pytest.warns(DeprecationWarning, match=r"FunctionJudge has moved to .*fitness_function\.PlainFitness: import"):
        assert judges.FunctionJudge is fitness_function.PlainFitness
    with pytest.warns(DeprecationWarning, match=r"as_judge has moved to .*fitness_function\.as_fitness_function"):
        assert judges.as_judge is fitness_function.as_fitness_function
