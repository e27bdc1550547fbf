"""Archives of several machines become one: everything once, all of a file or none of it."""

import shutil

import pytest

from gaaf_gp.archive import Archive, check
from gaaf_gp.errors import GaafError


@pytest.fixture
def other(tmp_path, settings_of_task):
    """A second archive, with a task and a run of its own."""
    with Archive(tmp_path / "other.sqlite") as found:
        found.register(settings_of_task)
        found.register({"other": "task"})
        yield found


def test_everything_is_there_once(archive, other, make, make_failed):
    first = archive.begin("first", {}, {})
    for number in (1, 2, 3):
        archive.add(make(number), first)
    second = other.begin("second", {"seed": 7}, {"torch": "2"})
    other.add(make(3), second)  # both have it
    other.add(make(9, device="cuda", versions={"torch": "3"}), second)
    other.add(make_failed(4), second)
    other.note(second, "sub(x, x)", 0, failure="constant sign")
    other.end(second, "interrupted")
    merged = archive.merge(other)
    assert (merged.new, merged.known, merged.differing, merged.runs) == (2, 1, (), 1)
    assert {one.text for one in archive.rows()} == {make(number).text for number in (1, 2, 3, 9, 4)}
    assert archive.find(make(9).text) == [make(9, device="cuda", versions={"torch": "3"})]
    assert set(archive.tasks()) == set(other.tasks())
    assert archive.runs()[1] == other.runs()[0]
    ours, theirs = (
        [(one.text, one.failure, one.accuracy) for one in each.history(second)] for each in (archive, other)
    )
    assert ours == theirs
    assert len(ours) == 4
    again = archive.merge(other)
    assert (again.new, again.known, again.runs) == (0, 3, 0)
    assert [one.entries for one in archive.runs()] == [3, 4]
    assert check(archive.path).problems == ()


def test_the_order_of_merging_changes_no_content(tmp_path, settings_of_task, make):
    parts = []
    for part in range(3):
        with Archive(tmp_path / f"{part}.sqlite") as found:
            found.register(settings_of_task)
            run = found.begin(f"run {part}", {}, {})
            for number in range(part, 30, 2):
                found.add(make(number), run)
        parts.append(found.path)
    contents = []
    for place, order in enumerate(((0, 1, 2), (2, 0, 1))):
        with Archive(tmp_path / f"all{place}.sqlite") as found:
            for part in order:
                with Archive(parts[part], readonly=True) as source:
                    found.merge(source)
            runs = {run.command: [one.text for one in found.history(run.key)] for run in found.runs()}
            contents.append((sorted(repr(one) for one in found.rows()), runs))
    assert contents[0] == contents[1]
    assert len(contents[0][0]) == 30


def test_another_result_of_one_training_is_reported_and_the_first_stays(archive, other, make):
    archive.add_all([make(1), make(2)])
    other.add_all([make(1, accuracy=0.5), make(2)])
    merged = archive.merge(other)
    assert merged.differing == (make(1, accuracy=0.5),)
    assert (merged.new, merged.known) == (0, 1)
    assert archive.find(make(1).text) == [make(1)]


def test_a_run_that_went_on_elsewhere_is_brought_up_to_date(archive, make, tmp_path):
    run = archive.begin("evolve", {}, {})
    archive.add(make(1), run)
    archive.close()
    elsewhere = tmp_path / "elsewhere.sqlite"
    shutil.copy(archive.path, elsewhere)
    with Archive(elsewhere) as other, Archive(archive.path) as ours:
        other.add(make(2), run)
        other.end(run, "finished")
        assert ours.merge(other).runs == 0
        assert ours.run(run).status == "finished"
        assert [one.text for one in ours.history(run)] == [make(1).text, make(2).text]
        assert other.merge(ours).new == 0


def test_an_archive_is_not_merged_with_itself(archive, tmp_path):
    (tmp_path / "link").symlink_to(archive.path)
    with Archive(tmp_path / "link", readonly=True) as same, pytest.raises(GaafError, match="with another file, got"):
        archive.merge(same)


def test_a_damaged_source_leaves_nothing_behind(archive, other, make):
    archive.add(make(1))
    run = other.begin("evolve", {}, {})
    for number in range(10, 1000):
        other.add_all([make(number)]) if number < 20 else None
    other.add_all(make(number) for number in range(20, 1000))
    other.db.execute("UPDATE evaluations SET accuracy = 0.123 WHERE id = 700")
    with pytest.raises(GaafError, match=r"other\.sqlite is damaged \(evaluation 700 has another checksum than was"):
        archive.merge(other)
    assert list(archive.rows()) == [make(1)]
    assert archive.runs() == []
    assert len(archive.tasks()) == 1
    other.db.execute("DELETE FROM evaluations WHERE id = 700")
    assert archive.merge(other).new == 989
    assert archive.runs()[0].key == run


@pytest.mark.parametrize("statement", ["UPDATE runs SET config = '['", "UPDATE tasks SET settings = '{}'"])
def test_the_damaged_file_is_the_one_that_is_named(archive, other, statement):
    other.begin("evolve", {}, {})
    other.db.execute(statement)
    with pytest.raises(GaafError, match=r"other\.sqlite is damaged \("):
        archive.merge(other)
    assert archive.runs() == []


def test_a_source_that_is_written_to_is_taken_as_it_was(archive, other, make):
    other.add_all(make(number) for number in range(5))
    rows = other.rows

    def meanwhile():
        with Archive(other.path) as writer:
            task = writer.register({"a": "new task"})
            writer.add(make(99, task=task), writer.begin("late", {}, {}))
        return rows()

    other.rows = meanwhile
    assert archive.merge(other).new == 5
    del other.rows
    assert archive.merge(other).new == 1
    assert [run.command for run in archive.runs()] == ["late"]


def test_what_waits_in_either_archive_is_merged_too(archive, other, make):
    first, second = archive.begin("first", {}, {}), other.begin("second", {}, {})
    archive.note(first, "sub(x, x)", 0, failure="constant sign")
    other.note(second, "mul(x, x)", 0, failure="constant sign")
    assert archive.merge(other).runs == 1
    for run, text in ((first, "sub(x, x)"), (second, "mul(x, x)")):
        assert [(one.text, one.epochs, one.failure) for one in archive.history(run)] == [(text, 0, "constant sign")]
    assert [one.text for one in other.history(second)] == ["mul(x, x)"], "the other one keeps it"


def test_more_than_one_block_is_merged_once_and_in_order(archive, other, make):
    run = other.begin("second", {}, {})
    every = [make(number) for number in range(501)]
    other.add_all(every)
    for one in other.rows():
        other.note(run, one.text, 3, one)
    archive.add_all(every[250:252])
    merged = archive.merge(other)
    assert (merged.new, merged.known, merged.differing) == (499, 2, ())
    assert sorted(one.text for one in archive.rows()) == sorted(one.text for one in every)
    assert [entry.evaluation for entry in archive.history(run)] == every
    assert check(archive.path).problems == ()
