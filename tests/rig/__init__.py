"""The test rig: a small network of namespaces, a daemon in it, and clients that meet it for real.

Nothing here knows what a test wants to see; that is said in the tests.
"""
