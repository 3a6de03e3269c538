"""Episodes on disk, in the HDF5 schema of LIBERO's demonstrations: written, validated, read lazily, counted."""

from wovr_lab.episodes.reading import EpisodeSummary
from wovr_lab.episodes.statistics import Statistics, TaskStatistics
from wovr_lab.episodes.store import EpisodeStore
from wovr_lab.episodes.validation import validate_file
from wovr_lab.episodes.writing import Origin, write_episodes

__all__ = [
    "EpisodeStore",
    "EpisodeSummary",
    "Origin",
    "Statistics",
    "TaskStatistics",
    "validate_file",
    "write_episodes",
]
