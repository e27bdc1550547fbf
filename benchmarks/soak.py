"""Does a long search leak? Memory and open files of the coordinator and of its workers, from warm-up to the end.

``python -m benchmarks.soak`` runs two searches with two worker processes and an archive: 5,000 candidates whose
training is a stub that answers at once, so that breeding, jobs, records and archive are what is soaked, and 300 that
are really trained. Two minutes on two cores.

A search remembers every candidate: its text, its tree, its record. That is the one thing that may grow, and how much it
is for each candidate is shown too.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from rich.console import Console
from rich.table import Table

from gaaf_gp import Evaluator, Proxy, evolve
from gaaf_gp.archive import Archive
from gaaf_gp.data import Data, Split
from gaaf_gp.evaluation import ArchivedTrainings
from gaaf_gp.training import Epoch, Outcome
from gaaf_gp.trees import Candidate
from gaaf_gp.util.provenance import versions
from primitives import gaaf

STUBBED, TRAINED = 5000, 300
WORKERS = 2
SAMPLES = 50
WARM_UP = 0.2
"""Part of the evaluations after which memory and files are compared with those at the end."""
AVERAGED = 5
"""Samples at either end whose median is taken: an allocator breathes."""
MOST_GROWTH = 0.05
MOST_KEPT = 4096
"""Bytes that a search may remember of each candidate."""
COORDINATOR = "coordinator"
SIDE, CLASSES = 8, ("rows", "columns", "checks")
TINY: dict[str, Any] = {"batch_size": 15, "learning_rate": 0.03, "pad": 0, "network_settings": {"widths": (4, 8)}}


class Stub(Proxy):
    """A proxy whose training is left out: the accuracy is a fixed function of the text and the seed."""

    def train(
        self,
        individual: Candidate | None,
        seed: int,
        *_score: Any,
        epochs: int | None = None,
        **_more: Any,
    ) -> Outcome:
        """Return an outcome at once."""
        digest = hashlib.sha256(f"{individual} {seed}".encode()).digest()
        history = tuple(Epoch(1.0, digest[0] / 255) for _ in range(epochs or self.epochs))
        return Outcome(seed, history[-1].accuracy, history, 0.0)

    def settings(self) -> dict[str, Any]:
        """Return those of a proxy, and that nothing was trained: an archive must not mistake one for the other."""
        return {**super().settings(), "stub": True}


@dataclass(frozen=True)
class Soaked:
    """What was seen of one process.

    Attributes:
        name: "coordinator", or "worker 1", ...
        resident: bytes of memory that it occupies (RSS), at each sample.
        own: bytes of them that are in no other process and would be free if it ended (USS).
        files: its open file descriptors.
        every: candidates between two samples.
    """

    name: str
    resident: list[int]
    own: list[int]
    files: list[int]
    every: int

    @property
    def growth(self) -> float:
        """Growth of the resident memory from the warm-up to the end; 0.05 is 5 %."""
        before, after = ends(self.resident)
        return after / before - 1

    @property
    def kept(self) -> float:
        """Bytes of its own memory that stayed for each candidate after the warm-up."""
        before, after = ends(self.own)
        return (after - before) / (self.every * (len(_settled(self.own)) - AVERAGED))

    @property
    def more_files(self) -> int:
        """Open files at the end beyond those after the warm-up."""
        settled = _settled(self.files)
        return max(settled[-AVERAGED:]) - max(settled[:AVERAGED])


def ends(samples: Sequence[int]) -> tuple[float, float]:
    """Return what was seen after the warm-up and at the end, medians of a few samples each."""
    settled = _settled(samples)
    return statistics.median(settled[:AVERAGED]), statistics.median(settled[-AVERAGED:])


def _settled(samples: Sequence[int]) -> Sequence[int]:
    return samples[round(WARM_UP * len(samples)) :]


class Watch:
    """Looks at this process and its workers every so many evaluations; call it with each record."""

    def __init__(self, evaluations: int) -> None:
        self._every = max(1, evaluations // SAMPLES)
        self._evaluated = 0
        self._seen: dict[int, tuple[list[int], list[int], list[int]]] = {}

    def __call__(self, _record: object) -> None:
        """Count an evaluation, and look if it is time to."""
        self._evaluated += 1
        if self._evaluated % self._every == 0:
            own = psutil.Process()
            for process in (own, *_workers(own)):
                resident, owned, files = self._seen.setdefault(process.pid, ([], [], []))
                memory = process.memory_full_info()
                resident.append(memory.rss)
                owned.append(memory.uss)
                files.append(process.num_fds())

    def found(self) -> list[Soaked]:
        """Return what was seen of each process, the coordinator first."""
        names = [COORDINATOR, *(f"worker {number}" for number in range(1, len(self._seen)))]
        return [Soaked(name, *seen, self._every) for name, seen in zip(names, self._seen.values(), strict=True)]


def soak(evaluations: int, folder: Path, *, stub: bool) -> list[Soaked]:
    """Search with two workers and an archive, and return what was seen of each process.

    Args:
        evaluations: candidates to evaluate.
        folder: for the archive.
        stub: whether training is left out.
    """
    pset = gaaf.free()
    proxy = (Stub if stub else Proxy)(tiny_data(), **TINY)
    watch = Watch(evaluations)
    name = "stub" if stub else "real"
    with Archive(folder / f"{name}.sqlite") as archive, Evaluator(proxy, pset, workers=WORKERS) as evaluator:
        run = archive.begin("soak", {"evaluations": evaluations, "stub": stub}, versions())
        evaluator.record_in(ArchivedTrainings(archive, proxy, pset, run))
        found = evolve(pset, evaluator, evaluations=evaluations, population_size=50, on_evaluation=watch)
        assert len(found.records) == evaluations
    return watch.found()


def tiny_data() -> Data:
    """Return noisy 8x8 pictures of three kinds, 60 to train on and 30 to validate on."""
    return Data("tiny", _pictures(60, 0), _pictures(30, 1), CLASSES, (0.4,), (0.3,), 0, 1 / 3)


def _pictures(number: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.arange(SIDE).view(-1, 1) // 2 % 2 * torch.ones(1, SIDE, dtype=torch.int64)
    patterns = torch.stack([rows, rows.T, rows ^ rows.T]) * 160
    labels = torch.arange(number) % len(CLASSES)
    noise = torch.randint(0, 95, (number, SIDE, SIDE), generator=generator)
    return Split((patterns[labels] + noise).to(torch.uint8).unsqueeze(1), labels)


def _workers(process: psutil.Process) -> list[psutil.Process]:
    """Return the worker processes: not the tracker of shared resources, which Python starts beside them."""
    return [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]


def show(title: str, found: Sequence[Soaked], console: Console) -> None:
    """Print what was seen as a table."""
    names = ("process", "resident (MiB)", "growth", "its own (MiB)", "kept (bytes a candidate)", "open files")
    table = Table(*names, title=f"{title}: from the warm-up to the end")
    for one in found:
        spans = [" to ".join(f"{size / 2**20:.1f}" for size in ends(sizes)) for sizes in (one.resident, one.own)]
        kept, files = f"{one.kept:.0f}", f"{one.files[-1]} ({one.more_files:+d})"
        table.add_row(one.name, spans[0], f"{one.growth:+.2%}", spans[1], kept, files)
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak both, and return 1 if anything grew."""
    parser = argparse.ArgumentParser(description="Search for long, and see whether memory or open files grow.")
    parser.add_argument("--stubbed", type=int, default=STUBBED, help="candidates with a stub in place of training")
    parser.add_argument("--trained", type=int, default=TRAINED, help="candidates that are trained")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    grown = 0
    with tempfile.TemporaryDirectory() as folder:
        for stub, evaluations in ((True, options.stubbed), (False, options.trained)):
            found = soak(evaluations, Path(folder), stub=stub)
            kind = "with a stub in place of training" if stub else "trained"
            show(f"{evaluations} candidates {kind}", found, Console())
            grown += sum(one.growth > MOST_GROWTH or one.more_files > 0 for one in found)
            grown += stub and found[0].kept > MOST_KEPT
    return int(grown > 0)


if __name__ == "__main__":
    raise SystemExit(main())
