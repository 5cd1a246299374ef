"""Attributes of RTLIL that hardware is marked with and mapping looks for."""

SAME_AS = "same_as"
"""On a wire of an outline: name of the instance beside it whose module stands for the outline's."""
