"""The one error people are meant to read: bad input at a border, with what to do next."""


class UserError(Exception):
    """Something the user gave cannot be used. The message says what is wrong and what to do; the command line prints it and exits with 2."""
