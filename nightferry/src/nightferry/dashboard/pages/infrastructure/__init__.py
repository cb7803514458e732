"""The page of what an environment consists of: its checks, sizes, permissions, secrets, logs and alarms."""
