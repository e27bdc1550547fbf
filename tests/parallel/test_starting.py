"""Workers that cannot start, or not import what they need: the run ends in one line, and no job is blamed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOOP = """
{before}
from gaaf_gp.parallel.executors import Workers
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
if {condition}:
    with Workers({state}, 2, {executor}) as pool:
        print("results", dict(pool.run(print, [(1,), (2,)])))
"""
GUARD = '__name__ == "__main__"'
POOL = 'partial(ProcessPoolExecutor, 2, mp_context=get_context("spawn"))'


def ran(*arguments: str, text: str | None = None, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, and ``text`` as its standard input."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), *([str(folder)] if folder else [])])
    return subprocess.run(
        [sys.executable, *arguments], input=text, env={**os.environ, "PYTHONPATH": path}, cwd=folder,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def script(folder: Path, before: str = "", condition: str = GUARD, state: str = "1", executor: str = "None") -> str:
    """Write a script that runs two jobs, and return its path."""
    path = folder / "work.py"
    path.write_text(LOOP.format(before=before, condition=condition, state=state, executor=executor), encoding="utf-8")
    return str(path)


def refusal(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the message of the one error of a process that failed."""
    assert ended.returncode == 1, ended.stderr
    assert "results" not in ended.stdout
    kind, _, message = ended.stderr.strip().splitlines()[-1].partition(": ")
    assert kind.startswith("gaaf_gp."), ended.stderr
    return message


@pytest.mark.parametrize("executor", ["None", pytest.param(POOL, marks=pytest.mark.slow(15))])
def test_a_script_without_its_guard_is_told_so_once_and_nothing_else_is_printed(tmp_path, executor):
    ended = ran(script(tmp_path, condition="True", executor=executor))
    assert "starts its work then" in refusal(ended)
    assert 'under if __name__ == "__main__":' in refusal(ended)
    assert str(tmp_path / "work.py") in refusal(ended)
    assert ended.stderr.count("Traceback") == 1, "that of the script itself"


@pytest.mark.slow(15)
def test_a_cluster_made_by_a_script_without_its_guard_is_refused_in_the_same_words(tmp_path):
    pytest.importorskip("distributed")
    ended = ran(script(tmp_path, condition="True", executor='"dask"'))
    assert 'under if __name__ == "__main__":' in refusal(ended)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("if __name__ != '__main__': raise RuntimeError('only here')", "exit status 1"),
        pytest.param("import os\nif __name__ != '__main__': os._exit(6)", "exit status 6", marks=pytest.mark.slow(15)),
    ],
)
def test_a_script_that_cannot_be_imported_by_a_worker_ends_the_run(tmp_path, before, words):
    message = refusal(ran(script(tmp_path, before)))
    assert words in message
    assert "if __name__" in message


@pytest.mark.slow(15)
def test_workers_that_are_killed_ahead_of_every_job_end_the_run_after_some_tries(tmp_path):
    note = tmp_path / "starts"
    before = f"""
import os, signal
if __name__ != "__main__":
    with open({str(note)!r}, "a") as file:
        file.write(".")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    message = refusal(ran(script(tmp_path, before)))
    assert "3 times in a row" in message
    assert "-9" in message
    assert len(note.read_text(encoding="utf-8")) >= 3


@pytest.mark.slow(15)
def test_a_worker_that_is_killed_once_at_its_start_costs_no_job(tmp_path):
    before = f"""
import os, signal
from pathlib import Path
def job(state, number): return state + number
if __name__ != "__main__":
    try:
        Path({str(tmp_path / "once")!r}).mkdir()
    except FileExistsError:
        pass
    else:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    path = Path(script(tmp_path, before))
    lines = path.read_text(encoding="utf-8").replace("pool.run(print", "pool.run(job").replace("dict(", "*sorted(")
    path.write_text(lines, encoding="utf-8")
    ended = ran(str(path))
    assert ended.stdout == "results (0, 2) (1, 3)\n", ended.stderr


def test_a_script_on_standard_input_is_refused_before_a_process_starts(tmp_path):
    text = Path(script(tmp_path)).read_text(encoding="utf-8")
    ended = ran("-", text=text)
    assert "save the script in a file" in refusal(ended)
    assert ended.stderr.count("Traceback") == 1


MODULE = """
import os, sys
from multiprocessing import parent_process
if parent_process() is not None:
    {fault}
def double(x):
    return 2 * x
"""


@pytest.mark.parametrize(
    ("fault", "words", "executor"),
    [
        ("raise RuntimeError('not here')", "RuntimeError: not here", "None"),
        pytest.param("sys.exit('no such option')", "SystemExit: no such option", POOL, marks=pytest.mark.slow(15)),
        pytest.param("os._exit(7)", "exit status 7", "None", marks=pytest.mark.slow(15)),
    ],
)
def test_a_module_that_only_workers_cannot_import_ends_the_run(tmp_path, fault, words, executor):
    (tmp_path / "own_module.py").write_text(MODULE.format(fault=fault), encoding="utf-8")
    ended = ran(script(tmp_path, state='__import__("own_module").double', executor=executor), folder=tmp_path)
    assert words in refusal(ended)


@pytest.mark.slow(15)
def test_what_is_defined_after_python_c_is_refused_and_what_is_imported_there_works(tmp_path):
    text = Path(script(tmp_path, "def double(x): return 2 * x", state="double")).read_text(encoding="utf-8")
    assert "in a file that imports alike everywhere" in refusal(ran("-c", text))
    plain = Path(script(tmp_path, state="2")).read_text(encoding="utf-8").replace("run(print", "run(pow")
    assert ran("-c", plain).stdout == "results {0: 2, 1: 4}\n"
