"""How a process of ours looks for cycles while it starts, and afterwards.

All but a little of what is made while modules are loaded and a configuration is read stays: to look through all of it
again and again is a tenth of a start. The little is the classes that others take the place of (`model.noun`).
"""

from __future__ import annotations

import gc

YOUNG = 5_000
"""New objects after which those are looked through. Fewer cost more time, more cost memory that is never given back."""
NEVER = 1 << 30
USUAL = (700, 10, 10)
"""As in CPython 3.11 (gc.set_threshold)."""


def make_haste() -> None:
    """From now on only what is new is looked through."""
    gc.set_threshold(YOUNG, NEVER, NEVER)


def calm_down() -> None:
    """What there is by now stays, and is never looked through: with a million bans that would take 60 ms. All that
    comes is, as usual."""
    gc.freeze()
    gc.set_threshold(*USUAL)
