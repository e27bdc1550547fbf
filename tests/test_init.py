"""The public interface."""

import importlib.metadata

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
