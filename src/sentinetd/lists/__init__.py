"""Bans as lists that other programs read: a writer is a pure function from bans to lines, `table` has all there are.

And lists of others: a reader is a pure function from bytes to entries, `readers` has all; `intake` bounds what comes.
"""
