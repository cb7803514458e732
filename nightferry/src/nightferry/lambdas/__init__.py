"""Functions that are deployed as they are: one file each, nothing but boto3 and the standard library."""
