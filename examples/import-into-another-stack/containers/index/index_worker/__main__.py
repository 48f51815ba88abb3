"""Writes the size and the SHA-256 of a film for the catalogue."""

import argparse
import hashlib
import json
import os
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

EX_NOINPUT = 66
EX_TEMPFAIL = 75
"""The exit code that the platform's retry rules retry."""


def main() -> int:
    """Indexes a film and returns the exit code."""
    parser = argparse.ArgumentParser(prog="index")
    parser.add_argument("--film", required=True, help="a key below films/ of the bucket $FILMS_BUCKET")
    parser.add_argument("--output", required=True, help="the key of the index in the bucket $OUTPUT_BUCKET")
    given = parser.parse_args()
    s3 = boto3.client("s3")
    try:
        film = s3.get_object(Bucket=os.environ["FILMS_BUCKET"], Key=f"films/{given.film}")
        digest = hashlib.sha256()
        for chunk in film["Body"].iter_chunks(1024 * 1024):
            digest.update(chunk)
        index = {"film": given.film, "size_bytes": film["ContentLength"], "sha256": digest.hexdigest()}
        s3.put_object(Bucket=os.environ["OUTPUT_BUCKET"], Key=given.output, Body=json.dumps(index).encode())
    except s3.exceptions.NoSuchKey:
        sys.stderr.write(f"no such film: {given.film}\n")
        return EX_NOINPUT
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"not this time: {error}\n")
        return EX_TEMPFAIL
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
