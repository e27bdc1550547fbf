"""``python -m gaaf_gp``."""

from gaaf_gp.cli import main

main()
