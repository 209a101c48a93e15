"""Bans kept by the kernel or by a program, so that servers which are not ours are guarded too."""
