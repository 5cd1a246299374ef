"""Errors whose message is one line for the user; `exit_status` has what the command makes of
them.
"""

import errno


class UserError(ValueError):
    """The request is wrong: an option, or a file that it names; the message has value and rule."""


class ToolError(RuntimeError):
    """The request is right, but a tool is missing or failed, or what it made is not what was asked
    for; the message names the remedy where there is one.
    """


class Interrupted(BaseException):
    """The signal `number` asks the command to end; no Exception, as KeyboardInterrupt is none."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


_NOT_OF_A_PATH = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.ENOMEM,
        errno.EMFILE,
        errno.ENFILE,
        errno.EPIPE,
    }
)
"""Faults of disk, memory, handles and of who reads, which another request would meet too."""


def exit_status(error: UserError | ToolError | OSError | MemoryError) -> int:
    """2 where the request is wrong (a path that cannot be read or written included), 1 where what
    it needs is missing, failed or is used up.
    """
    if isinstance(error, OSError):
        return 1 if error.errno in _NOT_OF_A_PATH else 2
    return 2 if isinstance(error, UserError) else 1
