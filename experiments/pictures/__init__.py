"""Curves, panels and the report of a quickstart."""
