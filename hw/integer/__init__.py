"""Integer arithmetic: multipliers, accumulators, dot products, statistics."""
