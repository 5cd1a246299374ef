"""Delays, static timing, SDF."""
