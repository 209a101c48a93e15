"""Text to model: the files of an operator become services and settings, every mistake a diagnostic with its place.

`load.load` is the way in. Only `host` asks the machine; everything else is a function of values.
"""
