"""Debian's graywolf, qrouter and magic on a mapped netlist: their files, and their runs."""
