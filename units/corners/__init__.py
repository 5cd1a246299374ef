"""Operands that reach the corners of every unit."""
