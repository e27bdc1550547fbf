"""Real processes take turns: no two have one number, and that of a dead one is taken again."""

import os
import subprocess
import sys
import threading
from uuid import uuid4

from gaaf_gp.parallel import device_turns

CLAIM = (
    "import sys; from gaaf_gp.parallel import device_turns; print(device_turns.claim(sys.argv[1]), flush=True); input()"
)


def _started(name):
    process = subprocess.Popen([sys.executable, "-c", CLAIM, name], stdin=-1, stdout=-1, text=True)
    return process, int(process.stdout.readline())


def test_each_process_and_thread_has_a_number_of_its_own_and_takes_that_of_a_dead_one():
    name, other = uuid4().hex, uuid4().hex
    assert device_turns.claim(name) == device_turns.claim(name) == 0
    started = []
    try:
        for expected in (1, 2):
            process, number = _started(name)
            started.append(process)
            assert number == expected
        numbers = []
        thread = threading.Thread(target=lambda: numbers.append(device_turns.claim(name)))
        thread.start()
        thread.join()
        assert numbers == [3]
        started[0].kill()
        started[0].wait()
        process, number = _started(name)
        started.append(process)
        assert number == 1
        assert device_turns.claim(other) == 0, "another task counts for itself"
    finally:
        for process in started:
            process.kill()
            process.communicate()
        device_turns.end(name)
        device_turns.end(other)
    assert not any(device_turns._folder(one).exists() for one in (name, other))


def test_the_end_of_what_was_never_claimed_is_none():
    name = uuid4().hex
    device_turns.end(name)
    assert device_turns.claim(name) == 0
    device_turns.end(name)
    device_turns.end(name)
    assert not device_turns._folder(name).exists()
    assert device_turns.claim(name) == 0, "the number is free again"
    device_turns.end(name)


def test_without_locks_of_files_each_process_has_its_own_number(monkeypatch):
    monkeypatch.setattr(device_turns, "fcntl", None)
    name = uuid4().hex
    assert device_turns.claim(name) == os.getpid()
    device_turns.end(name)
