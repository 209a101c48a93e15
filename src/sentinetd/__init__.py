"""sentinetd: the extended Internet services daemon, with sensors."""

__version__ = "0.1.0"
