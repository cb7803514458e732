"""Write all files of a folder to S3 with the client of the jobs, and nothing else: ``FOLDER BUCKET PREFIX THREADS``.

The files are in memory before the first one is written. The threads share the client and its pool of connections.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nightferry.credentials import aws_session, client_config


def main(folder: str, bucket: str, prefix: str, threads: str) -> None:
    """Write the files; the key of an object is the prefix and the path of its file below the folder."""
    files = {f"{prefix}/{file.relative_to(folder)}": file.read_bytes() for file in Path(folder).rglob("*.csv")}
    client = aws_session().client("s3", config=client_config())
    with ThreadPoolExecutor(int(threads)) as pool:
        for _ in pool.map(lambda key: client.put_object(Bucket=bucket, Key=key, Body=files[key]), sorted(files)):
            pass


if __name__ == "__main__":
    main(*sys.argv[1:])
