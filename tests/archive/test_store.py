"""What is added is found again, once; runs share evaluations; nothing but GaafError comes out."""

import contextlib
import itertools
import math
import random
import sqlite3
import threading

import pytest

from gaaf_gp.archive import Archive, Kept, Sort, task_hash
from gaaf_gp.errors import GaafError
from gaaf_gp.training.outcome import Outcome


def test_what_is_added_is_there_when_the_file_is_opened_again(archive, path, make, make_failed):
    every = [make(number) for number in range(10)] + [make_failed(10)]
    assert [archive.add(one) for one in every] == [Kept.NEW] * 11
    archive.close()
    with Archive(path, readonly=True) as again:
        assert list(again.rows()) == every
        assert len(again) == 11
        assert again.find(every[3].text) == [every[3]]
        assert again.find("sin(x)") == []
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_numbers_that_are_not_finite_come_back(archive, make):
    one = make(accuracy=math.nan, seconds=math.inf, curve=(math.nan, -math.inf, 0.1), metrics={"cost": math.inf})
    archive.add(one)
    (found,) = archive.rows()
    assert repr(found) == repr(one)
    assert archive.db.execute("SELECT accuracy, seconds, curve FROM evaluations").fetchone() == (
        None,
        math.inf,
        '["nan","-inf",0.1]',
    )


def test_a_training_is_kept_once_and_the_first_result_stays(archive, make):
    one = make(created="")
    assert archive.add(one) is Kept.NEW
    assert archive.add(make(seconds=99.0, device="cuda", formula="other")) is Kept.KNOWN
    assert archive.add(make(accuracy=0.5)) is Kept.DIFFERS
    (found,) = archive.rows()
    assert (found.accuracy, found.seconds) == (one.accuracy, one.seconds)
    assert found.created.startswith("20")
    others = [{"seed": 1}, {"signature": "f"}, {"split": "other"}, {"text": "x"}, {"epochs": 3, "task": None}]
    for changes in others[:-1]:
        assert archive.add(make(**changes)) is Kept.NEW
    longer = make(epochs=4, curve=(1.0,) * 4, losses=(1.0,) * 4)
    assert archive.add(longer) is Kept.NEW
    second = archive.register({"another": "task"})
    assert archive.add(make(task=second)) is Kept.NEW
    assert len(archive) == 7
    assert archive.add_all([make(), make(1), make(1), make(0, accuracy=0.1)]) == {
        Kept.NEW: 1,
        Kept.KNOWN: 2,
        Kept.DIFFERS: 1,
    }


def test_many_are_added_all_or_none(archive, make):
    with pytest.raises(GaafError, match="the task of an evaluation must be in the archive, and 'unknown' is not: add"):
        archive.add_all([make(1), make(2), make(3, task="unknown")])
    assert len(archive) == 0
    with pytest.raises(ZeroDivisionError):
        archive.add_all(make(number) for number in range(3) if 1 / (2 - number))
    assert len(archive) == 0
    assert archive.add(make(1)) is Kept.NEW


def test_settings_are_kept_by_their_hash(archive, settings_of_task):
    assert archive.tasks() == {
        task_hash(settings_of_task): {
            **settings_of_task,
            "proxy": {"epochs": 3, "network_settings": {"widths": [4, 8]}},
        }
    }
    swapped = {"at_once": 1, "proxy": {"network_settings": {"widths": [4, 8]}, "epochs": 3}}
    assert archive.register(swapped) == task_hash(settings_of_task)
    assert archive.register({**swapped, "at_once": 2}) != task_hash(settings_of_task)
    assert len(archive.tasks()) == 2
    with pytest.raises(GaafError, match="must be fit for JSON, got ValueError: Out of range float"):
        archive.register({"learning_rate": math.nan})


