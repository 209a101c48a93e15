"""The control API: HTTP with JSON on a unix socket, in the courier. The tools and any console are its clients."""
