"""The one exception that the command line turns into a single line and exit code 2."""


class InputError(ValueError):
    """Something the user gave is wrong; the message names the value and the repair, on one line."""