def test_rows_are_filtered(archive, make, make_failed):
    run = archive.begin("evolve", {}, {})
    own = make_failed(7)
    archive.add(own, run)
    archive.add(make(1))
    archive.add(make(2, split="test"))
    assert list(archive.rows(run=run)) == [own]
    assert list(archive.rows(failed=True)) == [own]
    assert list(archive.rows(failed=False, split="validation")) == [make(1)]
    assert list(archive.rows(formula=make(2).formula)) == [make(2, split="test")]
    assert list(archive.rows(task="none")) == []
    with pytest.raises(GaafError, match="there is no run 'nothing' in this archive"):
        list(archive.rows(run="nothing"))


def test_rows_may_be_added_to_while_they_are_read(archive, make):
    archive.add_all(make(number) for number in range(1200))
    for number, one in enumerate(archive.rows()):
        assert one == make(number)
        if number % 100 == 0:
            archive.add(make(5000 + number))
    assert number == 1199


def test_a_lookup_answers_by_behaviour(archive, make, make_failed):
    task = make().task
    archive.add(make(1, signature="a", text="sin(x)"))
    archive.add(make(2, signature="a", text="neg(sin(x))"))
    assert archive.lookup("sin(x)", "a", task, 0, 3) == make(1, signature="a", text="sin(x)")
    assert archive.lookup("neg(sin(x))", "a", task, 0, 3) == make(2, signature="a", text="neg(sin(x))")
    assert archive.lookup("sin(add(x, x))", "a", task, 0, 3).text == "sin(x)"  # the first that behaves so
    assert archive.lookup("sin(x)", "a", task, 0, 2).outcome(2).accuracy == make(1).curve[1]
    for other in (("b", task, 0, 3, "validation"), ("a", "t", 0, 3, "validation"), ("a", task, 1, 3, "validation"),
                  ("a", task, 0, 4, "validation"), ("a", task, 0, 3, "test")):  # fmt: skip
        assert archive.lookup("sin(x)", *other) is None
    archive.add(make_failed(3, signature="c", done=1))
    assert archive.lookup("any", "c", task, 0, 9).failure == "loss not finite in epoch 2"


def test_a_lookup_prefers_the_text_and_then_the_epochs(archive, make):
    rows = [
        make(number, text=text, signature="a", epochs=epochs, curve=(0.5,) * epochs, losses=(1.0,) * epochs)
        for number, (text, epochs) in enumerate(itertools.product(("other", "own"), (5, 3)))
    ]
    for order in itertools.permutations(rows):
        with Archive(archive.path.with_name("again.sqlite")) as again:
            again.register({"at_once": 1, "proxy": {"network_settings": {"widths": [4, 8]}, "epochs": 3}})
            again.add_all(order)
            assert [again.lookup("own", "a", rows[0].task, 0, at).epochs for at in (2, 3, 4, 5)][1:] == [3, 5, 5]
            assert {again.lookup("own", "a", rows[0].task, 0, at).text for at in (2, 3, 4, 5)} == {"own"}
        archive.path.with_name("again.sqlite").unlink()


def test_outcomes_round_trip_through_the_file(archive, make):
    one = make(curve=(0.1 + 0.2, 1 / 3, 5e-324), losses=(1e308, 2.0**-40, 3.0), accuracy=5e-324, seconds=0.1)
    archive.add(one)
    found = archive.lookup(one.text, one.signature, one.task, one.seed, 3)
    assert found.outcome() == Outcome(0, 5e-324, one.outcome().history, 0.1)


