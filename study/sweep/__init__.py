"""A sweep: a grid of options, measured, and its Pareto front."""
