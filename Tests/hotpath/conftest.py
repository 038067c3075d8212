"""The hot path is measured on release builds; what starts processes is the client tests' own."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))
