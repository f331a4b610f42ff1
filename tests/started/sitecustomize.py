"""Processes that tests start with this folder in PYTHONPATH read models of the tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

import tiny_sound

tiny_sound.register()
