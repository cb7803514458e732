"""``python -m paidleave.fineos.simulator``."""

from paidleave.fineos.simulator.server import main

if __name__ == "__main__":
    main()
