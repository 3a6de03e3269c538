"""The inspector: a person acts in the imagined and in the real world at once, and sees them part."""
