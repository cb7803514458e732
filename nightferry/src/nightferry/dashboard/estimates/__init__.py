"""What pages expect from the past, kept for some minutes for all threads, because each needs many queries."""
