"""Fuzzing of everything that reads what strangers or other processes send, guided by coverage."""
