"""Pieces of the report in HTML: figures, tables, pictures and films, each complete in itself.

In: figures, text, files. Out: HTML; all text escaped, all files embedded, nothing to fetch.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from PIL import Image
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from wovr_lab.figures.style import plain
from wovr_lab.outputs import OUR_PAGE
from wovr_lab.report.tables import Table

LARGEST_FILM = 300_000  # bytes; larger ones are named, not embedded
# the browser itself refuses whatever would be fetched
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src data:"
)

# figures are drawn while the page is still being laid out: fit them to their final places
FIT = "addEventListener('load', () => dispatchEvent(new Event('resize')))"


def page(title: str, body: str) -> str:
    """A whole HTML document with the style and plotly.js inside."""
    style = files("wovr_lab.report").joinpath("report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"{OUR_PAGE}\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{plain(title)}</title>\n<style>\n{style}</style>\n<script>{get_plotlyjs()}</script>\n</head>\n"
        f"<body>\n{body}\n<script>{FIT}</script>\n</body>\n</html>\n"
    )


def section(title: str, explanation: str, *parts: str) -> str:
    """A titled part of the page. `explanation` and `parts` are HTML."""
    return f"<section>\n<h2>{plain(title)}</h2>\n<p>{explanation}</p>\n" + "\n".join(parts) + "\n</section>"


def plot(figure: go.Figure, name: str) -> str:
    """A live figure; `name` is its id in the page, so that the same run gives the same bytes."""
    drawn = to_html(
        figure, include_plotlyjs=False, full_html=False, div_id=name, default_height=f"{figure.layout.height}px",
        config={"displayModeBar": False, "responsive": True},
    )  # fmt: skip
    return f'<div class="plot">{drawn}</div>'


def table(content: Table) -> str:
    """A table that scrolls sideways where the page is narrow."""
    return f'<div class="scrolling">{content.html()}</div>'


def tile(title: str, number: str, note: str) -> str:
    """One number to remember."""
    return f'<div class="tile">{plain(title)}<b>{plain(number)}</b><span class="quiet">{plain(note)}</span></div>'


def warning(text: str) -> str:
    """A paragraph that is not to be overlooked, "" for no text."""
    return f'<p class="warning">{plain(text)}</p>' if text else ""


def beside(parts: Sequence[str]) -> str:
    """Parts beside each other where the page is wide enough."""
    return '<div class="beside">' + "".join(f"<div>{part}</div>" for part in parts) + "</div>"


def picture(path: Path, caption: str) -> str:
    """A PNG, embedded; it scrolls sideways where the page is narrow."""
    return _captioned(_data(path.read_bytes(), "image/png"), caption)


def image(pixels: np.ndarray, caption: str) -> str:
    """A picture uint8 [H, W, 3], embedded; it scrolls sideways where the page is narrow."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return _captioned(_data(file.getvalue(), "image/png"), caption)


def _captioned(data: str, caption: str) -> str:
    shown = f'<img src="{data}" alt="{plain(caption)}">'
    return f'<figure><figcaption>{plain(caption)}</figcaption><div class="scrolling">{shown}</div></figure>'


def films(paths: Sequence[Path], captions: Sequence[str]) -> str:
    """Small MP4 and GIF films, embedded side by side; larger ones are named."""
    shown = []
    for path, caption in zip(paths, captions, strict=True):
        if path.stat().st_size > LARGEST_FILM:
            film = f'<span class="quiet">too large to embed: open {plain(path.parent.name)}/{plain(path.name)}</span>'
        elif path.suffix == ".gif":
            film = f'<img src="{_data(path.read_bytes(), "image/gif")}" alt="{plain(caption)}">'
        else:
            film = f'<video src="{_data(path.read_bytes(), "video/mp4")}" controls loop muted playsinline></video>'
        shown.append(f"<figure>{film}<figcaption>{plain(caption)}</figcaption></figure>")
    return '<div class="films">' + "".join(shown) + "</div>"


def _data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
