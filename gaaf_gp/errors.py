"""The one error class of the project, and how its messages are worded.

A message names the invariant, what came, what is allowed and the fix, on one line: the command line prints it as it
is.
"""

from collections.abc import Iterable


class GaafError(ValueError):
    """Something given from outside (a set, a text, a file, an option) breaks a stated rule.

    It is a ``ValueError`` so that callers who know nothing of this project still catch it.
    """


def listed(names: Iterable[object], most: int = 12) -> str:
    """Return ``names`` as one readable enumeration, cut after ``most`` of them.

    Example: ``listed(["a", "b"])`` is ``"a, b"``.
    """
    words = [str(name) for name in names]
    shown = ", ".join(words[:most])
    return f"{shown} and {len(words) - most} more" if len(words) > most else shown


def one_line(error: BaseException) -> str:
    """Return the kind of an error and the first line of what it says, for a message that quotes it."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else 'no message'}"
