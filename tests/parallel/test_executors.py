"""Real worker processes: results do not depend on their number, and one that dies takes its own job only."""

import ctypes
import multiprocessing
import os
import signal
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch
from joblib.externals.loky import get_reusable_executor

from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.parallel.executors import Flow, Workers
from gaaf_gp.parallel.transfer import WorkerLost, WorkersGoneError, opened
from gaaf_gp.training.budget import Budget
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.parser import parse
from gaaf_gp.trees.pset import PrimitiveSet


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


SPAWN = multiprocessing.get_context("spawn")


def spawned() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(2, mp_context=SPAWN)


@pytest.fixture(params=["own processes", "ProcessPoolExecutor", "loky by a function", "threads"])
def executor(request):
    """Workers of each kind: (number that is asked for, executor, whether they are processes)."""
    if request.param == "ProcessPoolExecutor":
        with spawned() as made:
            yield 1, made, True
    elif request.param == "threads":
        with ThreadPoolExecutor(2) as made:
            yield 1, made, False
    else:
        made = None if request.param == "own processes" else partial(get_reusable_executor, 2)
        yield 2 if made is None else 1, made, True


def look(state: bytes, shared: object) -> tuple[int, int, int]:
    time.sleep(0.02)
    return os.getpid(), len(state), len(opened(shared))


def test_any_executor_gives_the_same_and_each_process_is_sent_the_state_and_what_is_shared_once(executor):
    number, made, processes = executor
    state, large = bytes(3_000_000), bytes(2_000_000)
    with Workers(state, number, made) as pool:
        shared = pool.shared(large)
        assert pool.shared(large) is shared
        seen = dict(pool.run(look, [(shared,)] * 30))
        assert len(seen) == 30
        assert {lengths for _, *lengths in map(list, seen.values()) for lengths in [tuple(lengths)]} == {
            (3_000_000, 2_000_000)
        }
        used = {process for process, *_ in seen.values()}
        sent = pool._backend.coordinator.sent
        if processes:
            assert os.getpid() not in used
            assert sorted(sent.values()) == [len(used)] * 2, "once a process, not once a job"
        else:
            assert used == {os.getpid()}
            assert not sent


def end(state: int, how: str) -> int:
    if how == "exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "segmentation fault":
        ctypes.string_at(0)
    return state


@pytest.mark.parametrize(("given", "crash"), [(False, "segmentation fault"), (True, "kill")])
def test_a_job_that_is_killed_or_crashes_is_given_up_and_the_others_are_not(given, crash):
    jobs = ["", crash, "", ""]
    with spawned() as made, Workers(7, 2, made if given else None) as pool:
        results = dict(pool.run(end, [(how,) for how in jobs]))
    assert [results[index] for index in range(4)] == [7, WorkerLost(), 7, 7]


class Fragile(Executor):
    """Breaks with its first job, as one whose worker died."""

    def submit(self, function, /, *arguments, **named):
        failed = Future()
        failed.set_exception(BrokenExecutor())
        return failed


def test_an_executor_that_broke_and_cannot_be_made_again_says_what_to_do():
    with Workers(1, 1, Fragile()) as pool, pytest.raises(WorkersGoneError, match="give a function that makes one"):
        dict(pool.run(scale, [(1,)]))
    with Workers(1, 1, Fragile) as pool, pytest.raises(WorkersGoneError, match="3 times in a row"):
        dict(pool.run(scale, [(1,)]))  # no job was ever begun, so none is to blame


def test_executors_that_cannot_serve_are_refused():
    forking = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
    with pytest.raises(GaafError, match=r"must be spawned.*get_context\('spawn'\)"):
        Workers(1, 1, forking)
    forking.shutdown()
    with pytest.raises(GaafError, match="executor must be a concurrent"):
        Workers(1, 1, 7)
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    with Workers(1, 1, closed) as pool, pytest.raises(GaafError, match="an executor must be open"):
        dict(pool.run(scale, [(1,)]))


def hog(state: tuple[Path, int], seconds: float | None, memory: float | None, gib: float) -> str:
    """Take memory, or time for ever, in a step that does not end by itself."""
    path, _ = state
    with path.open("a") as file:
        file.write(".")
    held = []
    with Budget(time.perf_counter(), seconds, memory).watched():
        while True:
            if sum(map(len, held)) < gib * 2**30:
                held.append(b"1" * 2**24)
            time.sleep(0.005)


@pytest.mark.parametrize(
    ("budget", "gib", "reason"),
    [
        ((None, 0.05), 0.08, "memory budget of 0.05 GiB exceeded"),
        ((None, 0.05), 4.0, "memory budget of 0.05 GiB exceeded"),
        ((0.2, None), 0.0, "time budget of 0.2 s exhausted"),
    ],
)
def test_a_job_over_its_budget_that_does_not_end_is_ended_with_its_reason_and_not_tried_again(
    tmp_path, budget, gib, reason
):
    calls = tmp_path / "calls"
    with Workers((calls, 0), 2) as pool:
        assert dict(pool.run(hog, [(*budget, gib)])) == {0: WorkerLost(reason)}
    assert calls.read_text() == "."


def in_worker() -> bool:
    return multiprocessing.parent_process() is not None


def short(x: torch.Tensor) -> torch.Tensor:
    if in_worker():
        raise MemoryError
    return torch.sin(x)


def vast(x: torch.Tensor) -> torch.Tensor:
    return torch.sin(2 * x) + (torch.empty(2**58).sum() if in_worker() else 0)


def leaky(x: torch.Tensor) -> torch.Tensor:
    if in_worker():
        LEAK.append(torch.ones(2**24))
    return torch.cos(x)


LEAK: list[torch.Tensor] = []


def test_candidates_without_memory_fail_with_that_reason_and_the_run_goes_on(tiny_data, tiny_settings):
    pset = PrimitiveSet("memory")
    for function in (torch.tanh, short, vast, leaky):
        pset.addPrimitive(function, [pset.ret], pset.ret)
    proxy = Proxy(tiny_data, **{**tiny_settings, "memory": 0.3, "tables": False})
    trees = [parse(f"{name}(x)", pset) for name in ("short", "tanh", "vast", "leaky")]
    with Evaluator(proxy, pset, workers=2) as evaluator:
        records = evaluator.evaluate(trees)
    assert [record.failure for record in records[:3]] == ["out of memory", None, "out of memory"]
    assert records[3].failure.startswith("memory budget of 0.3 GiB exceeded")


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_an_evaluator_finds_the_same_on_several_devices_with_any_workers(kind, tiny_data, tiny_settings, free):
    trees = [parse(text, free) for text in ("sin(x)", "add(cos(x), x)", "erf(x)", "mul(x, sin(x))")]
    proxy = Proxy(tiny_data, **tiny_settings)
    with Evaluator(proxy, free) as serial:
        expected = [record.outcomes[0].history for record in serial.evaluate(trees)]
        scored = [outcome.history for outcome in serial.train([None, trees[0]], (5,), tiny_data.train)[1]]
    with (
        ThreadPoolExecutor(3) if kind == "threads" else spawned() as made,
        Evaluator(proxy, free, executor=made, devices="cpu,cpu:0") as evaluator,
    ):
        assert [record.outcomes[0].history for record in evaluator.evaluate(trees)] == expected
        assert [one.history for one in evaluator.train([None, trees[0]], (5,), tiny_data.train)[1]] == scored
    with pytest.raises(GaafError, match="devices must be of the kind of the data's, cpu, got 'cuda:0,cuda:1'"):
        Evaluator(proxy, free, devices="cuda:0,cuda:1")
