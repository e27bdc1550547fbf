"""Both sides get the same weights and batches, and what is printed follows from their accuracies."""

import pytest
from rich.console import Console

from benchmarks import judgement, ours, textbook
from benchmarks.task import ACTIVATIONS, SMALL
from benchmarks.textbook import FUNCTIONS

TINY = SMALL.but(widths=(4, 8), epochs=1, batch_size=10)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_both_sides_start_alike_and_give_accuracies(tiny_data, activation):
    training = ours.make_proxy(tiny_data, TINY).training(ours.individual(ACTIVATIONS[activation]), 3)
    model = textbook.small_network(tiny_data.num_classes, tiny_data.channels, FUNCTIONS[activation], (4, 8))
    judgement.same_weights(training.model, model)
    for first, second in zip(training.model.state_dict().values(), model.state_dict().values(), strict=True):
        assert first.flatten().tolist() == second.flatten().tolist()
    theirs, own = judgement.both(tiny_data, TINY, activation, 3)
    assert (theirs, own) == judgement.both(tiny_data, TINY, activation, 3)
    assert 0 <= theirs <= 1
    assert 0 <= own <= 1


def test_differences_are_ours_less_the_textbooks(capsys):
    judgement.show({"sign(x)": [(0.70, 0.72), (0.71, 0.72), (0.72, 0.75)]}, Console(width=150))
    printed = capsys.readouterr().out
    assert "+2.00%" in printed
    assert "71.00% +- 1.00%" in printed
