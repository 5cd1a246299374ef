"""The commands, a function each; `main` registers them."""
