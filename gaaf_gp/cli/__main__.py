"""``python -m gaaf_gp.cli``."""

from gaaf_gp.cli import main

main()
