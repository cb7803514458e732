"""What the tasks and workflows of an environment cost on AWS: prices, usage and the estimate of a month."""