def test_runs_share_evaluations_and_keep_their_order(archive, make, path):
    first, second = (archive.begin(name, {"seed": seed}, {"torch": "2"}) for seed, name in enumerate(("a", "b")))
    for number in (2, 0, 1):
        archive.add(make(number), first)
    known = archive.find(make(1).text)[0]
    archive.note(second, "neg(sin(x))", 2, known)
    archive.note(second, "sub(x, x)", 0, failure="constant sign")
    archive.add(make(3), second)
    archive.note(second, make(3).text, 3, archive.find(make(3).text)[0])  # again, as a run that goes on does
    archive.note(second, "sub(x, x)", 0, failure="constant sign")
    archive.end(first, "finished")
    entries = list(archive.history(second))
    assert [(one.text, one.epochs, one.failure) for one in entries] == [
        ("neg(sin(x))", 2, None),
        ("sub(x, x)", 0, "constant sign"),
        (make(3).text, 3, None),
    ]
    assert [one.accuracy for one in entries] == [make(1).curve[1], None, make(3).accuracy]
    assert [one.text for one in archive.history(first)] == [make(number).text for number in (2, 0, 1)]
    runs = archive.runs()
    assert [(one.key, one.command, one.config, one.status, one.entries) for one in runs] == [
        (first, "a", {"seed": 0}, "finished", 3),
        (second, "b", {"seed": 1}, "running", 3),
    ]
    assert runs[0].ended is not None
    assert runs[1].ended is None
    assert archive.run(first[:12]) == runs[0]
    archive.end(first, "running")
    assert archive.run(first).ended is None


def test_what_a_run_met_is_written_when_the_file_is_closed_or_much_waits(archive, make, path):
    run = archive.begin("evolve", {}, {})
    archive.add(make())
    known = archive.find(make().text)[0]
    for number in range(300):
        archive.note(run, f"text{number}", 3, known)
    with Archive(path, readonly=True) as other:
        assert other.run(run).entries == 256
    archive.close()
    with Archive(path, readonly=True) as other:
        assert [one.text for one in other.history(run)] == [f"text{number}" for number in range(300)]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda archive, run: archive.end("none", "finished"), "there is no run 'none' in this archive"),
        (lambda archive, run: archive.end(run, "done"), "must be one of running, .+, failed, got 'done'"),
        (lambda archive, run: archive.run(""), "there is no run ''"),
        (lambda archive, run: archive.note(run, "x", 3), "must have an evaluation of this archive, or else a failure"),
        (lambda archive, run: archive.find("\ud800"), "cannot hold this .UnicodeEncodeError"),
        (lambda archive, run: archive.find("x", seed=2**64), "cannot hold this .OverflowError"),
        (lambda archive, run: archive.begin("x", {"a": object()}, {}), "must be fit for JSON"),
    ],
)  # fmt: skip
def test_wrong_calls_are_one_line(archive, call, said):
    run = archive.begin("evolve", {}, {})
    with pytest.raises(GaafError, match=said) as raised:
        call(archive, run)
    assert "\n" not in str(raised.value)


def test_an_evaluation_of_another_archive_is_no_entry(archive, make):
    run = archive.begin("evolve", {}, {})
    with pytest.raises(GaafError, match="must have an evaluation of this archive"):
        archive.note(run, "x", 3, make())


def test_a_row_that_is_deleted_meanwhile_stops_nothing(archive, make):
    run = archive.begin("evolve", {}, {})
    archive.add(make(1), run)
    archive.note(run, "x", 3, make(1))
    archive.db.execute("DELETE FROM evaluations WHERE text = ?", (make(1).text,))  # as docs/archive.md has it
    assert archive.add(make(2), run) is Kept.NEW
    assert [one.text for one in archive.history(run)] == [make(2).text]
    assert archive.add(make(1), run) is Kept.NEW


def test_a_key_that_fits_several_runs_is_refused(archive):
    keys = [archive.begin("evolve", {}, {}) for _ in range(17)]
    (twice,) = {one for one in "0123456789abcdef" if sum(key[0] == one for key in keys) > 1} & {min(
        one for one in "0123456789abcdef" if sum(key[0] == one for key in keys) > 1
    )}  # fmt: skip
    with pytest.raises(GaafError, match=f"the key of a run must name one, and several begin with '{twice}': give more"):
        archive.run(twice)


