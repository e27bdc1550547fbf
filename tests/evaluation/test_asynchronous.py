"""A stream of candidates: records in order or as they arrive, twins and failures in their places, extra seeds."""

import pytest

from gaaf_gp.activations.behaviour import CONSTANT_SIGN
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.trees.parser import parse

TEXTS = ["sin(x)", "sub(x, x)", "cos(x)", "neg(sin(x))", "sin(x)", "tan(x)"]


def _trees(pset, texts=TEXTS):
    return [parse(text, pset) for text in texts]


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("ahead", [1, 2, 16])
def test_a_stream_gives_the_records_of_a_call(make_stub, free, in_order, ahead):
    told = []
    with Evaluator(make_stub(), free, seeds=(0, 3)) as one, Evaluator(make_stub(), free, seeds=(0, 3)) as other:
        streamed = list(one.stream(_trees(free), told.append, ahead=ahead, in_order=in_order))
        called = other.evaluate(_trees(free))
    assert sorted(map(repr, streamed)) == sorted(map(repr, called))
    if in_order:
        assert streamed == called
    assert [record.text for record in told] == list(one.records), "each is told once, when it is evaluated"
    assert one.records["sub(x, x)"].failure == CONSTANT_SIGN
    assert one.records["neg(sin(x))"].same_as == "sin(x)"
    assert set(one.records["sin(x)"].by_seed) == {0, 3}


def test_candidates_are_drawn_as_places_become_free(make_stub, free):
    drawn = []

    def candidates():
        for tree in _trees(free, ["sin(x)", "cos(x)", "tan(x)", "atan(x)"]):
            drawn.append(tree.canonical)
            yield tree

    with Evaluator(make_stub(), free) as evaluator:
        records = evaluator.stream(candidates(), ahead=2)
        assert next(records).text == "sin(x)"
        assert drawn == ["sin(x)", "cos(x)"]
        assert next(records).text == "cos(x)"
        assert drawn == ["sin(x)", "cos(x)", "tan(x)"]
        records.close()
        assert list(evaluator.records) == ["sin(x)", "cos(x)"]
        assert evaluator(parse("tan(x)", free)) == (evaluator.records["tan(x)"].fitness,), "given up, not forgotten"


def test_what_is_known_comes_from_memory(make_stub, free):
    proxy = make_stub()
    with Evaluator(proxy, free) as evaluator:
        first = evaluator.evaluate(_trees(free))
        assert list(evaluator.stream(_trees(free))) == first
    assert len(proxy.trained) == 3


def test_a_twin_of_one_that_was_given_up_is_trained(make_stub, free):
    proxy = make_stub()
    with Evaluator(proxy, free) as evaluator:
        records = evaluator.stream(_trees(free, ["cos(x)", "sin(x)"]))
        next(records)
        records.close()
        (record,) = evaluator.stream(_trees(free, ["neg(sin(x))"]))
    assert record.same_as is None
    assert proxy.trained[-1] == ("neg(sin(x))", 0)


def test_settings_out_of_their_range_are_refused(make_stub, free):
    with Evaluator(make_stub(), free) as evaluator, pytest.raises(GaafError, match="ahead must be a whole number"):
        next(evaluator.stream(_trees(free), ahead=0))


class Together:
    """A flow whose trainings of several candidates finish at the same time; those of ``late`` never do."""

    def __init__(self, proxy, pset, late=()):
        self.proxy, self.pset, self.late = proxy, pset, late
        self.waiting, self.dropped = [], 0

    def put(self, index, arguments):
        self.waiting.append((index, *arguments))

    def get(self):
        done = [(index, job) for index, job in self.waiting if job.text not in self.late]
        self.waiting = [one for one in self.waiting if one not in done]
        return [(index, self.proxy.train(parse(job.text, self.pset), job.seed)) for index, job in done]

    def drop(self):
        self.dropped += 1


@pytest.mark.parametrize("in_order", [True, False])
def test_what_has_finished_when_a_stream_is_given_up_is_kept(stub_proxy, free, monkeypatch, in_order):
    flow, told = Together(stub_proxy, free, late=("tan(x)",)), []
    with Evaluator(stub_proxy, free, seeds=(0, 3)) as evaluator:
        monkeypatch.setattr(evaluator._trainer, "flow", lambda: flow)
        records = evaluator.stream(
            _trees(free, ["sin(x)", "cos(x)", "tan(x)"]), told.append, ahead=3, in_order=in_order
        )
        assert next(records).text == "sin(x)"
        assert list(evaluator.records) == ["sin(x)"]
        records.close()
        assert list(evaluator.records) == ["sin(x)", "cos(x)"]
        assert [record.text for record in told] == ["sin(x)", "cos(x)"]
        assert set(evaluator.records["cos(x)"].by_seed) == {0, 3}
    assert flow.dropped == 1
