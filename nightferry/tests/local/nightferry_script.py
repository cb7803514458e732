"""The console script as a module, for tests that start it as a process of their interpreter."""

from nightferry.cli.app import main

if __name__ == "__main__":
    main()
