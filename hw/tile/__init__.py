"""Tiles: MACs, scalers, adder trees, outputs, and the streams around them."""
