"""Imagination against the loop that public code runs with the same network: row by row in Python, every chunk's frames
turned into PIL pictures and back, anchor and memory encoded anew from them. Both give what a rollout looks like, so the
quality that a shortcut costs (kept latents are not re-encoded ones) is measured on the same rollouts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image
from timing import Figure

from wovr_lab.measure.hallucination import action_chunks
from wovr_lab.measure.video.metrics import psnr
from wovr_lab.measure.video.rollouts import imagine_videos
from wovr_lab.real.tabletop.play import play_episodes
from wovr_lab.seeding import seed_of, torch_stream
from wovr_lab.starts import start_at
from wovr_lab.types import MEMORY, Episode
from wovr_lab.world.model import WorldModel


def naive_videos(world: WorldModel, episodes: Sequence[Episode], run_seed: int) -> np.ndarray:
    """What `imagine_videos` gives, from the same noise."""
    videos = []
    for row, (episode, chunks) in enumerate(zip(episodes, action_chunks(episodes), strict=True)):
        generator, start = torch_stream(run_seed, "video", row), start_at(episode, 0)
        pictures = [Image.fromarray(start.anchor)]
        for chunk in chunks:
            frames = world.imagine(world.initial_context([start]), chunk[None], [generator]).frames
            pictures += [Image.fromarray(frame) for frame in frames[0]]
            memory = np.stack([np.asarray(picture) for picture in pictures[-MEMORY:]])
            start = replace(start, memory=memory, memory_actions=chunk[-MEMORY:])
        videos.append(np.stack([np.asarray(picture) for picture in pictures]))
    return np.stack(videos)


def against_naive(world: WorldModel, rows: int, depth: int, turns: int) -> list[Figure]:
    """The speed-up, and the PSNR of both against what really happened."""
    size = world.codec.config.resolution
    episodes = list(play_episodes(rows, seed_of(0, "naive"), 0, size, depth))
    ratios, videos = [], {}
    for turn in range(turns + 1):
        begin = time.perf_counter()
        videos["kept_latents"] = imagine_videos(world, episodes, 0)
        middle = time.perf_counter()
        videos["reencoded"] = naive_videos(world, episodes, 0)
        if turn:
            ratios.append((time.perf_counter() - middle) / (middle - begin))
    real = np.stack([episode.frames for episode in episodes])[:, 1:].reshape(-1, size, size, 3)
    quality = {name: float(psnr(real, video[:, 1:].reshape(real.shape)).mean()) for name, video in videos.items()}
    figures = [Figure(f"batch_{rows}", "speedup_over_naive", tuple(ratios))]
    return figures + [Figure(f"batch_{rows}", f"psnr_{name}", (value,)) for name, value in quality.items()]
