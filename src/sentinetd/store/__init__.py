"""Bans on disk, so that they outlive us."""
