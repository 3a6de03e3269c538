"""Many demonstration files, or LeRobot data sets, as one sequence of episodes, read only as far as asked for.

In: paths of files and of sets' folders. Out: summaries at once; episodes, windows and single frames when they are
wanted. Every read opens its file and closes it again, so a store can be copied to other processes and forked without a
thought.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from os import PathLike
from pathlib import Path

import numpy as np

from wovr_lab.borders import as_path
from wovr_lab.episodes.formats import read_summaries, reading
from wovr_lab.episodes.reading import EpisodeSummary
from wovr_lab.episodes.statistics import Statistics, statistics_of
from wovr_lab.errors import UserError
from wovr_lab.types import Episode


class EpisodeStore:
    """Episodes in the order of the files given and, in each file, of their numbers. `summaries` lists them."""

    def __init__(self, paths: Iterable[Path | str] | Path | str, camera: str | None = None):
        """Validates every file; `camera` chooses among the views of data sets that have several (the first without it).

        Raises UserError if one is defective or given twice, or their frames differ in size.
        """
        files = [as_path(path) for path in ([paths] if isinstance(paths, str | PathLike) else paths)]
        twice = [path for number, path in enumerate(files) if path.resolve() in {f.resolve() for f in files[:number]}]
        if twice:
            raise UserError(f"{twice[0]} is given twice, and each of its episodes would count twice; give it once")
        summaries = (summary for path in files for summary in read_summaries(path, camera))
        self.summaries: tuple[EpisodeSummary, ...] = tuple(summaries)
        sizes = {summary.frame_shape: summary.path for summary in self.summaries}
        if len(sizes) > 1:
            sizes_and_files = ", ".join(f"{shape[0]} x {shape[1]} in {path}" for shape, path in sizes.items())
            raise UserError(f"these files hold frames of different sizes ({sizes_and_files}); use files of one size")

    def __len__(self) -> int:
        return len(self.summaries)

    def __getitem__(self, index: int) -> Episode:
        """A whole episode. Raises IndexError past the end."""
        return self.window(index, 0, self.summaries[index].length)

    def __iter__(self) -> Iterator[Episode]:
        """Every episode, one in memory at a time, each file opened once."""
        for path, summaries in groupby(self.summaries, key=lambda summary: summary.path):
            with reading(path) as reader:
                for summary in summaries:
                    yield reader.window(summary, 0, summary.length)

    def window(self, index: int, start: int, length: int) -> Episode:
        """`length` actions of an episode from action `start` on, and the `length` + 1 frames around them.

        Only what is asked for is read. Raises IndexError if the window leaves the episode.
        """
        summary = self.summaries[index]
        if start < 0 or length < 1 or start + length > summary.length:
            raise IndexError(f"actions {start} to {start + length} of an episode of {summary.length} actions")
        with reading(summary.path) as reader:
            return reader.window(summary, start, length)

    def anchor(self, index: int) -> np.ndarray:
        """The first frame of an episode, uint8 [H, W, 3]."""
        summary = self.summaries[index]
        with reading(summary.path) as reader:
            return reader.anchor(summary)

    def windows(self, length: int) -> np.ndarray:
        """Every window of `length` actions: int64 [n, 2], the index of its episode and of its first action.

        Raises UserError if no episode is that long.
        """
        counts = [max(0, summary.length - length + 1) for summary in self.summaries]
        if length < 1 or not sum(counts):
            raise UserError(f"no stored episode has a window of {length} actions; collect longer ones")
        pairs = [np.stack([np.full(count, index), np.arange(count)], axis=1) for index, count in enumerate(counts)]
        return np.concatenate(pairs).astype(np.int64)

    def statistics(self) -> Statistics:
        """Counts, rates and the spread of actions, without reading frames. Raises UserError on an empty store."""
        return statistics_of(self.summaries, self._actions())

    def _actions(self) -> Iterator[np.ndarray]:
        for path, summaries in groupby(self.summaries, key=lambda summary: summary.path):
            with reading(path) as reader:
                for summary in summaries:
                    yield reader.actions(summary)

    def select(self, task: str | None = None, success: bool | None = None) -> EpisodeStore:
        """The episodes of a task, or with an outcome, or both, as a store of their own (perhaps an empty one)."""
        chosen = EpisodeStore([])
        chosen.summaries = tuple(
            summary
            for summary in self.summaries
            if (task is None or summary.task == task) and (success is None or summary.success == success)
        )
        return chosen
