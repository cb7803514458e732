"""Data of Amazon States Language: payloads, paths, intrinsic functions and JSONata."""
