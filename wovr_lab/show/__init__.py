"""What people see of a run: figures, tables, pictures, the report in HTML and in the terminal."""

from wovr_lab.runs import load_metrics
from wovr_lab.show.pictures import save_gif, save_picture, save_video, side_by_side, strip
from wovr_lab.show.reading import load_report
from wovr_lab.show.report import write_report
from wovr_lab.show.terminal import print_report

__all__ = [
    "load_metrics",
    "load_report",
    "print_report",
    "save_gif",
    "save_picture",
    "save_video",
    "side_by_side",
    "strip",
    "write_report",
]
