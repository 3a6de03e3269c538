"""What is built on the loop and on finished runs to learn something about them, one experiment a file."""
