"""`python -m thinkrec_cli` is `thinkrec`."""

from thinkrec_cli.app import main

main()
