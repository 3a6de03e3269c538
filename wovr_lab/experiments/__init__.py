"""What is built on finished runs to learn something about them, one experiment a file."""
