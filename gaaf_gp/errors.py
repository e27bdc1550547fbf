"""The one error class of the project, and how its messages are worded.

A message names the invariant, what came, what is allowed and the fix, on one line: the command line prints it as it
is.
"""

from collections.abc import Iterable

MOST_CHARACTERS = 2000
"""A longer message is cut in its middle: it may quote what came, and what came may be of any length."""


FOREIGN = (Exception, SystemExit)
"""What code of somebody's may end with, such as a primitive: ``sys.exit`` in it must not end the program."""


class GaafError(ValueError):
    """Something given from outside (a set, a text, a file, an option) breaks a stated rule.

    It is a ``ValueError`` so that callers who know nothing of this project still catch it. Its message is one line that
    any terminal can show, see :func:`printable`, whatever it quotes.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(str(message)))


def printable(text: str) -> str:
    r"""Return a text as one line that moves no cursor and has a limited length.

    Blanks of any kind become spaces, what cannot be printed its escape, such as ``\x1b``. A text that is too long is
    cut in its middle, because what is wrong stands first and what to do about it last.
    """
    text = _cut(text)
    if text.isprintable():
        return text
    return _cut(
        "".join(
            character if character.isprintable() else " " if character.isspace() else ascii(character)[1:-1]
            for character in text
        )
    )


def _cut(text: str) -> str:
    half = MOST_CHARACTERS // 2
    return text if len(text) <= MOST_CHARACTERS else f"{text[:half]} ... {text[-half:]}"


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
