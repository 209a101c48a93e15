"""The host's own addresses: what cannot be read is told once, and read as soon as it can be."""

from __future__ import annotations

from rig.deadline import wait_for
from rig.shortage import no_descriptor
from sentinetd.daemon.loop import Loop
from sentinetd.daemon.whereabouts import Whereabouts
from sentinetd.model.address import Address
from sentinetd.policy.inputs import Surroundings


def test_a_shortage_of_descriptors_passes() -> None:
    loop = Loop()
    moved: list[Surroundings] = []
    told: list[str] = []
    whereabouts = Whereabouts(loop, moved.append, lambda level, text: told.append(f"{level.name} {text}"))

    def turned(count: int) -> bool:
        loop.turn(0.05)
        return len(told) >= count

    with no_descriptor():
        whereabouts.watch()
        loop.turn(0.0)
    assert moved == []
    assert [text.partition(":")[0] for text in told] == [
        "ERROR the host's own addresses are not known and may get banned"
    ]
    wait_for(lambda: turned(2), lambda: str(told), 20.0)
    assert told[1] == "NOTICE the host's own addresses are known again, and watched"
    assert moved[-1].own.longest_match(Address.parse("127.0.0.1"))
    whereabouts.close()
    loop.close()
