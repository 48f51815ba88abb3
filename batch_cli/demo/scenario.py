"""Uploads the files, waits for their jobs and collects logs, messages and results."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batch_cli.demo.errors import DemoError
from batch_cli.demo.platform import Platform, tail, wait_until
from batch_cli.demo.samples import Sample

JOB_TIMEOUT_S = 120.0
MESSAGE_TIMEOUT_S = 30.0
STATUSES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
INBOX = "demo-inbox"


@dataclass(slots=True)
class Result:
    """The outcome for one file.

    Args:
        sample: the file.
        job: its job, as DescribeJobs returns it.
        log_lines: the output of all attempts, in order.
        objects: the keys of its results in the output bucket.
    """

    sample: Sample
    job: dict[str, Any]
    log_lines: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Scenario:
    """The steps of the demo after the deployment.

    Args:
        platform: the deployed platform.
    """

    platform: Platform
    _inbox_url: str = ""

    def open_inbox(self) -> None:
        """Subscribes a queue to the notification topic, as an on-call tool does."""
        sqs, sns = self.platform.client("sqs"), self.platform.client("sns")
        self._inbox_url = sqs.create_queue(QueueName=INBOX)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=self._inbox_url, AttributeNames=["QueueArn"])
        arn = attributes["Attributes"]["QueueArn"]
        topic = self.platform.outputs["NotificationTopicArn"]
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
                }
            ],
        }
        sqs.set_queue_attributes(QueueUrl=self._inbox_url, Attributes={"Policy": json.dumps(policy)})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def upload(self, samples: list[Sample]) -> None:
        """Uploads the files to the input bucket."""
        s3 = self.platform.client("s3")
        for sample in samples:
            s3.put_object(Bucket=self.platform.outputs["InputBucketName"], Key=sample.key, Body=sample.body)

    def follow(self, samples: list[Sample], show: Callable[[str], None]) -> list[Result]:
        """Waits until the job of every file has ended.

        Args:
            samples: the files.
            show: called with the current state of the jobs at every poll.

        Raises:
            DemoError: a job was not submitted, did not end in time, or ended with an unexpected result.
        """
        bucket = self.platform.outputs["InputBucketName"]
        inputs = {f"s3://{bucket}/{sample.key}": sample for sample in samples}

        def finished() -> dict[str, dict[str, Any]] | None:
            jobs = {job["parameters"].get("input"): job for job in self._jobs()}
            words = [f"{sample.says}: {_state(jobs.get(uri))}" for uri, sample in inputs.items()]
            show(", ".join(words))
            ended = all(_state(jobs.get(uri)) in ("SUCCEEDED", "FAILED") for uri in inputs)
            return jobs if ended else None

        jobs = wait_until(finished, JOB_TIMEOUT_S)
        if jobs is None:
            states = {job["jobName"]: (job["status"], job.get("statusReason")) for job in self._jobs()}
            raise DemoError(
                f"the jobs did not all end in {JOB_TIMEOUT_S:g} s: {states or 'none was submitted'}\n"
                f"{tail(self.platform.server_log)}"
            )
        results = [Result(sample, jobs[uri]) for uri, sample in inputs.items()]
        for result in results:
            result.log_lines = self.log_lines(result.job)
            _check(result)
        return results

    def _jobs(self) -> list[dict[str, Any]]:
        batch = self.platform.client("batch")
        queue = self.platform.outputs["StandardQueueArn"]
        ids = [
            summary["jobId"]
            for status in STATUSES
            for summary in batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"]
        ]
        return list(batch.describe_jobs(jobs=sorted(set(ids)))["jobs"]) if ids else []

    def log_lines(self, job: dict[str, Any]) -> list[str]:
        """Returns the output of a job's attempts from CloudWatch Logs."""
        options = job["container"]["logConfiguration"]["options"]
        logs = self.platform.client("logs")
        lines: list[str] = []
        for attempt in job["attempts"]:
            stream = attempt["container"].get("logStreamName")
            if stream is None:
                continue
            events = logs.get_log_events(
                logGroupName=options["awslogs-group"], logStreamName=stream, startFromHead=True
            )
            lines.extend(event["message"] for event in events["events"])
        return lines

    def failure_messages(self, expected: int) -> list[str]:
        """Returns the messages that the subscriber of the notification topic received.

        Raises:
            DemoError: not all messages arrived in time.
        """
        sqs = self.platform.client("sqs")
        texts: list[str] = []

        def arrived() -> bool:
            batch = sqs.receive_message(QueueUrl=self._inbox_url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in batch.get("Messages", []):
                texts.append(str(json.loads(message["Body"])["Message"]))
                sqs.delete_message(QueueUrl=self._inbox_url, ReceiptHandle=message["ReceiptHandle"])
            return len(texts) >= expected

        if not wait_until(arrived, MESSAGE_TIMEOUT_S):
            raise DemoError(
                f"{len(texts)} of {expected} failure messages arrived in {MESSAGE_TIMEOUT_S:g} s\n"
                f"{tail(self.platform.server_log)}"
            )
        return texts

    def download(self, results: list[Result], folder: Path) -> None:
        """Downloads all objects of the output bucket.

        Raises:
            DemoError: a job that succeeded wrote no objects.
        """
        s3, bucket = self.platform.client("s3"), self.platform.outputs["OutputBucketName"]
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for key in [item["Key"] for page in pages for item in page.get("Contents", [])]:
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, key, str(path))
            for result in results:
                if key.startswith(f"{result.sample.key}/"):
                    result.objects.append(key)
        for result in results:
            if bool(result.objects) != (result.sample.status == "SUCCEEDED"):
                raise DemoError(
                    f"{result.sample.key} left {result.objects or 'nothing'} in the output bucket"
                )


def _state(job: dict[str, Any] | None) -> str:
    return "not yet submitted" if job is None else str(job["status"])


def _check(result: Result) -> None:
    sample, job = result.sample, result.job
    got = (job["status"], len(job["attempts"]))
    if got != (sample.status, sample.attempts):
        lines = "\n".join(f"  {line}" for line in result.log_lines[-10:])
        raise DemoError(
            f"{sample.key} must end {sample.status} after {sample.attempts} attempt(s), "
            f"but its job {job['jobId']} ended {got[0]} after {got[1]}: {job.get('statusReason')}\n{lines}"
        )
