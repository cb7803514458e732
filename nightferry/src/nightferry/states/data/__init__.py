"""Data of the Amazon States Language: payloads, paths, intrinsic functions, JSONata."""
