"""Whatever there is to be compared is compared by some case; `python -m differential.coverage` says by which."""

from __future__ import annotations

from differential.coverage import LITERALS, NOT_COMPARED, missing, shown, things, usual_things
from sentinetd.config.table import by_name


def test_every_thing_has_a_case() -> None:
    assert [str(thing) for thing in missing()] == []


def test_exceptions_are_needed() -> None:
    """What stands on the list of exceptions exists, and no case shows it."""
    cases = shown()
    assert NOT_COMPARED.keys() <= set(things())
    assert [str(thing) for thing in NOT_COMPARED if cases[thing] or thing in usual_things()] == []


def test_words_that_are_no_enumeration_stand_in_the_manual() -> None:
    for name, words in LITERALS.items():
        assert all(word in by_name()[name].values for word in words), name
