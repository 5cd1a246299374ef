"""Errors a user can act on; the command line prints their one line and exits with status 2."""


class UserError(ValueError):
    """A wrong option, a missing file or a missing tool; the message names the remedy."""


class ToolError(RuntimeError):
    """A tool failed, or what it made is not what was asked for; the message is one line."""
