"""A small project on Nightferry: one job, one schedule, one workflow."""
