"""The commands of ``gaaf-gp``, one module each; :mod:`gaaf_gp.cli` names them."""

INTERRUPTED = 130
"""Exit status after Ctrl-C."""
