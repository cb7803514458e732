"""Tasks on ECS: requests, runs, outcomes."""
