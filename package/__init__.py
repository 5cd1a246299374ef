"""mlsmac: multi-level-scaling MACs, their golden model, and what they cost.

The sub-packages have folders of their own beside this one; `package-dir` in pyproject.toml puts
them together.
"""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """`__version__` as the installed distribution has it, looked up when asked for: reading
    metadata takes longer than all the rest of this import.
    """
    if name == "__version__":
        from importlib.metadata import version

        return version("mlsmac")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
