"""How many random workloads are run, and how a failure is repeated."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

MANY = (pytest.mark.long, pytest.mark.timeout(1200))
"""For the full number: `make test` runs them, `make check` the small numbers beside them."""

STEPS = 40


def random_settings(workloads: int) -> settings:
    """So many workloads, however long one takes; a failure says how it is repeated."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=workloads,
        stateful_step_count=STEPS,
        deadline=None,
        print_blob=True,
        suppress_health_check=slow,
    )


def run_random(machine: type[RuleBasedStateMachine], workloads: int) -> None:
    """Run so many workloads; the one that fails is printed as the calls that it made, as few as were found.

    To repeat a failure, decorate the machine as the message says.
    """
    run_state_machine_as_test(machine, settings=random_settings(workloads))
