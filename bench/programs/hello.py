"""The server in Python that the benchmark has started for a connection: what a small script costs."""

import sys

sys.stdout.write("hello\n")
