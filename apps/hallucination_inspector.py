"""Opens the inspector on a run folder: `python apps/hallucination_inspector.py runs/demo`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wovr_lab.errors import UserError
from wovr_lab.inspector.app import launch


def main() -> int:
    """Exit code 2 if the folder holds no models."""
    parser = argparse.ArgumentParser(description="Steer the imagined and the real world side by side.")
    parser.add_argument("run", type=Path, nargs="?", help="run folder (runs/demo, else data/demo)")
    parser.add_argument("--port", type=int, help="port on 127.0.0.1 (the first free one from 7860)")
    arguments = parser.parse_args()
    try:
        launch(arguments.run, arguments.port)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
