"""Filter of candidates for an exhaustive search: functions that can be trained, each behaviour once."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from gaaf_gp.activations.behaviour import Behaviour
from gaaf_gp.search.result import SAME
from gaaf_gp.trees.individual import Individual


def distinct(
    individuals: Iterable[Individual],
    behaviour: Callable[[Individual], Behaviour],
    left_out: Counter[str] | None = None,
) -> Iterator[Individual]:
    """Yield the individuals that training can repair, and of those with the same behaviour only the first.

    Args:
        individuals: read one by one, so they may be an endless stream.
        behaviour: returns the behaviour of an individual, as ``Evaluator.behaviour`` and ``Proxy.behaviour`` do.
        left_out: counts the individuals that are left out, by reason.
    """
    signatures: set[str] = set()
    for individual in individuals:
        judged = behaviour(individual)
        reason = judged.failure or (SAME if judged.signature in signatures else None)
        if reason is None:
            signatures.add(judged.signature)
            yield individual
        elif left_out is not None:
            left_out[reason] += 1
