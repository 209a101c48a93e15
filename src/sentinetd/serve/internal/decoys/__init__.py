"""Decoys: what a sensor says so that it is taken for a service. Bytes in, bytes out; no socket, no clock, no file.

None of them lets anybody in, whatever is said to it; none keeps anything longer than its session, and all that one of
them remembers or says has a bound. Each answers as one well-known program does in its usual setting.
"""
