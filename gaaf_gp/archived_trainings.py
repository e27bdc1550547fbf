"""The trainings of one task in an archive, one by one: what an Evaluator asks before it trains, and tells after it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

from gaaf_gp.archive import VALIDATION, Archive, Evaluation, Kept, Register, evaluation_of
from gaaf_gp.candidates import PLAIN_SIGN, Candidate, TwoTrees, parse_candidate
from gaaf_gp.data import AnySplit
from gaaf_gp.individual import Individual
from gaaf_gp.proxy import Outcome, Proxy
from gaaf_gp.pset import PrimitiveSet
from gaaf_gp.streamed_data import FileSplit

DECIDING = ("gaaf-gp", "torch")
"""Packages whose versions are part of a task: with another one a training may go another way."""


class ArchivedTrainings:
    """The trainings of one task in an archive: looked up before they are made, kept when they are.

    The task is all that an outcome depends on but the candidate and the seed: the settings of the proxy and its data,
    the kind of device, the size of stacks, the versions of gaaf-gp and torch. A candidate is known by its signature:
    what behaves as another is not trained either, whatever its set.

    Args:
        archive: open for writing.
        proxy: the training task.
        pset: the set that candidates come from.
        run: the key of the run that asks, see :meth:`gaaf_gp.archive.Archive.begin`.
        at_once: candidates of one stack.
        notes: what else outcomes depend on, fit for JSON.

    Attributes:
        task: hash of the task.
        differing: evaluations whose result was another one than that in the archive, which stays.
        register: of the births and generations of the run.

    Raises:
        GaafError: there is no such run, or the archive cannot be written.
    """

    def __init__(
        self,
        archive: Archive,
        proxy: Proxy,
        pset: PrimitiveSet,
        run: str,
        *,
        at_once: int = 1,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        self.archive, self.proxy, self.pset = archive, proxy, pset
        begun = archive.run(run)
        self.run, self.versions = begun.key, begun.versions
        self.register = Register(archive, begun.key)
        device = proxy.data.device
        self.device = f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
        settings = {
            "proxy": proxy.settings(),
            "at_once": at_once,
            **({"filled": True} if at_once > 1 else {}),  # stacks of an older archive were not
            "device": device.type,
            "versions": {name: self.versions.get(name, "unknown") for name in DECIDING},
            **(notes or {}),
        }
        self.task = archive.register(settings)
        self.differing: list[Evaluation] = []
        self._splits: dict[int, tuple[AnySplit, str]] = {}
        self._signatures: dict[str, str] = {}

    def find(
        self,
        text: str | None,
        signature: str | None,
        seed: int,
        epochs: int | None,
        score: AnySplit | None = None,
        *,
        noted: bool = False,
    ) -> Evaluation | None:
        """Return an evaluation that tells how a training would go, None if there is none.

        Args:
            text: canonical text of the candidate; None for the plain sign.
            signature: of its behaviour in the proxy; None if that is not known yet.
            seed: of the training.
            epochs: the epoch after which it would stop; None for the last one of the schedule.
            score: the split that is scored; None for the validation split.
            noted: whether to note that the run asked for what was found.
        """
        name, last, split = text or PLAIN_SIGN, self._last(epochs), self._split(score)
        found = self.archive.lookup(name, self._signature(text, signature), self.task, seed, last, split)
        if noted and found is not None:
            self.archive.note(self.run, name, last, found)
        return found

    def lookup(
        self, text: str | None, signature: str | None, seed: int, epochs: int | None, score: AnySplit | None = None
    ) -> Outcome | None:
        """Return how a training goes if the archive can tell, and note that the run asked; see :meth:`find`.

        The outcome is that of the training bit for bit, but for the state to go on from, which no archive has.
        """
        found = self.find(text, signature, seed, epochs, score, noted=True)
        return None if found is None else found.outcome(self._last(epochs))

    def keep(
        self,
        text: str | None,
        signature: str | None,
        epochs: int | None,
        outcome: Outcome,
        score: AnySplit | None = None,
    ) -> Kept:
        """Write down how a training went; it is on the disk when this returns. Arguments as of :meth:`find`."""
        candidate, last = parse_candidate(text, self.pset), self._last(epochs)
        evaluation = evaluation_of(
            outcome,
            text=text or PLAIN_SIGN,
            signature=self._signature(text, signature),
            task=self.task,
            epochs=last,
            fidelity=last / self.proxy.epochs,
            device=self.device,
            versions=self.versions,
            formula="x" if candidate is None else candidate.infix(),
            metrics=_metrics(candidate),
            split=self._split(score),
        )
        kept = self.archive.add(evaluation, self.run)
        if kept is Kept.DIFFERS:
            self.differing.append(evaluation)
        return kept

    def reject(self, text: str, failure: str) -> None:
        """Note that the run met a candidate that is not worth training."""
        self.archive.note(self.run, text, 0, failure=failure)

    def _signature(self, text: str | None, signature: str | None) -> str:
        if text is None:
            return PLAIN_SIGN
        if signature is not None:
            return signature
        if text not in self._signatures:
            candidate = parse_candidate(text, self.pset)
            found = PLAIN_SIGN if candidate is None else self.proxy.behaviour(candidate).signature
            self._signatures[text] = found
        return self._signatures[text]

    def _last(self, epochs: int | None) -> int:
        return self.proxy.epochs if epochs is None else epochs

    def _split(self, score: AnySplit | None) -> str:
        if score is None or score is self.proxy.data.val:
            return VALIDATION
        if id(score) not in self._splits:
            self._splits[id(score)] = score, split_name(score)  # held, so that no other takes its place
        return self._splits[id(score)][1]


def split_name(split: AnySplit) -> str:
    """Return a name of what is in a split: a digest of images and labels, or of the names of files and labels."""
    if isinstance(split, FileSplit):
        digest = hashlib.sha256(b"\0".join(split.names.tolist()) + b"\0\0" + split.labels.tobytes())
    else:
        digest = hashlib.sha256()
        for tensor in (split.images, split.labels):
            digest.update(tensor.cpu().contiguous().numpy().data)
    return f"sha256:{digest.hexdigest()}"


def _metrics(candidate: Candidate | None) -> dict[str, float]:
    if isinstance(candidate, Individual | TwoTrees):
        return {"nodes": float(candidate.size), "height": float(candidate.height), "cost": float(candidate.cost)}
    return {}
