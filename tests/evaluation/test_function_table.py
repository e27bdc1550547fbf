"""The table of a whole space: every tree is known as behaviour() has it, and a table with gaps is refused."""

import importlib
import statistics
from dataclasses import replace

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.table import FunctionTable


def behaviours_of(table):
    return {text: table.behaviour(text) for text in table.texts()}


def test_every_tree_is_what_behaviour_says(tiny_table, tiny_proxy, forced_trees):
    live = {}
    for tree in forced_trees:
        found = tiny_proxy.behaviour(tree)
        assert tree.canonical in tiny_table
        assert tiny_table.behaviour(tree.canonical) == found
        entry = tiny_table.entry(tree.canonical)
        if found.failure is None:
            live.setdefault(found.signature, tree.canonical)
            assert entry.signature == found.signature
            assert entry.text == live[found.signature], "the first tree of a function stands for it"
        else:
            assert entry is None
            assert tiny_table.value(tree.canonical) == 0
    assert [entry.text for entry in tiny_table.entries] == list(live.values())
    assert len(live) == 10
    assert len(tiny_table) == len(forced_trees) == 18


def test_a_look_up_computes_nothing(tiny_table, forced_trees, monkeypatch):
    monkeypatch.setattr("torch.Tensor.backward", None)
    monkeypatch.setattr(importlib.import_module("gaaf_gp.activations.behaviour"), "behaviour", None)
    monkeypatch.setattr("gaaf_gp.trees.compile.evaluate", None)
    assert {tiny_table.behaviour(tree.canonical).failure for tree in forced_trees} == {None, "constant sign"}


def test_values_are_means_over_seeds(tiny_table):
    assert tiny_table.seeds == (0, 3)
    seeds = {len(entry.accuracy) for entry in tiny_table.entries}
    assert seeds == {2, 4}
    for entry in tiny_table.entries:
        assert tiny_table.value(entry.text) == pytest.approx(statistics.fmean(entry.accuracy.values()), abs=1e-15)
        others = [value for seed, value in entry.accuracy.items() if seed != 3]
        assert tiny_table.fresh_value(entry.text, 3) == pytest.approx(sum(others) / len(others), abs=1e-15)
        assert entry.curve[0][-1] == entry.accuracy[0]
        assert len(entry.curve[0]) == 4


def test_the_best_are_the_best(tiny_table):
    refined = [entry for entry in tiny_table.entries if len(entry.accuracy) == 4]
    others = [entry for entry in tiny_table.entries if len(entry.accuracy) == 2]
    values = [value for part in (refined, others) for value in sorted((one.value for one in part), reverse=True)]
    assert len(refined) == 2
    assert [entry.value for entry in tiny_table.best(1.0)] == values
    assert [entry.value for entry in tiny_table.best(0.3)] == values[:3]
    assert len(tiny_table.best(0.0001)) == 1
    assert len(tiny_table.best(1.0)) == 10
    seen = [entry.accuracy[3] for entry in tiny_table.best(0.5, seed=3)]
    assert seen == sorted((entry.accuracy[3] for entry in tiny_table.entries), reverse=True)[:5]


def test_one_lucky_training_is_no_rival_of_many(tiny_table):
    refined = [entry for entry in tiny_table.entries if len(entry.accuracy) == 4]
    place, lucky = next((i, one) for i, one in enumerate(tiny_table.entries) if len(one.accuracy) == 2)
    entries = list(tiny_table.entries)
    entries[place] = replace(lucky, accuracy={0: 1.0, 3: 1.0})
    best = FunctionTable(entries, behaviours_of(tiny_table), {}).best(1.0)
    assert {one.text for one in best[:2]} == {one.text for one in refined}
    assert best[2].text == lucky.text


def test_a_training_that_failed_is_worth_nothing(tiny_table):
    first, *rest = tiny_table.entries
    failed = replace(first, accuracy={0: 0.5, 3: 0.0}, curve={0: (0.5,), 3: ()}, failure="non-finite loss in epoch 1")
    table = FunctionTable([failed, *rest], behaviours_of(tiny_table), {})
    assert table.value(first.text) == 0
    assert table.fresh_value(first.text, 0) == 0
    assert table.fresh_value(first.text, 3) == 0.5


def test_a_table_with_gaps_is_refused(tiny_table):
    known, entries = behaviours_of(tiny_table), tiny_table.entries
    with pytest.raises(GaafError, match=r"and 2 of 10 lack one \(.*\): go on with the evaluations"):
        FunctionTable(entries[2:], known, {})
    with pytest.raises(GaafError, match="1 come twice"):
        FunctionTable([*entries, entries[0]], known, {})
    with pytest.raises(GaafError, match=r"1 come twice, and these entries are otherwise: add"):
        FunctionTable([replace(entries[0], signature=entries[1].signature), *entries[1:]], known, {})
    with pytest.raises(GaafError, match=r"needs entries with a common seed, got 0 entries"):
        FunctionTable([], known, {})
    apart = [replace(entries[0], accuracy={9: 0.5}, curve={9: (0.5,)}), *entries[1:]]
    with pytest.raises(GaafError, match=r"needs entries with a common seed, got 10 entries"):
        FunctionTable(apart, known, {})


def test_a_tree_of_another_space_is_refused(tiny_table):
    for ask in (tiny_table.behaviour, tiny_table.entry, tiny_table.value, lambda text: tiny_table.fresh_value(text, 0)):
        with pytest.raises(GaafError, match=r"the space of the table, forced with 18 trees .*, got 'sin\(x\)': make"):
            ask("sin(x)")
    assert "sin(x)" not in tiny_table
