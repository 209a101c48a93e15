"""A recipe crosses as it is, and what is out of bounds does not cross."""

from __future__ import annotations

import os
import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinetd.errors import MessageError
from sentinetd.spawn import protocol
from sentinetd.spawn.protocol import Launched, LaunchFailed, Part, SetupFailed, Step
from sentinetd.spawn.recipe import MAX_SIZE, Recipe
from spawn.guard import TRUE

texts = st.binary(max_size=40).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))
ids = st.integers(0, 2**32 - 2)
recipes = st.builds(
    Recipe,
    server=texts,
    argv=st.lists(texts, min_size=1, max_size=5).map(tuple),
    environment=st.lists(texts, max_size=5).map(tuple),
    uid=st.none() | ids,
    gid=st.none() | ids,
    groups=st.none() | st.lists(ids, max_size=5).map(tuple),
    umask=st.none() | st.integers(0, 0o777),
    nice=st.integers(-40, 40),
    limits=st.lists(st.tuples(st.integers(0, 15), st.integers(-1, 2**63 - 1)), max_size=16).map(tuple),
    labeled=st.booleans(),
)


@given(recipes)
def test_there_and_back(recipe: Recipe) -> None:
    assert Recipe.decode(recipe.encode()) == recipe


@given(recipes, st.data())
def test_a_damaged_recipe(recipe: Recipe, data: st.DataObject) -> None:
    """It is another recipe, which may be believed, or a MessageError; nothing else."""
    encoded = bytearray(recipe.encode())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(MessageError):
        other = Recipe.decode(bytes(encoded))
        assert Recipe.decode(other.encode()) == other


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(Recipe("/bin/true", ()), id="no argument"),
        pytest.param(Recipe("/bin/true\0", ("true",)), id="a zero byte in the server"),
        pytest.param(Recipe("/bin/true", ("a\0b",)), id="a zero byte in an argument"),
        pytest.param(Recipe("/bin/true", ("true",), ("A=\0",)), id="a zero byte in the environment"),
        pytest.param(Recipe("/bin/true", ("\ud800",)), id="half a character"),
        pytest.param(Recipe("/bin/true", ("true",), uid=-1), id="user -1"),
        pytest.param(Recipe("/bin/true", ("true",), gid=2**32 - 1), id="group -1 in 32 bits"),
        pytest.param(Recipe("/bin/true", ("true",), groups=(2**32,)), id="a group beyond 32 bits"),
        pytest.param(Recipe("/bin/true", ("true",), groups=tuple(range(65537))), id="too many groups"),
        pytest.param(Recipe("/bin/true", ("true",), umask=0o1000), id="umask"),
        pytest.param(Recipe("/bin/true", ("true",), nice=41), id="nice"),
        pytest.param(Recipe("/bin/true", ("true",), limits=((16, 0),)), id="no such limit"),
        pytest.param(Recipe("/bin/true", ("true",), limits=((0, -2),)), id="a negative limit"),
        pytest.param(Recipe("/bin/true", ("true",), limits=((0, 2**63),)), id="a limit beyond 63 bits"),
        pytest.param(Recipe("/bin/true", ("true",), limits=((0, 0),) * 17), id="too many limits"),
        pytest.param(Recipe("/bin/true", ("true",), ("A" * MAX_SIZE,)), id="too long"),
    ],
)
def test_out_of_bounds(recipe: Recipe) -> None:
    with pytest.raises(MessageError):
        recipe.encode()


def test_pieces() -> None:
    """They put together what was taken apart, and say where they belong."""
    recipe = Recipe("/bin/true", ("true",), tuple(f"{letter}={letter * 9000}" for letter in string.ascii_letters))
    encoded = recipe.encode()
    first, *others = protocol.teach(9, encoded)
    assert protocol.HEADER.unpack_from(first) == (protocol.TEACH, 9, len(encoded))
    together = first[protocol.HEADER.size :]
    for piece in others:
        assert protocol.HEADER.unpack_from(piece) == (protocol.MORE, 9, len(together))
        assert len(piece) <= protocol.HEADER.size + protocol.PIECE
        together += piece[protocol.HEADER.size :]
    assert Recipe.decode(together) == recipe


@pytest.mark.parametrize(
    ("values", "reply"),
    [
        pytest.param((1, 0, 2**64 - 1, 77, 0, 1_500_000_000), Launched(2**64 - 1, 77), id="launched"),
        pytest.param((2, 0, 5, 11, 0, 0), LaunchFailed(5, 11), id="launch failed"),
        pytest.param((3, 2, 5, 1, 7, 0), SetupFailed(5, Step.LIMIT, 1, 7), id="set-up failed"),
        pytest.param((3, 9, 5, 92, 2, 0), SetupFailed(5, Step.LABEL, 92, Part.PEER), id="no label"),
        pytest.param((3, 9, 5, 92, 6, 0), None, id="no such part of labelling"),
        pytest.param((1, 0, 5, 0, 0, 0), None, id="no process id"),
        pytest.param((1, 0, 5, -1, 0, 0), None, id="a process id that means everybody"),
        pytest.param((3, 0, 5, 1, 0, 0), None, id="no such step"),
        pytest.param((9, 0, 5, 1, 0, 0), None, id="no such kind"),
    ],
)
def test_replies(values: tuple[int, ...], reply: protocol.Reply | None) -> None:
    message = protocol.REPLY.pack(*values)
    if reply is not None:
        assert protocol.read_reply(message) == reply
        message += b"\0"
    with pytest.raises(MessageError):
        protocol.read_reply(message)


def test_which_steps_are_fatal() -> None:
    assert {step for step in Step if not SetupFailed(1, step, 1).fatal} == {Step.LIMIT, Step.NICE}


def test_a_recipe_is_small() -> None:
    """One message teaches what a usual service needs."""
    assert len(list(protocol.teach(1, TRUE.encode()))) == 1
