"""Whole configurations, as tables by environment and scale."""

from wovr_lab.pace.presets.choice import config_for, preset
from wovr_lab.pace.presets.table import LATENT, PIXELS, WORLDS

__all__ = ["LATENT", "PIXELS", "WORLDS", "config_for", "preset"]
