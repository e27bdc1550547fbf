"""A long search leaks nothing, and the look for leaks finds one."""

import mmap
import subprocess
import sys

import pytest

from benchmarks.soak import COORDINATOR, MOST_GROWTH, Soaked, Watch, soak

MIB = 2**20


def flat(memory, files=7, name=COORDINATOR):
    """Return what is seen of a process whose memory is as given at each of 50 samples."""
    return Soaked(name, memory, memory, [files] * len(memory), 10)


@pytest.mark.slow(65)
@pytest.mark.timeout(600)
def test_5000_candidates_with_a_stub_and_300_trainings_leave_nothing_behind():
    command = [sys.executable, "-m", "benchmarks.soak", "--stubbed", "5000", "--trained", "300"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=560, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    assert [ended.stdout.count(name) for name in (COORDINATOR, "worker 1", "worker 2", "worker 3")] == [2, 2, 2, 0]


def test_growth_is_from_the_warm_up_to_the_end():
    warming = flat([100 * MIB] * 10 + [200 * MIB] * 40)
    assert warming.growth == 0
    assert warming.kept == 0
    growing = flat([100 * MIB + sample * MIB for sample in range(50)])
    # medians of samples 10 to 14 and 45 to 49, which are 35 samples of 10 candidates each apart
    assert growing.growth == 147 / 112 - 1 > MOST_GROWTH
    assert growing.kept == MIB / 10
    assert Soaked("worker 1", [1] * 50, [1] * 50, [7] * 30 + [8] * 20, 1).more_files == 1
    assert flat([MIB] * 50).more_files == 0


def test_what_is_kept_is_seen():
    watch, held = Watch(50), []
    for _ in range(50):
        pages = mmap.mmap(-1, 8 * MIB)  # a list might be given memory that an earlier test has freed
        pages.write(b"x" * len(pages))
        held.append(pages)
        watch(None)
    (found,) = watch.found()
    assert found.name == COORDINATOR
    assert found.growth > MOST_GROWTH
    assert 7 * MIB < found.kept < 9 * MIB


def test_a_small_soak_looks_at_two_workers(tmp_path):
    found = soak(50, tmp_path, stub=True)
    assert [one.name for one in found] == [COORDINATOR, "worker 1", "worker 2"]
    assert all(len(one.resident) == 50 and min(one.own) > 10 * MIB for one in found[:1])
    assert (tmp_path / "stub.sqlite").is_file()
