"""A real Dask scheduler and real worker processes on the loopback interface, some of which are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import distributed
import pytest

import gaaf_gp
from gaaf_gp.errors import GaafError
from gaaf_gp.evaluation.evaluator import Evaluator
from gaaf_gp.experiments.resume import check_same
from gaaf_gp.parallel import dask
from gaaf_gp.parallel.executors import Flow, Workers, check_address
from gaaf_gp.parallel.transfer import WorkerLost, WorkersGoneError, opened
from gaaf_gp.training.budget import Budget
from gaaf_gp.training.proxy import Proxy
from gaaf_gp.trees.parser import parse
from tests.archive.conftest import rows_of

ROOT = Path(__file__).parents[2]
DASK = str(Path(sys.executable).with_name("dask"))
QUIET = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DASK_LOGGING__DISTRIBUTED": "critical"}
CLI = ["env", "--default-signal=INT", sys.executable, "-m", "gaaf_gp.cli"]
SMALL = ["--limit", "300", "--epochs", "1", "--population", "4", "--fresh-seeds", "2", "--quiet", "--seed", "5"]
SMALL += ["--evaluations", "9", "--no-random-search"]


class Processes:
    """A scheduler and workers as a user starts them by hand; ports are chosen by the system."""

    def __init__(self, folder):
        self._folder = folder
        self.workers = []
        options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        self.scheduler = self._start("scheduler", *options, "--scheduler-file", folder / "scheduler.json")
        while not (folder / "scheduler.json").exists():
            assert self.scheduler.poll() is None
            time.sleep(0.05)
        with distributed.Client(scheduler_file=folder / "scheduler.json", set_as_default=False) as client:
            self.address = client.scheduler.address
        self.executor = self.address.replace("tcp://", "dask://")

    def _start(self, *arguments):
        with (self._folder / "log").open("a") as log:
            return subprocess.Popen([DASK, *map(str, arguments)], env=QUIET, cwd=ROOT, stdout=log, stderr=log)

    def add(self, number):
        options = ["--host", "127.0.0.1", "--no-nanny", "--nthreads", "1", "--no-dashboard", "--memory-limit", "0"]
        for _ in range(number):
            own = self._folder / f"worker{len(self.workers)}"
            self.workers.append(self._start("worker", self.address, *options, "--local-directory", own))

    def wait(self, number):
        with distributed.Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(number, timeout=60)

    def close(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def processes(tmp_path):
    started = Processes(tmp_path)
    yield started
    started.close()


class Noted:
    """A state that notes in which process it is read."""

    def __init__(self, path, size):
        self.path = path
        self.content = bytes(size)

    def __reduce__(self):
        return _read, (self.path, self.content)


def _read(path, content):
    with path.open("a") as file:
        file.write(f"{os.getpid()}\n")
    found = Noted(path, 0)
    found.content = content
    return found


def look(state, seconds, shared):
    time.sleep(seconds)
    return os.getpid(), len(state.content), len(opened(shared))


def test_workers_that_are_killed_and_added_change_no_result_and_each_is_sent_the_state_once(
    tmp_path, processes, monkeypatch
):
    sizes, dumps = [], dask.cloudpickle.dumps
    monkeypatch.setattr(dask.cloudpickle, "dumps", lambda thing: sizes.append(len(dumps(thing))) or dumps(thing))
    processes.add(2)
    processes.wait(2)
    seen, used, killed, widths, wanted = {}, [], None, set(), 40
    with Workers(Noted(tmp_path / "read", 3_000_000), 1, processes.executor) as pool:
        shared, flow = pool.shared(bytes(2_000_000)), Flow(pool, look)
        for index in range(wanted):
            flow.put(index, (0.1, shared))
        while len(flow):
            for index, (process, *lengths) in flow.get():
                seen[index] = tuple(lengths)
                used.append(process)
                widths.add(pool.workers)
                if len(seen) == 20:
                    killed = processes.workers[0].pid
                    os.kill(killed, signal.SIGKILL)
                    processes.add(3)
                if len(set(used)) < 5 and wanted < 1000:  # until the new ones have come
                    flow.put(wanted, (0.1, shared))
                    wanted += 1
    assert seen == dict.fromkeys(range(wanted), (3_000_000, 2_000_000)), "every job has one result"
    assert set(used[:20]) == {process.pid for process in processes.workers[:2]}
    assert set(used) == {process.pid for process in processes.workers}
    assert killed not in used[22:]
    assert {2, 4} <= widths, "the number of workers is followed"
    read = (tmp_path / "read").read_text().split()
    assert sorted(map(int, read)) == sorted(set(used)), "each worker reads it once"
    assert sorted(sizes)[-2:] == pytest.approx([2_000_000, 3_000_000], abs=1000)
    assert max(sorted(sizes)[:-2]) < 1000, "jobs are light"


def test_a_search_on_two_and_four_workers_finds_what_a_serial_one_finds(tiny_data, tiny_settings, free, processes):
    processes.add(2)
    trees = [parse(text, free) for text in ("sin(x)", "add(cos(x), x)", "erf(x)", "mul(x, sin(x))", "square(x)")]
    proxy = Proxy(tiny_data, **tiny_settings)
    found = []
    for number, executor in ((1, None), (2, processes.executor), (4, processes.executor)):
        if number == 4:
            processes.add(2)
        if executor is not None:
            processes.wait(number)
        with Evaluator(proxy, free, seeds=(0, 1), executor=executor) as evaluator:
            records = evaluator.evaluate(trees)
            tested = evaluator.train([None, trees[0]], (7,), tiny_data.train)
            found.append([[[one.history for one in record.outcomes] for record in records], _histories(tested)])
            assert evaluator.workers == number
    assert found[0] == found[1] == found[2]


def _histories(rows):
    return [[one.history for one in row] for row in rows]


def _ran(*arguments):
    run = subprocess.run([*CLI, *arguments], check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.slow(40)
def test_a_run_whose_scheduler_is_lost_says_so_and_ends_serially_as_one_that_was_not(tmp_path, processes):
    processes.add(2)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    command = [*CLI, "evolve", *SMALL, "--out", broken, "--executor", processes.executor, "--device", "cpu,cpu:0"]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as run:
        while rows_of(broken) < 4:
            assert run.poll() is None, run.communicate()
            time.sleep(0.02)
        processes.scheduler.kill()
        _, errors = run.communicate(timeout=60)
    assert run.returncode == 2
    assert len(errors.splitlines()) == 1, errors
    assert f"the Dask scheduler at {processes.address} must be there to the end, and was lost" in errors
    assert "go on with gaaf-gp resume FOLDER" in errors
    known = rows_of(broken)
    _ran("evolve", *SMALL, "--out", whole, "--workers", "1")
    _ran("resume", broken, "--quiet", "--workers", "1", "--executor", "processes", "--device", "cpu")
    assert known < rows_of(whole) == rows_of(broken), "nothing was trained twice"
    for name in ("logbook.csv", "hall_of_fame.csv", "population.csv"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_run_may_go_on_with_another_executor_and_other_devices_of_one_kind(tmp_path):
    before = {"executor": "dask", "data_settings": {"device": "cuda:0"}, "run": "key"}
    (tmp_path / "config.json").write_text(json.dumps(before))
    now = {"executor": None, "data_settings": {"device": "cuda:1,cuda:0"}}
    assert check_same(tmp_path, now) == check_same(tmp_path, {"data_settings": {"device": "cuda"}}) == "key"
    with pytest.raises(GaafError, match=r"but data_settings was \{'device': 'cuda'\} and is \{'device': 'cpu'\} now"):
        check_same(tmp_path, {**now, "data_settings": {"device": "cpu"}})


def fall(state, how):
    with (state / how).open("a") as file:
        file.write(".")
    if how == "exit":
        os._exit(1)
    if how == "hog":
        held = []
        with Budget(time.perf_counter(), None, 0.05).watched():
            while True:
                held.append(b"1" * 2**24)
                time.sleep(0.02)
    if how == "raise":
        raise ZeroDivisionError("seven")
    return os.getpid()


def test_on_a_cluster_made_here_dead_workers_are_replaced_and_the_guilty_given_up(tmp_path):
    with Workers(tmp_path, 2, "dask") as pool:
        results = dict(pool.run(fall, [(how,) for how in ("a", "exit", "b", "hog", "c")]))
        assert [results.pop(index) for index in (1, 3)] == [
            WorkerLost(),
            WorkerLost("memory budget of 0.05 GiB exceeded"),
        ]
        assert all(isinstance(result, int) for result in results.values())
        with pytest.raises(ZeroDivisionError, match="seven"):
            list(pool.run(fall, [("raise",)]))
        assert len(dict(pool.run(fall, [("d",)] * 4))) == 4, "it is usable afterwards"
    assert (tmp_path / "exit").read_text() == "...", "three calls, whatever Dask's own settings say"
    assert (tmp_path / "hog").read_text() == "."


class Fatal:
    """A state that ends every process but this one as it is read, or only the first ``times`` of them."""

    def __init__(self, folder, times):
        self.folder = folder
        self.times = times

    def __reduce__(self):
        return _fatal, (self.folder, self.times)


def _fatal(folder, times):
    with (folder / "read").open("a") as file:
        file.write(".")
    if len((folder / "read").read_text()) <= times:
        os._exit(7)
    return folder


def name_of(state, number):
    return f"{state.name} {number}"


@pytest.mark.slow(20)
def test_workers_that_die_as_they_load_the_search_end_it_and_no_job_is_blamed(tmp_path, processes):
    processes.add(3)
    processes.wait(3)
    words = "a Dask worker must be able to load what a search is made of, and 3 in a row died over it"
    with Workers(Fatal(tmp_path, 99), 1, processes.executor) as pool, pytest.raises(WorkersGoneError, match=words):
        list(pool.run(name_of, [(1,), (2,)]))
    assert 3 <= len((tmp_path / "read").read_text()) <= 4


@pytest.mark.slow(15)
def test_a_worker_that_dies_once_as_it_loads_the_search_costs_no_job(tmp_path):
    with Workers(Fatal(tmp_path, 2), 1, "dask") as pool:
        results = dict(pool.run(name_of, [(1,), (2,)]))
    assert results == {0: f"{tmp_path.name} 1", 1: f"{tmp_path.name} 2"}


def test_ctrl_c_ends_a_run_on_a_cluster_made_here(tmp_path):
    folder = tmp_path / "run"
    long = ["--limit", "500", "--epochs", "100000", "--evaluations", "2", "--population", "2", "--no-racing", "--quiet"]
    command = [*CLI, "evolve", *long, "--executor", "dask", "--workers", "1", "--out", folder]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, start_new_session=True) as run:
        while not (folder / "config.json").exists():
            assert run.poll() is None, run.communicate()
            time.sleep(0.1)
        time.sleep(5)
        began = time.monotonic()
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        _, errors = run.communicate(timeout=60)
    assert run.returncode == 130, errors
    assert time.monotonic() - began < 15
    assert errors.startswith(f"go on with: gaaf-gp resume {folder}\n")
    assert not {"Traceback", "Process", "distributed", "Worker"} & set(errors.split())


def test_a_client_and_its_executor_are_taken_too():
    with (
        distributed.LocalCluster(1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        for given in (client, client.get_executor()):
            with Workers(Path(), 1, given) as pool:
                shared = pool.shared(b"12")
                assert dict(pool.run(within, [(shared,)] * 3)) == {index: (os.getpid(), 2) for index in range(3)}
                assert pool.workers == 2
        assert client.status == "running", "what was given stays open"


def within(state, shared):
    return os.getpid(), len(opened(shared))


def test_a_scheduler_that_is_not_there_is_named_in_one_line(monkeypatch):
    monkeypatch.setattr(dask, "PATIENCE", 0.5)
    with (
        Workers(1, 1, "dask://127.0.0.1:9") as pool,
        pytest.raises(WorkersGoneError, match=r"must answer at tcp://127\.0\.0\.1:9, and none did in 0\.5 s") as found,
    ):
        list(pool.run(within, [(b"",)]))
    assert "\n" not in str(found.value)


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gaaf_gp.parallel.dask", None)
    monkeypatch.delattr(gaaf_gp.parallel, "dask", raising=False)
    with pytest.raises(GaafError, match=r"pip install 'gaaf-gp\[dask\]'"):
        Workers(1, 1, "dask")


@pytest.mark.parametrize("given", ["slurm", "dask://", "dask://host", "dask://:1", "dask://host:port", "tcp://host:1"])
def test_another_address_is_refused(given):
    with pytest.raises(GaafError, match="executor must be dask, dask://HOST:PORT or an Executor"):
        Workers(1, 1, given)
    assert check_address("dask") is None
    assert check_address("dask://node7.cluster:8786") == "tcp://node7.cluster:8786"


def test_a_worker_with_other_versions_refuses_to_work():
    with pytest.raises(GaafError, match="workers must have the versions of the search"):
        dask.work(None, "", {"torch": "0.1"}, b"")
