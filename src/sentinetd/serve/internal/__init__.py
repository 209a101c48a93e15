"""The internal services of xinetd as pure functions of bytes and times: no socket, no clock, nothing but the library.

What they give for a datagram or at once for a stream, the guard sends itself; what goes on longer, the porter carries
out (`serve.streams`).
"""
