"""fineos-eligibility-feed-export."""
