"""The one error of the embedded database: a code for programs, a sentence for people."""

from typing import Literal

ErrorCode = Literal[
    "BINARIES_MISSING",  # the package with the PostgreSQL programs is not installed, or lacks one
    "STATE_UNUSABLE",  # the state folder cannot be made, entered or locked by this user
    "OPTION_RESERVED",  # a server setting that this package must own
    "DATA_VERSION",  # the data folder was made by another major version
    "DATA_IN_USE",  # server processes that cannot be seen from here hold the data folder
    "INIT_FAILED",  # initdb refused
    "START_FAILED",  # postgres refused; the message ends with its own words
    "START_TIMEOUT",  # no answer in time
    "STOP_FAILED",  # the supervisor does not end
]


class EmbeddedError(Exception):
    """What was wrong, and what would be right."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
