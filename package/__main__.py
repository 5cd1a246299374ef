"""`python -m mlsmac`: the `mlsmac` command."""

from .cli.main import main

if __name__ == "__main__":
    main()
