"""The front ends for people at a terminal: the command `sentinetctl`. Nothing here runs in the daemon."""
