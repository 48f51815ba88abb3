from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote

import pytest
from batch_worker import s3 as worker_s3
from batch_worker.location import S3Place

pytestmark = pytest.mark.cloud

COPY = "(task.output_dir / 'copy.bin').write_bytes(task.input.read_bytes())"
AWKWARD_KEYS = [
    "media/holiday clip.mp4",
    "media/ünïcode 漢字 🎬.mp4",
    "media/a+b&c=d.mp4",
    "media/50%25 #1?.mp4",
    "-leading/-dash.mp4",
    "two//slashes.mp4",
]


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_key_is_taken_as_it_is(s3, worker, key):
    s3.put_object(Bucket="in-bucket", Key=key, Body=b"content")
    end = worker.write(COPY).on(f"s3://in-bucket/{key}", "s3://out-bucket/done/")
    assert end.exit_code == 0, end
    result = f"done/{key.rpartition('/')[2]}/"
    assert s3.get_object(Bucket="out-bucket", Key=result + "copy.bin")["Body"].read() == b"content"
    manifest = json.load(s3.get_object(Bucket="out-bucket", Key=result + "result.json")["Body"])
    assert manifest["input"]["uri"] == f"s3://in-bucket/{key}"
    assert manifest["outputs"][0]["uri"] == f"s3://out-bucket/{result}copy.bin"


def test_object_carries_type_and_ascii_metadata(s3, worker):
    worker.environment["AWS_BATCH_JOB_ID"] = "job-1"
    etag = s3.put_object(Bucket="in-bucket", Key="ü x.txt", Body=b"x")["ETag"].strip('"')
    worker.write(COPY + "; task.describe('copy.bin', content_type='text/x-own', duration_s=1.5, title='ß')")
    assert worker.on("s3://in-bucket/ü x.txt", "s3://out-bucket").exit_code == 0
    head = s3.head_object(Bucket="out-bucket", Key="ü x.txt/copy.bin")
    assert head["ContentType"] == "text/x-own"
    metadata = head["Metadata"]
    assert all(value.isascii() for value in metadata.values())
    assert {name: unquote(value) for name, value in metadata.items()} == {
        "job-id": "job-1",
        "worker": "test-worker/1.2.3",
        "source-uri": "s3://in-bucket/ü x.txt",
        "duration-s": "1.5",
        "title": "ß",
    }
    manifest = s3.get_object(Bucket="out-bucket", Key="ü x.txt/result.json")
    assert manifest["ContentType"] == "application/json"
    assert json.load(manifest["Body"])["input"]["etag"] == etag


def test_longest_key_still_runs(s3, worker):
    key = "漢" * 200 + ".txt"
    s3.put_object(Bucket="in-bucket", Key=key, Body=b"x")
    end = worker.write("(task.output_dir / 'n').write_text(task.input.suffix)").on(
        f"s3://in-bucket/{key}", "s3://out-bucket/"
    )
    assert end.exit_code == 0, end
    assert s3.get_object(Bucket="out-bucket", Key=f"{key}/n")["Body"].read() == b".txt"


def test_longest_possible_source_is_left_off_the_object(s3, worker):
    key = "漢" * 300 + "/in.txt"
    s3.put_object(Bucket="in-bucket", Key=key, Body=b"x")
    end = worker.write(COPY).on(f"s3://in-bucket/{key}", "s3://out-bucket/")
    assert end.exit_code == 0, end
    assert end.message("metadata does not fit")["left_out"] == ["source-uri"]
    manifest = json.load(s3.get_object(Bucket="out-bucket", Key="in.txt/result.json")["Body"])
    assert manifest["input"]["uri"] == f"s3://in-bucket/{key}"


def test_missing_object_is_66(s3, worker):
    end = worker.write(COPY).on("s3://in-bucket/none.txt", "s3://out-bucket/")
    assert (end.exit_code, end.lines[-1]["stage"], end.lines[-1]["retryable"]) == (66, "pull", False)
    assert "s3://in-bucket/none.txt" in end.lines[-1]["message"]


def test_missing_input_bucket_is_66(s3, worker):
    assert worker.write(COPY).on("s3://no-such-bucket/a", "s3://out-bucket/").exit_code == 66


def test_missing_output_bucket_is_73(s3, worker):
    s3.put_object(Bucket="in-bucket", Key="a", Body=b"x")
    assert worker.write(COPY).on("s3://in-bucket/a", "s3://no-such-bucket/").exit_code == 73


def test_localhost_is_addressed_by_path(s3, worker):
    s3.put_object(Bucket="in-bucket", Key="a", Body=b"x")
    worker.environment["AWS_ENDPOINT_URL"] = worker.environment["AWS_ENDPOINT_URL"].replace(
        "127.0.0.1", "localhost"
    )
    end = worker.write(COPY).on("s3://in-bucket/a", "s3://out-bucket/")
    assert end.exit_code == 0, end


def test_sigterm_leaves_nothing_in_the_bucket(s3, worker, stop_at):
    s3.put_object(Bucket="in-bucket", Key="a", Body=b"x")
    worker.write(COPY + "; task.log.info('working'); time.sleep(120)")
    end = stop_at("working", "--input", "s3://in-bucket/a", "--output", "s3://out-bucket/")
    assert end.exit_code == 75
    assert s3.list_objects_v2(Bucket="out-bucket")["KeyCount"] == 0
    assert list(worker.scratch.iterdir()) == []


def test_large_file_goes_in_parts(s3, tmp_path: Path):
    content = bytes(range(256)) * 1024 * 24
    (tmp_path / "large").write_bytes(content)
    place = S3Place("out-bucket", "large")
    worker_s3.push(
        worker_s3.make_client(),
        place,
        tmp_path / "large",
        content_type="text/x-own",
        metadata={"a": "b"},
        part_bytes=5 * 1024 * 1024,
    )
    answer = s3.get_object(Bucket="out-bucket", Key="large")
    assert answer["Body"].read() == content
    assert (answer["ContentType"], answer["Metadata"]) == ("text/x-own", {"a": "b"})
    assert answer["ETag"].strip('"').endswith("-2")
