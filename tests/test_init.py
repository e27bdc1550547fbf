"""The public interface."""

import importlib.metadata
import subprocess
import sys

import pytest

import gaaf_gp
from gaaf_gp import types

PUBLIC = (
    "PrimitiveSet",
    "Individual",
    "Fitness",
    "parse",
    "Activation",
    "binarize",
    "BinaryConv2d",
    "BinaryLinear",
    "load_data",
    "Proxy",
    "Evaluator",
    "make_toolbox",
    "evolve",
)


def test_public_names_are_importable_and_listed():
    for name in PUBLIC:
        assert callable(getattr(gaaf_gp, name))
        assert name in gaaf_gp.__all__
        assert getattr(gaaf_gp, name).__doc__
    assert {types.Feature, types.Channel, types.Scalar} == set(types.KINDS)


def test_the_version_is_that_of_the_package():
    assert gaaf_gp.__version__ == importlib.metadata.version("gaaf-gp")


def test_importing_the_package_leaves_out_what_is_slow_and_seldom_needed():
    slow = ("scipy.stats", "torch._dynamo", "torchvision", "matplotlib", "networkx", "pandas")
    script = f"import sys, gaaf_gp, gaaf_gp.search.genetic\nprint([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", ["evolve", "resume", "retrain", "show", "archive", "compare", "catalogue"])
def test_a_command_that_draws_nothing_does_not_wait_for_what_draws(command):
    slow = ("scipy.stats", "torch._dynamo", "torchvision", "matplotlib", "networkx", "jinja2", "pandas")
    script = f"from gaaf_gp.cli import application\nimport sys\napplication({command!r})\n"
    script += f"print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_completion_shows_public_names_only_and_figures_load_when_asked_for():
    code = (
        "import sys, gaaf_gp; assert dir(gaaf_gp) == sorted([*gaaf_gp.__all__, '__version__']); "
        "assert 'matplotlib' not in sys.modules; gaaf_gp.plot_tree; assert 'matplotlib' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        gaaf_gp.no_such_name  # noqa: B018
