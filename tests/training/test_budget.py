"""What a training may use: looked at before each step, and watched where a step does not end."""

import threading
import time

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.parallel.transfer import expendable
from gaaf_gp.training import budget as budgets
from gaaf_gp.training.budget import Budget, FailedError
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.parser import parse


def test_a_step_is_refused_once_the_process_has_grown_beyond_its_budget(fresh_memory):
    budget = Budget(time.perf_counter(), None, 0.05)
    budget.check(1)
    held = fresh_memory(128)
    with pytest.raises(FailedError, match=r"^memory budget of 0\.05 GiB exceeded in epoch 2$"):
        budget.check(2)
    held.close()


def test_memory_that_was_given_back_before_the_step_ended_counts(fresh_memory):
    budget = Budget(time.perf_counter(), None, 0.05)
    with budget.watched():
        held = fresh_memory(128)
        time.sleep(5 * budgets.POLL)
        held.close()
    with pytest.raises(FailedError, match="memory budget"):
        budget.check(1)


@pytest.mark.parametrize(("seconds", "memory", "grace"), [(0.05, None, True), (None, 0.05, False)])
def test_what_does_not_end_is_ended_once_after_some_grace_unless_memory_runs_away(
    monkeypatch, fresh_memory, seconds, memory, grace
):
    monkeypatch.setattr(budgets, "GRACE", 0.4)
    reasons, ended = [], threading.Event()

    def end(reason):
        reasons.append((reason, time.perf_counter() - began))
        ended.set()

    began = time.perf_counter()
    with expendable(end), Budget(began, seconds, memory).watched():
        held = None if memory is None else fresh_memory(256)
        assert ended.wait(20)
        del held
    assert len(reasons) == 1
    reason, after = reasons[0]
    assert reason.startswith("time budget of 0.05 s exhausted" if grace else "memory budget of 0.05 GiB exceeded")
    assert after > 0.4 if grace else after < 20


def test_where_the_process_must_live_nothing_is_ended_and_a_step_still_fails():
    with Budget(time.perf_counter() - 1, 0.5, 100.0).watched():
        time.sleep(3 * budgets.POLL)
    with pytest.raises(FailedError, match=r"time budget of 0\.5 s exhausted in epoch 3"):
        Budget(time.perf_counter() - 1, 0.5, 100.0).check(3)


def test_work_that_nobody_wants_any_longer_ends_at_its_next_step():
    with expendable(None, lambda: False), pytest.raises(FailedError, match="given up"):
        Budget(time.perf_counter(), None).check(1)
    Budget(time.perf_counter(), None).check(1)


def test_a_candidate_over_its_memory_budget_fails_in_this_process_too(tiny_data, tiny_settings, free):
    tight, wide = (Proxy(tiny_data, **tiny_settings, memory=gib) for gib in (1e-9, 100.0))
    tree = parse("add(sin(x), x)", free)
    assert tight.train(tree, 0).failure in {f"memory budget of 1e-09 GiB exceeded in epoch {n}" for n in range(1, 5)}
    plain = Proxy(tiny_data, **tiny_settings)
    assert wide.train(tree, 0).history == plain.train(tree, 0).history
    assert not wide.stackable
    assert wide.settings() == {**plain.settings(), "memory": 100.0}
    with pytest.raises(GaafError, match=r"the memory budget in GiB must be a number above 0 .*got 0"):
        Proxy(tiny_data, **tiny_settings, memory=0)
