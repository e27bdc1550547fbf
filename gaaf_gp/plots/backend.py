"""Imports matplotlib ahead of all other modules here, whatever the environment says about a back end.

Figures are drawn without one. matplotlib itself cannot be imported where ``MPLBACKEND`` names none that it knows, so it
is imported without, and given the user's choice afterwards, as its own import does.
"""

import os
import sys
from contextlib import suppress

if "matplotlib" not in sys.modules and (chosen := os.environ.pop("MPLBACKEND", "")):
    try:
        import matplotlib
    finally:
        os.environ["MPLBACKEND"] = chosen
    with suppress(ValueError):  # it is none: what needs one, such as pyplot, says so
        matplotlib.rcParams["backend"] = chosen
