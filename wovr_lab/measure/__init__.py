"""Measuring: success with intervals, imagined against real outcomes, the reliability gate, video error by horizon."""
