"""What starts tasks by itself: schedules and new objects."""
