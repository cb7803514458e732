"""What ``nightferry verify`` checks: the declared resources, the findings, and the permissions that it requires."""
