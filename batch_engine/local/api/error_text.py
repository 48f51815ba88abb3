"""The text of a refusal, as AWS Batch sends it.

Real accounts answer many of them as ``Error executing request, Exception : <text>, RequestId: <uuid>`` and
others bare. Only texts that were seen in the long shape get it here; the core knows the bare text alone.
"""

import re

_SEEN_LONG = (
    r"\w+ and MaxResults cannot both be set",
    r"Job name should match valid pattern",
    r"Maximum number of jobs supported is .*",
    r"RetryAttempts must be provided with retry strategy",
    r"Up to \d+ evaluateOnExit condition can be specified\.",
    r"EvaluateOnExit should contain at least one of .*",
    r"Evaluate on exit condition .*",
    r"vCPU is required\.",
    r"vCPU must be at least 1, got .*",
    r"Cannot provide duplicates in resourceRequirements\.",
    r"\w+ is not applicable for Fargate\.",
    r"\w+ (is )?not applicable for EC2\.",
    r"linuxParameter\.\w+ is not allowed for Fargate\.",
    r"host\.sourcePath should not be set for volumes in Fargate\.",
    r"Ephemeral storage for Fargate tasks .*",
    r"Log driver for Fargate is not valid: .*",
    r"EFS is supported for Fargate platform versions .*",
    r"User '.*' does not match regex",
    r"Number of nodes must be between .*",
    r"Maximum allowed size of node range properties is \d+",
    r"Main node index is out of range, must be less than numNodes\.",
    r"targetNodes should contain only digits\.",
    r"Must specify container for node range .*",
    r"Job Queue name should match a valid pattern\.",
    r"Fargate and EC2 compute environments can not be mixed\.",
    r"Duplicate ComputeEnvironment order values\.",
    r"Duplicate job state limit actions are not allowed\.",
    r"Invalid job action\. Valid job actions: .*",
    r"Quota Management feature is only supported for SageMaker Training job queues\.",
    r"SchedulingPolicy .* not found\.",
    r"Instance role is required\.",
    r"Resource minvCpus is required\.",
    r"Resource instanceTypes are required\.",
    r"maxvCpus should be greater than or equal to minvCpus\.",
    r"desiredvCpus should be between minvCpus and maxvCpus\.",
    r"ServiceRole is required\.",
    r"Service Linked Role cannot be used with UNMANAGED Compute Environment",
    r"Invalid imageType in ComputeResources\.ec2Configuration",
    r"Fargate supports a maximum of 16 subnets\.",
)
_LONG = re.compile("|".join(_SEEN_LONG), re.DOTALL)


def on_the_wire(text: str, request_id: str) -> str:
    """Returns the message of a refusal as AWS Batch sends it.

    Args:
        text: the core's message.
        request_id: the id of the request, as in the response's header.
    """
    if _LONG.fullmatch(text):
        return f"Error executing request, Exception : {text}, RequestId: {request_id}"
    return text
