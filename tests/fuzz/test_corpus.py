"""The corpus of the fuzzing, once through every target: what was found before is not found again."""

from __future__ import annotations

import pytest

from fuzz.targets import CORPUS, LARGEST, LONGEST, TARGETS, WRITTEN


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_of_the_corpus_breaks_a_promise(name: str) -> None:
    paths = sorted((CORPUS / name).iterdir())
    found = [path for path in paths if not path.name.startswith(WRITTEN)]
    assert 0 < len(found) <= LARGEST, "make it smaller: python tests/fuzz/run.py keep"
    for path in paths:
        data = path.read_bytes()
        assert len(data) <= LONGEST
        TARGETS[name](data)


def test_every_directory_has_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == TARGETS.keys()
