"""Pages about schedules, triggers and what they started."""