def test_a_closed_or_foreign_archive_says_so_in_one_line(archive, make):
    caught = []

    def elsewhere():
        try:
            archive.add(make())
        except GaafError as error:
            caught.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "ProgrammingError: SQLite objects created in a thread" in caught[0]
    archive.close()
    for call in (lambda: archive.add(make()), lambda: list(archive.rows()), lambda: len(archive), archive.summaries):
        with pytest.raises(GaafError, match="Cannot operate on a closed database"):
            call()


def test_reading_writes_nothing(filled, make):
    before = filled.read_bytes()
    with Archive(filled, readonly=True) as archive:
        assert len(list(archive.rows())) == 20
        archive.summaries()
        for write in (lambda: archive.add(make(99)), lambda: archive.begin("x", {}, {}), lambda: archive.register({})):
            with pytest.raises(GaafError, match="SQLITE_READONLY, it or its folder is read-only"):
                write()
    assert filled.read_bytes() == before


def levels(make, number, epochs, seeds, accuracy, **changes):
    curve = (accuracy,) * epochs
    about = {"epochs": epochs, "curve": curve, "losses": curve, "seconds": 2.0, **changes}
    return [make(number, seed=seed, accuracy=accuracy + seed / 10, **about) for seed in seeds]


def test_a_list_has_a_line_for_each_candidate_at_its_longest(archive, make, make_failed):
    run = archive.begin("evolve", {}, {})
    for one in levels(make, 1, 1, (0, 1), 0.9) + levels(make, 1, 3, (0, 1, 2), 0.5):
        archive.add(one)
    for one in levels(make, 2, 1, (0, 1), 0.2):
        archive.add(one, run)
    archive.add(make_failed(3))
    archive.add(make(3, seed=1))
    archive.add(make(4, split="test"))
    found = {one.text: one for one in archive.summaries()}
    assert len(found) == 3
    first = found[make(1).text]
    assert (first.seeds, first.epochs, first.seconds, first.failure) == (3, 3, 6.0, None)
    assert first.accuracy == pytest.approx(0.6)
    assert found[make(2).text].accuracy == pytest.approx(0.25)
    broken = found[make(3).text]
    assert (broken.accuracy, broken.seeds, broken.failure) == (0.0, 2, "loss not finite in epoch 2")
    assert [one.text for one in archive.summaries()] == [make(number).text for number in (1, 2, 3)]
    assert [one.text for one in archive.summaries(sort=Sort.NEW)] == [make(number).text for number in (3, 2, 1)]
    assert [one.text for one in archive.summaries(sort="slow", limit=2)] == [make(1).text, make(2).text]
    assert archive.summaries(failed=True) == [broken]
    assert broken not in archive.summaries(failed=False, sort=Sort.TEXT)
    assert archive.summaries(run=run) == [found[make(2).text]]
    archive.add(levels(make, 1, 1, (0,), 0.9)[0], run)  # the run saw one epoch, whatever others did
    assert [(one.epochs, one.seeds) for one in archive.summaries(run=run, sort=Sort.TEXT)] == [(1, 1), (1, 2)]


def test_lists_agree_with_a_slow_second_opinion(archive, make, make_failed):
    draw = random.Random(3)
    rows = {}
    for _ in range(400):
        epochs = draw.choice((1, 3))
        number, seed = draw.randrange(30), draw.randrange(4)
        accuracy = draw.random()
        one = (
            make_failed(number, seed=seed, done=0)
            if draw.random() < 0.03
            else make(
                number, seed=seed, epochs=epochs, curve=(accuracy,) * epochs, losses=(1.0,) * epochs, accuracy=accuracy
            )
        )
        rows.setdefault(one.key, one)
        archive.add(one)
    expected = []
    for text in {one.text for one in rows.values()}:
        own = [one for one in rows.values() if one.text == text]
        own = [one for one in own if one.epochs == max(other.epochs for other in own)]
        bad = any(one.failure for one in own)
        expected.append((bad, 0.0 if bad else -sum(one.accuracy for one in own) / len(own), text, len(own)))
    found = [(one.failure is not None, -one.accuracy, one.text, one.seeds) for one in archive.summaries()]
    for ours, theirs in zip(found, sorted(expected), strict=True):
        assert ours[0] == theirs[0]
        assert ours[1] == pytest.approx(theirs[1])
        assert ours[2:] == theirs[2:]


