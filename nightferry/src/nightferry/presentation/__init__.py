"""How runs, failures, inputs and durations are described to people. The command line and the dashboard share it."""
