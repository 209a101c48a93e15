"""Decides who is served, refused and banned. No socket, file or clock: inputs in, effects out, both plain values."""
