"""Masked group-relative policy optimisation (paper section 3)."""
