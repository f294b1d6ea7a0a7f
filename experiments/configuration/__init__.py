"""Configs: the flag, files, comments, limits, changes."""
