"""Multi-node parallel jobs: nodes that start and end together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from aws_cdk import aws_batch as batch
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from batch_stack.jobs.container import JobParts, ec2_container
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.nodes import NodesSettings


def multi_node_definition(
    scope: Construct,
    construct_id: str,
    *,
    settings: JobSettings,
    nodes: NodesSettings,
    parts: JobParts,
    common: Mapping[str, Any],
) -> batch.MultiNodeJobDefinition:
    """Creates a definition for all nodes, with overrides for groups of nodes that differ.

    A range inside another range overrides it, so the first range contains all nodes. It has no end, so that a
    submission may ask for another number of nodes.
    https://docs.aws.amazon.com/batch/latest/APIReference/API_NodeRangeProperty.html

    Args:
        scope: the parent construct.
        construct_id: the definition's id within it.
        settings: the settings that all nodes share.
        nodes: the number of nodes, the main one, and the groups that differ.
        parts: the parts that all containers share.
        common: the arguments that definitions of every kind take.
    """
    ranges = [("0:", ec2_container(scope, "Container", settings=settings, parts=parts))]
    for index, group in enumerate(nodes.groups):
        container = ec2_container(scope, f"Group{index}", settings=settings.for_group(group), parts=parts)
        ranges.append((group.nodes, container))
    definition = batch.MultiNodeJobDefinition(
        scope,
        construct_id,
        main_node=nodes.main,
        instance_type=ec2.InstanceType(nodes.instance_type) if nodes.instance_type is not None else None,
        # The L2 supports only ranges that do not overlap: the real ones, and the number of nodes, follow.
        containers=[
            batch.MultiNodeContainer(container=container, start_node=0, end_node=0) for _, container in ranges
        ],
        **common,
    )
    cfn = cast(batch.CfnJobDefinition, definition.node.default_child)
    cfn.add_property_override("NodeProperties.NumNodes", nodes.count)
    for index, (target, _) in enumerate(ranges):
        path = f"NodeProperties.NodeRangeProperties.{index}"
        cfn.add_property_override(f"{path}.TargetNodes", target)
        parts.volumes.complete(cfn, f"{path}.Container.Volumes")
        if parts.consumables:
            cfn.add_property_override(
                f"{path}.ConsumableResourceProperties", consumable_properties(parts.consumables)
            )
    return definition


def consumable_properties(quantities: Mapping[str, int]) -> dict[str, Any]:
    """Returns quantities as CloudFormation takes them in `ConsumableResourceProperties`.

    Args:
        quantities: the quantity that a job, or each node of a job, needs, by the resources' ARNs.
    """
    listed = [{"ConsumableResource": arn, "Quantity": quantity} for arn, quantity in quantities.items()]
    return {"ConsumableResourceList": listed}
