"""`thinkrec`, also as `python -m thinkrec_cli`: signals are taken, and a pipe marked, before the slow imports."""

import os
import signal


def main() -> None:
    """Import the program and run it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # Nothing has begun yet, so there is nothing to unwind.
        signal.signal(number, lambda got, frame: os._exit(128 + got))
    from thinkrec_cli.pipes import AT_WORK, mark_output

    mark_output(AT_WORK)
    from thinkrec_cli.app import main as run

    run()


if __name__ == "__main__":
    main()
