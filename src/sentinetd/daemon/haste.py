"""How a process of ours deals with its memory while it starts, and afterwards.

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
    comes is, as usual. What was needed on the way goes back to the system, where the C library has a call for that
    (malloc_trim(3)): messages of many bans leave holes, of 15 bytes for each."""
    import ctypes  # here, for whoever makes haste has loaded next to nothing

    gc.freeze()
    gc.set_threshold(*USUAL)
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
