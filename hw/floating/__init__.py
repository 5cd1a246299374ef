"""IEEE-754-like arithmetic of any format."""
