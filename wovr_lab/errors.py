"""The one error people are meant to read: bad input at a border, with what to do next."""


class UserError(Exception):
    """Something given cannot be used; the message says what to do. The command line prints it and exits with 2."""
