"""Lambda functions, each a single file that is deployed unchanged and uses only boto3 and the standard library."""
