"""The exception tree. An error names the place it comes from; whoever raises it says what to do about it."""


class SentinetdError(Exception):
    """Anything that this package raises on purpose."""


class EdgeError(SentinetdError):
    """The world failed at an edge (a file, a socket, a process); the edge turned its library's error into this one."""


class MessageError(SentinetdError):
    """A message between our own processes is not of its form: it is told and dropped, never believed."""


class UsageError(SentinetdError):
    """The command line cannot be understood; the text says which word and what would be right."""