def test_the_file_can_be_asked_with_plain_sql(filled):
    db = sqlite3.connect(f"file:{filled}?mode=ro", uri=True)
    best = db.execute(
        "SELECT e.text, e.accuracy, json_extract(t.settings, '$.proxy.epochs'), json_array_length(e.curve) "
        "FROM evaluations AS e JOIN tasks AS t ON t.hash = e.task ORDER BY e.accuracy DESC LIMIT 1"
    ).fetchone()
    db.close()
    with Archive(filled, readonly=True) as archive:
        top = archive.summaries(limit=1)[0]
    assert best == (top.text, top.accuracy, 3, 3)


@pytest.mark.parametrize(
    ("ends", "status"), [(None, "finished"), (KeyboardInterrupt(), "interrupted"), (OSError("full"), "failed")]
)
def test_a_run_ends_with_its_block(archive, ends, status):
    with contextlib.suppress(KeyboardInterrupt, OSError), archive.running("try", {"n": 1}, {}) as key:
        assert archive.run(key).status == "running"
        if ends is not None:
            raise ends
    assert archive.run(key).status == status


def test_a_lookup_prefers_the_own_text_to_the_right_epochs(archive, make):
    twin = make(1, text="twin", signature="a", epochs=2, curve=(0.1, 0.2), losses=(1.0, 1.0))
    own = make(2, text="own", signature="a", epochs=4, curve=(0.3,) * 4, losses=(1.0,) * 4)
    archive.add_all([twin, own])
    assert archive.lookup("own", "a", own.task, 0, 2) == own
    assert archive.lookup("twin", "a", own.task, 0, 2) == twin
    assert archive.lookup("third", "a", own.task, 0, 2) == twin, "one of just so many epochs"
    assert archive.lookup("twin", "a", own.task, 0, 4) == own, "the only one that goes so far"
    assert archive.lookup("own", "a", own.task, 0, 5) is None


@pytest.mark.parametrize("number", [499, 500, 501, 1001])
def test_rows_beyond_one_block_come_once_and_in_order(archive, make, number):
    run = archive.begin("evolve", {}, {})
    every = [make(place, seed=place % 3) for place in range(number)]
    assert archive.add_all(every) == {Kept.NEW: number}
    assert list(archive.rows()) == every
    assert [one.number for one in archive.rows()] == list(range(1, number + 1))
    assert list(archive.rows(text=every[-1].text)) == every[-1:]
    assert archive.find(every[-1].text) == every[-1:]
    assert len(archive) == number == len(archive.summaries())
    for one in archive.rows():
        archive.note(run, one.text, 3, one)
    entries = list(archive.history(run))
    assert [(entry.text, entry.evaluation) for entry in entries] == [(one.text, one) for one in every]
    assert list(archive.rows(run=run)) == every


def test_summaries_may_be_limited(archive, make, make_failed):
    archive.add_all([make(number, accuracy=number / 10, curve=(number / 10,) * 3) for number in range(5)])
    archive.add(make_failed(9))
    best = [f"mul(sin(x), const({number}.5))" for number in (4, 3, 2, 1, 0, 9)]
    for limit in range(1, 8):
        assert [one.text for one in archive.summaries(limit=limit)] == best[:limit]
    assert [one.text for one in archive.summaries(failed=False)] == best[:5]
    assert [one.text for one in archive.summaries(failed=True)] == best[5:]
    assert [one.seeds for one in archive.summaries()] == [1] * 6
