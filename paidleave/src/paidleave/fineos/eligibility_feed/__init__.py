"""The job fineos-eligibility-feed-export."""
