"""Write all diagrams."""

from tools.diagrams.all import main

main()
