"""How a command of `sentinetctl` ends."""

from __future__ import annotations

import signal

DONE, PARTLY, NOT_DONE = 0, 1, 2
"""Done; done but for what was told as an error; not done."""
INTERRUPTED = 128 + signal.SIGINT
