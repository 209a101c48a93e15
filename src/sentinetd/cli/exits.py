"""How a command of `sentinetctl` ends."""

from __future__ import annotations

import signal

DONE, PARTLY, NOT_DONE = 0, 1, 2
"""Done; done but for what was told as an error; not done."""
UNREACHABLE, FORBIDDEN = 3, 4
"""No daemon answers; it, or its socket, does not let us."""
INTERRUPTED = 128 + signal.SIGINT
