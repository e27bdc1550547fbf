"""Real worker processes: results do not depend on their number, and one that dies takes its own job only."""

import os
import signal
import time

import pytest

from gaaf_gp.errors import GaafError
from gaaf_gp.executors import Flow, WorkerLost, Workers


def scale(state: int, value: int) -> int:
    return state * value


def die(state: int, value: int) -> int:
    if value == 13:
        os._exit(1)
    return state * value


def interrupt(state: int, value: int) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.05)
    return state * value


def process_id(state: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_gets_the_state_and_its_own_arguments(workers):
    with Workers(10, workers) as pool:
        assert dict(pool.run(scale, [(i,) for i in range(7)])) == {i: 10 * i for i in range(7)}
        assert dict(pool.run(scale, [])) == {}


def test_one_worker_stays_in_this_process_and_two_do_not():
    with Workers(0, 1) as serial, Workers(0, 2) as pool:
        assert dict(serial.run(process_id, [()])) == {0: os.getpid()}
        assert os.getpid() not in dict(pool.run(process_id, [(), ()])).values()


def test_a_dead_worker_costs_its_own_job_only():
    with Workers(10, 2) as pool:
        results = dict(pool.run(die, [(value,) for value in (1, 2, 13, 4, 5, 6)]))
        assert isinstance(results.pop(2), WorkerLost)
        assert results == {0: 10, 1: 20, 3: 40, 4: 50, 5: 60}
        assert dict(pool.run(scale, [(1,)])) == {0: 10}, "the pool must be usable afterwards"


def test_workers_leave_ctrl_c_to_the_coordinator():
    with Workers(10, 2) as pool:
        assert dict(pool.run(interrupt, [(1,), (2,)])) == {0: 10, 1: 20}


def test_a_state_that_cannot_be_sent_is_refused_at_once():
    with pytest.raises(GaafError, match=r"must be picklable.*define primitives with def"):
        Workers(lambda: None, 2)
    assert dict(Workers(lambda: 3, 1).run(_use, [()])) == {0: 3}, "one process needs no pickling"


def _use(state):
    return state()


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_a_bad_number_of_workers_is_refused(workers):
    with pytest.raises(GaafError, match="workers must be a whole number of at least 1"):
        Workers(None, workers)


def test_close_may_be_called_twice():
    pool = Workers(1, 2)
    list(pool.run(scale, [(1,)]))
    pool.close()
    pool.close()
    assert dict(pool.run(scale, [(2,)])) == {0: 2}
    pool.close()


def count(folder, name: str, most: int) -> int:
    """Add a character to the file of a job and return how many there are; what a job has done is on disk."""
    path = folder / name
    with path.open("a") as file:
        file.write(".")
    return len(path.read_text())


def count_and_die(folder, name: str, most: int) -> int:
    done = count(folder, name, most)
    # The unlucky one dies only as long as nothing else can take it along: lost for both reasons it would be given up.
    if name == "deadly" or (name == "unlucky" and done == 2 and not (folder / "deadly").exists()):
        os._exit(1)
    return done


def _runs(pool, function, jobs, most):
    seen = {index: [] for index in range(len(jobs))}
    order = []
    for index, result in pool.run_on(function, jobs, lambda result: result < most):
        seen[index].append(result)
        order.append(index)
    return seen, order


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unfinished_job_goes_on_until_it_is_finished(tmp_path, workers):
    with Workers(tmp_path, workers) as pool:
        seen, order = _runs(pool, count, [(name, 3) for name in "abcde"], 3)
        assert all(results == [1, 2, 3] for results in seen.values())
        last = [max(place for place, index in enumerate(order) if index == job) for job in range(5)]
        assert max(order[: min(last)]) <= workers - 1, "no other job begins while one that began can go on"
        assert list(pool.run_on(count, [], lambda result: True)) == []


def test_a_job_goes_on_after_its_worker_was_lost_and_one_that_always_kills_is_given_up(tmp_path):
    jobs = [(name, 3) for name in ("a", "unlucky", "b", "c", "deadly")]
    lost, done = [], []
    with Workers(tmp_path, 2) as pool:
        for index, result in pool.run_on(count_and_die, jobs, lambda result: result < 3):
            (lost if isinstance(result, WorkerLost) else done).append(jobs[index][0])
        assert lost == ["deadly"]
        assert set(done) == {"a", "unlucky", "b", "c"}
        # a call less if it was begun beside the unlucky one and lost with it before it could write
        assert (tmp_path / "deadly").read_text() in ("..", "..."), "it was called twice more, alone, and not again"
    assert (tmp_path / "unlucky").read_text().count(".") >= 3


def sleep(state: int, seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def test_stop_ends_jobs_in_their_middle():
    pool = Workers(0, 2)
    running = pool.run_on(sleep, [(0.01,), (600.0,), (600.0,)], lambda result: False)
    assert next(running) == (0, 0.01)
    began = time.monotonic()
    pool.stop()
    assert time.monotonic() - began < 60
    assert dict(pool.run(sleep, [(0.0,)])) == {0: 0.0}, "the pool is usable afterwards"
    pool.stop()
    pool.stop()


def test_jobs_are_put_one_by_one_and_no_worker_waits_for_a_slow_one():
    with Workers(0, 2) as pool:
        flow = Flow(pool, sleep)
        for index, seconds in enumerate([3.0, 0.0, 0.0]):
            flow.put(index, (seconds,))
        seen = []
        while len(flow) > 1:
            for index, _ in flow.get():
                seen.append(index)
                if len(seen) < 6:
                    flow.put(10 + len(seen), (0.0,))
        assert seen == [1, 2, 11, 12, 13, 14, 15], "seven short jobs passed a long one that runs"
        assert flow.get() == [(0, 3.0)]
        assert len(flow) == 0


def test_jobs_that_have_not_begun_can_be_given_up():
    with Workers(0, 1) as pool:
        flow = Flow(pool, sleep)
        for index in range(3):
            flow.put(index, (0.0,))
        assert flow.get() == [(0, 0.0)]
        flow.put(3, (0.5,), first=True)
        assert flow.get() == [(3, 0.5)]
        flow.drop()
        assert len(flow) == 0
