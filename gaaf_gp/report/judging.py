"""What a run asked for, put together again: one record for each candidate, as the search had it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from gaaf_gp.archive import Birth, RunEntry
from gaaf_gp.proxy import WORST_ACCURACY, Outcome
from gaaf_gp.records import Memory, Record, judged


def to_records(entries: Sequence[RunEntry], config: Mapping[str, Any]) -> dict[str, Record]:
    """Return text -> record, in the order in which the candidates were first answered.

    Errors and fitness are those that all trainings together give: what extra seeds changed is in them. What ranks below
    others only because it left a race earlier has its plain accuracy.

    Args:
        entries: of one run, on the split of the search.
        config: of the run.
    """
    outcomes: dict[str, dict[int, Outcome]] = {}
    rejected: dict[str, str | None] = {}
    trained_as: dict[str, str] = {}
    whole = 0
    for entry in entries:
        own = outcomes.setdefault(entry.text, {})
        if entry.evaluation is None:
            rejected[entry.text] = entry.failure
            continue
        one = entry.evaluation
        whole = max(whole, round(one.epochs / one.fidelity))
        outcome = one.outcome(entry.epochs)
        before = own.get(one.seed)
        if before is None or outcome.failure or outcome.epochs >= before.epochs:
            own[one.seed] = outcome
        trained_as[entry.text] = one.text
    records: dict[str, Record] = {}
    for text, by_seed in outcomes.items():
        if not by_seed:
            records[text] = Record(text, WORST_ACCURACY, (), rejected[text], fidelity=0.0)
        else:
            records[text] = judged(text, list(by_seed.values()), whole)
    return _revalued(records, trained_as, config)


def _revalued(
    records: dict[str, Record], trained_as: Mapping[str, str], config: Mapping[str, Any]
) -> dict[str, Record]:
    """Let the records know of each other: whose training is whose, and what the seeds did to all."""
    order = list(records)
    first = next((one.outcomes[0].seed for one in records.values() if one.outcomes), config.get("seed"))
    memory = Memory(records, [first] if isinstance(first, int) else [])
    for text, source in trained_as.items():
        if source != text and source in records:
            memory.add_twin(text, source)
    memory.revalue()
    return {text: records[text] for text in order}


def search_texts(
    entries: Sequence[RunEntry],
    births: Sequence[Birth],
    result: Mapping[str, Any] | None,
    config: Mapping[str, Any],
) -> Collection[str]:
    """Return the texts that the search itself judged, and not random search after it.

    Those are the ones that were born in it. A search without a register has as many as ``result.json`` counts or, while
    it goes on, as its settings allow, and they come first.
    """
    if births:
        return {one.text for one in births}
    texts = list(dict.fromkeys(entry.text for entry in entries))
    counts = [None if result is None else result.get("evaluations"), config.get("evaluations")]
    number = next((one for one in counts if isinstance(one, int)), len(texts))
    return set(texts[:number])
