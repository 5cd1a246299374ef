"""Gate-level simulation and the activity it shows."""
