"""Where finished lines go: a file, the system's log."""
