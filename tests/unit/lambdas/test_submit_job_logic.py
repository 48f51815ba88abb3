"""From an event to a SubmitJob request."""

import json
import re
from types import ModuleType
from typing import Any

import pytest

# What AWS Batch accepts as a job name.
JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def _event(key: str, **item: Any) -> dict[str, Any]:
    return {
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {"bucket": {"name": "in"}, "object": {"key": key, "size": 9, "version-id": "v1", **item}},
    }


def _request(logic: ModuleType, key: str, **item: Any) -> dict[str, Any]:
    return _request_to(logic, key, item)


def _request_to(
    logic: ModuleType, key: str, item: dict[str, Any] | None = None, **target: Any
) -> dict[str, Any]:
    described = {"job_queue": "q", "job_definition": "d", "output_bucket": "out", **target}
    return logic.submit_job_request(
        logic.created_object(_event(key, **(item or {}))), logic.Target(**described)
    )


@pytest.mark.parametrize(
    ("key", "output"),
    [
        ("media/cat.mp4", "s3://out/media/"),
        ("cat.mp4", "s3://out/"),
        ("media/a b/c d.png", "s3://out/media/a b/"),
        ("media/a+b%20c.png", "s3://out/media/"),
        ("media/日本 ü/ネコ.mp4", "s3://out/media/日本 ü/"),
        ("-rf/--force", "s3://out/-rf/"),
        ("/leading", "s3://out/"),
        ("media//twice.png", "s3://out/media//"),
        ("k" * 1024, "s3://out/"),
        ("media/" + "ü" * 509, "s3://out/media/"),
    ],
)
def test_keys_are_passed_on_raw_and_the_output_keeps_the_folder(
    logic: ModuleType, key: str, output: str
) -> None:
    request = _request(logic, key)

    assert request["parameters"] == {"input": f"s3://in/{key}", "output": output}
    assert (request["jobQueue"], request["jobDefinition"]) == ("q", "d")
    assert JOB_NAME.fullmatch(request["jobName"])


def test_the_job_name_shows_the_key(logic: ModuleType) -> None:
    assert _request(logic, "media/My cat+1.mp4")["jobName"].startswith("media-My-cat-1-mp4-")
    # The end of a long key is what tells it from its neighbours.
    assert "the-end-mp4" in _request(logic, "x" * 1000 + "/the-end.mp4")["jobName"]


def test_a_request_says_no_more_than_it_was_told_to(logic: ModuleType) -> None:
    assert sorted(_request(logic, "a.png")) == ["jobDefinition", "jobName", "jobQueue", "parameters"]


def test_share_array_size_and_parameters_are_passed_on(logic: ModuleType) -> None:
    request = _request_to(
        logic,
        "in/a.png",
        share_identifier="video",
        array_size=12,
        parameters={"quality": "high", "input": "never"},
        output_prefix="thumbnails/",
        retry_strategy={"attempts": 4},
    )

    assert request["retryStrategy"] == {"attempts": 4}
    assert request["shareIdentifier"] == "video"
    assert request["arrayProperties"] == {"size": 12}
    assert request["parameters"] == {
        "quality": "high",
        "input": "s3://in/in/a.png",
        "output": "s3://out/thumbnails/in/",
    }


def test_a_prefix_of_the_output_stands_alone_for_a_key_without_a_folder(logic: ModuleType) -> None:
    request = _request_to(logic, "a.png", output_prefix="thumbnails/")
    assert request["parameters"]["output"] == "s3://out/thumbnails/"


@pytest.mark.parametrize(
    ("key", "beginning"),
    [
        ("Zürich/Café.mp4", "Zurich-Cafe-mp4-"),
        ("Zu\u0308rich.mp4", "Zurich-mp4-"),
        ("日本/ネコ.mp4", "mp4-"),
        ("x²/ﬁn", "x2-fin-"),
    ],
)
def test_a_job_name_keeps_what_letters_it_can(logic: ModuleType, key: str, beginning: str) -> None:
    name = _request(logic, key)["jobName"]
    assert name.startswith(beginning)
    assert JOB_NAME.fullmatch(name)


@pytest.mark.parametrize("key", ["ネコ", "-", "___", "...", "é"])
def test_a_key_without_one_usable_character_still_has_a_name(logic: ModuleType, key: str) -> None:
    assert JOB_NAME.fullmatch(_request(logic, key)["jobName"])


def test_the_job_name_is_stable_for_one_version_and_differs_between_versions(logic: ModuleType) -> None:
    name = _request(logic, "a.png")["jobName"]

    assert _request(logic, "a.png")["jobName"] == name
    assert _request(logic, "a.png", **{"version-id": "v2"})["jobName"] != name
    assert _request(logic, "a+png")["jobName"] != name
    assert _request(logic, "a png")["jobName"] != _request(logic, "a+png")["jobName"]


def test_without_versioning_the_sequencer_tells_uploads_apart(logic: ModuleType) -> None:
    first, second = (
        _request(logic, "a.png", sequencer=sequencer, **{"version-id": None})["jobName"]
        for sequencer in ("0055", "0056")
    )
    assert first != second


@pytest.mark.parametrize(("key", "marker"), [("media/", True), ("/", True), ("media/a", False), ("a", False)])
def test_folder_markers_are_told_apart(logic: ModuleType, key: str, marker: bool) -> None:
    assert logic.created_object(_event(key)).is_folder_marker is marker


def test_a_record_of_the_queue_carries_the_event_as_json(logic: ModuleType) -> None:
    event = _event("media/ü +.png")
    assert logic.event_in({"messageId": "m", "body": json.dumps(event)}) == event


@pytest.mark.parametrize("body", ["", "no json", "[]", "null", '"text"'])
def test_a_record_without_an_event_is_refused(logic: ModuleType, body: str) -> None:
    with pytest.raises(ValueError, match=r"JSON object|Expecting value"):
        logic.event_in({"messageId": "m", "body": body})


def test_the_response_names_what_failed(logic: ModuleType) -> None:
    assert logic.batch_response([]) == {"batchItemFailures": []}
    assert logic.batch_response(["a", "b"]) == {
        "batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "b"}]
    }


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"detail-type": "Object Deleted"}, "detail-type must be 'Object Created', got 'Object Deleted'"),
        ({}, "detail-type must be 'Object Created', got None"),
        ({"detail-type": "Object Created"}, "has no detail.bucket.name or detail.object.key: KeyError"),
        ({"detail-type": "Object Created", "detail": None}, "has no detail.bucket.name or detail.object.key"),
        (
            {"detail-type": "Object Created", "detail": {"bucket": {"name": "b"}, "object": {}}},
            "has no detail.bucket.name or detail.object.key: KeyError",
        ),
    ],
)
def test_an_event_of_another_kind_is_refused(logic: ModuleType, event: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        logic.created_object(event)
