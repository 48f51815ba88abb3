// A client that nobody here wrote: the AWS SDK for JavaScript, pointed at AWS_ENDPOINT_URL by the environment.
import {
  BatchClient,
  DescribeJobsCommand,
  SubmitJobCommand,
  TerminateJobCommand,
  paginateListJobs,
} from "@aws-sdk/client-batch";

const [queue] = process.argv.slice(2);
const client = new BatchClient({ maxAttempts: 1 });

const submitted = await client.send(
  new SubmitJobCommand({
    jobName: "from-javascript",
    jobQueue: queue,
    jobDefinition: queue,
    containerOverrides: { command: ["sleep", "600"], environment: [{ name: "A", value: "ü" }] },
    tags: { language: "javascript" },
  }),
);
const { jobId } = submitted;

async function job() {
  const { jobs } = await client.send(new DescribeJobsCommand({ jobs: [jobId] }));
  return jobs[0];
}

async function reached(...statuses) {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const now = await job();
    if (statuses.includes(now.status)) return now;
    if (Date.now() > deadline) throw new Error(`job ${jobId} is still ${now.status}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const running = await reached("RUNNING");
const listed = [];
for await (const page of paginateListJobs({ client, pageSize: 1 }, { jobQueue: queue, jobStatus: "RUNNING" })) {
  listed.push(...page.jobSummaryList.map((summary) => summary.jobId));
}
await client.send(new TerminateJobCommand({ jobId, reason: "said by JavaScript" }));
const ended = await reached("SUCCEEDED", "FAILED");
await client.send(new TerminateJobCommand({ jobId, reason: "again" }));

let refused;
try {
  await client.send(new SubmitJobCommand({ jobName: "x", jobQueue: "no-such-queue", jobDefinition: queue }));
} catch (error) {
  refused = { name: error.name, status: error.$metadata.httpStatusCode, fault: error.$fault };
}
console.log(JSON.stringify({ submitted, running, listed, ended, refused }));
