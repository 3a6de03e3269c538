"""Figures and pictures by subject, in one look and one wording: pure functions for notebooks, reports and the app."""
