"""Thousands of damaged files: only GaafError comes out, and never a figure that was not written."""

import random
import sqlite3
from collections import Counter

import pytest

from gaaf_gp.archive import Archive, check
from gaaf_gp.errors import GaafError


def flip(draw, content):
    """Change one to four bytes."""
    for _ in range(draw.randint(1, 4)):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def flip_header(draw, content):
    """Change a byte of the first header, or of the header of a page."""
    page = draw.randrange(len(content) // 4096) * 4096
    place = draw.randrange(100) if draw.random() < 0.5 else page + draw.randrange(16)
    content[place] = draw.randrange(256)


def cut(draw, content):
    """End early, anywhere or after a whole page."""
    end = draw.randrange(len(content))
    del content[end if draw.random() < 0.5 else end // 4096 * 4096 :]


def overwrite(draw, content):
    """Put noise, zeros or another part of the file in place of a part."""
    length, place = draw.randrange(1, 600), draw.randrange(len(content))
    other = draw.randrange(len(content))
    noise = (draw.randbytes(length), bytes(length), content[other : other + length])
    content[place : place + length] = draw.choice(noise)


def swap(draw, content):
    """Exchange two pages."""
    one, two = (draw.randrange(len(content) // 4096) * 4096 for _ in range(2))
    content[one : one + 4096], content[two : two + 4096] = content[two : two + 4096], content[one : one + 4096]


def insert(draw, content):
    """Put bytes in, so that everything after them is elsewhere."""
    place = draw.randrange(len(content))
    content[place:place] = draw.randbytes(draw.choice((1, 2, 4096)))


WAYS = (flip, flip, flip_header, cut, overwrite, swap, insert)


def said(call):
    """Return what a call gives, or the line that it is refused with; any other error comes through."""
    try:
        return call()
    except GaafError as error:
        return error


def look_through(path, known, key, log):
    """Do with a file all that is done with archives, and return the lines that it was refused with.

    What is read is what was written, all of it; of a damaged log, all before the damage.
    """
    opened = said(lambda: Archive(path, readonly=True))
    results = [opened, said(lambda: check(path))]
    if isinstance(opened, Archive):
        rows = said(lambda: {repr(one) for one in opened.rows()})
        one = said(lambda: opened.lookup(*key))
        assert isinstance(rows, GaafError) or rows == known or (log and rows < known)
        assert one is None or isinstance(one, GaafError) or repr(one) in known
        runs = said(opened.runs)
        histories = [] if isinstance(runs, GaafError) else [said(lambda r=r: list(opened.history(r.key))) for r in runs]
        results += [rows, one, runs, said(opened.tasks), said(opened.summaries), *histories, said(opened.close)]
    return [str(one) for one in results if isinstance(one, GaafError)]


def fuzz(source, folder, make, *, cases, seed=11, log=False):
    """Damage copies of an archive, or of its log; return how many were refused in any part, and read."""
    draw, path = random.Random(seed), folder / "damaged.sqlite"
    beside = [path.with_name(path.name + ending) for ending in ("-wal", "-shm")]
    with Archive(source) as archive:
        archive.add(make(50 + seed))
        known, key = {repr(one) for one in archive.rows()}, (make(5).text, make(5).signature, make(5).task, 0, 3)
        whole, tail = source.read_bytes(), source.with_name(source.name + "-wal").read_bytes()
    if not log:
        whole, tail = source.read_bytes(), b""  # with the log in it
    counts = Counter()
    for _ in range(cases):
        contents = [bytearray(whole), bytearray(tail)]
        draw.choice(WAYS)(draw, contents[log])
        for place, content in zip((path, beside[0]), contents, strict=True):
            if content or place == path:
                place.write_bytes(content)
        lines = look_through(path, known, key, log)
        assert not any("\n" in line for line in lines)
        counts["refused" if lines else "read"] += 1
        for place in beside:
            place.unlink(missing_ok=True)
    return counts


@pytest.mark.parametrize(("log", "cases"), [(False, 600), (True, 100)])
def test_a_damaged_file_gives_one_line_or_what_was_written(filled, tmp_path, make, log, cases):
    counts = fuzz(filled, tmp_path, make, cases=cases, log=log)
    assert counts["read"]
    # a log says itself where it ends: what is after a damaged place was not written
    assert log or counts["refused"] > cases / 2


def test_a_forged_file_with_right_checksums_is_read_as_text(path, make, settings_of_task):
    """Whoever makes a file with our own code can put any text in it; nothing of it is run, and lists stay lists."""
    texts = [
        "__import__('os').system('touch /tmp/never')",
        "x'); DROP TABLE evaluations; --",
        "[red]x[/red]",
        "\x1b[2Jx",
    ]
    with Archive(path) as archive:
        archive.register(settings_of_task)
        archive.add_all(make(number, text=text, formula=text) for number, text in enumerate(texts))
        for text in texts:
            assert len(archive.find(text)) == 1
        assert len(archive.summaries()) == 4
    assert len(check(path).problems) == 4


def test_values_of_another_type_are_noticed(filled):
    db = sqlite3.connect(filled)
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT value in REAL column"):
        db.execute("UPDATE evaluations SET accuracy = 'high'")
    db.close()
