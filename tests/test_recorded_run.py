"""What small searches leave behind stays the same to the last byte; :mod:`tests.record_run` records it."""

import json

import pytest

from tests.record_run import FILE, record


@pytest.fixture(scope="module")
def now():
    return json.loads(json.dumps(record(), default=str))


@pytest.fixture(scope="module")
def recorded():
    return json.loads(FILE.read_text())


@pytest.mark.parametrize("part", ["searches", "archive", "signatures", "training"])
def test_a_search_leaves_what_was_recorded(part, now, recorded):
    assert now[part] == recorded[part]
