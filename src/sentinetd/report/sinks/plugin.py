"""A sink that another distribution brings: an entry point of the group ``sentinetd.sinks``, run because it is named.

The entry point is called with the options of the configuration, text by text, and gives an `AlertSink`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points

from sentinetd.errors import EdgeError
from sentinetd.model.alert import PluginTarget
from sentinetd.ports import AlertSink, Message
from sentinetd.report.sinks.making import Unusable

GROUP = "sentinetd.sinks"


def load(target: PluginTarget) -> AlertSink:
    """The sink that *target* names. Unusable if there is none, or it does not want these options."""
    found = entry_points(group=GROUP, name=target.plugin)
    if not found:
        known = ", ".join(sorted(entry_points(group=GROUP).names)) or "none is installed here"
        raise Unusable("plugin", f"no sink {target.plugin} is installed; known: {known}", "install what brings it")
    (entry,) = tuple(found)[:1]
    try:
        sink = entry.load()({option.key: option.value for option in target.options})
    except Exception as error:  # foreign code: whatever it raises is what is wrong with the alert
        text = f"{entry.value}: {type(error).__name__}: {error}"
        raise Unusable("options", text, "see the documentation of what brings it") from error
    return Plugin(entry.value, sink)


class Plugin:
    """Foreign code behind a wall: what it raises is a failure of its own, not ours."""

    def __init__(self, name: str, sink: AlertSink) -> None:
        self._name = name
        self._sink = sink
        self.most = max(int(getattr(sink, "most", 1)), 1)

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Have it deliver *messages*."""
        try:
            await self._sink.deliver(messages)
        except (EdgeError, TimeoutError):
            raise
        except Exception as error:  # foreign code: the edge turns what it raises into our error, and it is tried again
            raise EdgeError(f"{self._name}: {type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Have it let go."""
        try:
            await self._sink.close()
        except Exception as error:  # foreign code: there is nobody left to tell but the log of standard error
            raise EdgeError(f"{self._name}: {type(error).__name__}: {error}") from error
