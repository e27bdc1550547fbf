"""What moved or has another name is where it was, and says where it is."""

import importlib

import pytest

from gaaf_gp.util.old_paths import RENAMED


@pytest.mark.parametrize("old", RENAMED)
def test_a_renamed_class_is_still_there_and_says_its_new_name(old):
    module, _, name = old.partition(":")
    place, _, new = RENAMED[old].partition(":")
    with pytest.warns(DeprecationWarning, match=rf"{name} has moved to {place}\.{new}: import it from there"):
        assert getattr(importlib.import_module(module), name) is getattr(importlib.import_module(place), new)


def test_a_moved_name_says_where_it_is():
    module = importlib.import_module("gaaf_gp.toolbox")
    with pytest.warns(DeprecationWarning, match=r"make_toolbox has moved to gaaf_gp\.search\.toolbox\.make_toolbox"):
        assert module.make_toolbox is importlib.import_module("gaaf_gp.search.toolbox").make_toolbox
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018
