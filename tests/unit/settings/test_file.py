"""Settings errors: one message that names the file, the field, the value and what is allowed."""

from pathlib import Path
from typing import Any

import pytest

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import load_settings, parse_settings
from batch_stack.settings.root import Settings

ROOT = Path(__file__).resolve().parents[3]


def _problem(content: Any) -> str:
    with pytest.raises(SettingsError) as raised:
        parse_settings(content, source="batch.yaml")
    message = str(raised.value)
    assert message.startswith("batch.yaml: ")
    return message.removeprefix("batch.yaml: ")


JOB: dict[str, Any] = {"folder": "media"}
TIER: dict[str, Any] = {"priority": 7, "compute": ["spot"]}
TYPES = "existing, fargate, fargate_spot, managed_instances, on_demand, spot, unmanaged"
SECTIONS = (
    "acknowledge, compute, consumable_resources, jobs, log_retention_days, messaging, name, network, "
    "notifications, results, retired, schedules, storage, submitters, tiers, triggers"
)


def _spot(**settings: Any) -> dict[str, Any]:
    return {"compute": {"spot": {"type": "spot", **settings}}, "tiers": {"bulk": TIER}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"tiers": {"critical": {**TIER, "priority": 5000}}},
            "tiers.critical.priority must be a whole number between 0 and 1000, got 5000",
        ),
        (
            {"tiers": {"bulk": {**TIER, "priority": "high"}}},
            "tiers.bulk.priority must be a whole number between 0 and 1000, got 'high'",
        ),
        (
            {"tiers": {"bulk": {**TIER, "priority": True}}},
            "tiers.bulk.priority must be a whole number between 0 and 1000, got True",
        ),
        (
            {"tiers": {"standard": {**TIER, "time_limits": {"job_resource_requirement_s": 60}}}},
            "tiers.standard.time_limits.job_resource_requirement_s must be a whole number between 600 and "
            "86400, got 60",
        ),
        (
            {"tiers": {"standard": {**TIER, "retry": {"attempts": 11}}}},
            "tiers.standard.retry.attempts must be a whole number between 1 and 10, got 11",
        ),
        (
            {"tiers": {"a": TIER, "b": TIER}},
            "tiers.b.priority must differ from tiers.a.priority, because both use compute.spot, got 7 "
            "for both",
        ),
        (
            {"tiers": {"a": {**TIER, "compute": ["spot", "on_demnd"]}}},
            "tiers.a.compute[1] must be one of spot, on_demand, fargate, got 'on_demnd' "
            "(did you mean on_demand?)",
        ),
        (
            {"tiers": {"a": {**TIER, "compute": ["spot", "spot"]}}},
            "tiers.a.compute[1] must differ from those before it, got 'spot' again",
        ),
        (
            {"tiers": {"a": {**TIER, "compute": ["spot", "fargate"]}}},
            "tiers.a.compute[1] must have the platform ec2 like spot, got 'fargate', which has fargate: "
            "a queue "
            "takes one platform only",
        ),
        (
            {"tiers": {"a": {**TIER, "compute": ["spot", "on_demand", "fargate", "x"]}}},
            "tiers.a.compute must have at most 3 entries, got 4",
        ),
        ({"tiers": {"a": {**TIER, "compute": []}}}, "tiers.a.compute must have at least one entry, got []"),
        ({"tiers": {}}, "tiers must have at least one entry, got {}"),
        ({"compute": {"x": {"type": "spt"}}}, f"compute.x.type must be one of {TYPES}, got 'spt'"),
        ({"compute": {"x": {"max_vcpus": 4}}}, f"compute.x.type is required: one of {TYPES}"),
        (
            {"compute": {"x": 4}},
            f"compute.x must be a mapping with the field type (one of {TYPES}), got 4",
        ),
        (
            {"network": {"mode": "private_with_nat", "nat_gateways": 0}},
            "network.nat_gateways must be a whole number between 1 and 5, got 0",
        ),
        ({"zzz": 1}, f"zzz is not a setting; allowed here: {SECTIONS}"),
        (
            {"storage": {"on_delete": "keep"}},
            "storage.on_delete must be one of retain, destroy, got 'keep'",
        ),
        ({"storage": {"versioning": "yes"}}, "storage.versioning must be true or false, got 'yes'"),
        (
            {"storage": {"input_expiry_days": 0}},
            "storage.input_expiry_days must be a whole number between 1 and 3650, got 0",
        ),
        (_spot(instance_types=[]),
         "compute.spot.instance_types must have at least one entry, got []"),
        (_spot(instance_types="m5"),
         "compute.spot.instance_types must be a list, got 'm5': write [m5]"),
        (_spot(instance_types="m5, c5,r5"),
         "compute.spot.instance_types must be a list, got 'm5, c5,r5': write [m5, c5, r5]"),
        (_spot(instance_types=5), "compute.spot.instance_types must be a list, got 5: write [5]"),
        (_spot(instance_types={"m5": 1}), "compute.spot.instance_types must be a list, got {'m5': 1}"),
        ({"tiers": {"t": {"priority": 1, "compute": "on_demand"}}},
         "tiers.t.compute must be a list, got 'on_demand': write [on_demand]"),
        ({"jobs": {"j": {"image": "i", "command": "run --in Ref::input 3"}}},
         "jobs.j.command must be a list, got 'run --in Ref::input 3': write [run, --in, 'Ref::input', '3']"),
        ({"jobs": {"j": {"image": "i", "command": "sh -c 'a b'"}}},
         "jobs.j.command must be a list, got \"sh -c 'a b'\": write [sh, -c, a b]"),
        ({"jobs": {"j": {"image": "i", "command": "it's"}}},
         'jobs.j.command must be a list, got "it\'s": write [it\'s]'),
        (
            _spot(instance_types=["m5", "Big One"]),
            "compute.spot.instance_types[1] must be an instance family (m6i), an instance type (m6i.large), "
            "default_x86_64 or default_arm64, got 'Big One'",
        ),
        (
            _spot(instance_types=["m5", "m7gd.large"]),
            "compute.spot.instance_types[1] must be x86_64 like m5, got 'm7gd.large', which is arm64: one "
            "architecture is allowed here",
        ),
        (
            {
                "compute": {"a": {"type": "spot"}, "b": {"type": "on_demand", "instance_types": ["c7g"]}},
                "tiers": {"both": {"priority": 1, "compute": ["a", "b"]}},
            },
            "tiers.both.compute[1] must have the architecture x86_64 like a, got 'b', which has arm64: "
            "a queue "
            "takes one architecture only",
        ),
        (
            _spot(ebs_gib=8),
            "compute.spot.ebs_gib must be a whole number between 30 and 16384, got 8",
        ),
        ({"jobs": {"media": {}}}, "jobs.media.folder, image or ecr_repository must be given, one of the "
         "three, got none"),
        ({"jobs": {"media": {"folder": "../x"}}},
         "jobs.media.folder must be the name of a folder of containers/, got '../x'"),
        ({"jobs": {"media": {**JOB, "timeout_s": 59}}},
         "jobs.media.timeout_s must be a whole number between 60 and 2147483647, got 59"),
        ({"jobs": {"media": {**JOB, "vcpu": 0.5}}},
         "jobs.media.vcpu must be a whole number of at least 1 on ec2, got 0.5"),
        ({"jobs": {"media": {**JOB, "platform": "fargate", "vcpu": 3}}},
         "jobs.media.vcpu must be one of 0.25, 0.5, 1, 2, 4, 8, 16, 32 on fargate, got 3"),
        (
            {"jobs": {"media": {**JOB, "platform": "fargate", "vcpu": 2, "memory_mib": 2048}}},
            "jobs.media.memory_mib must be between 4096 and 16384 in steps of 1024 on fargate with vcpu 2, "
            "got 2048",
        ),
        (
            {"jobs": {"media": {**JOB, "platform": "fargate", "vcpu": 0.25, "memory_mib": 4096}}},
            "jobs.media.memory_mib must be one of 512, 1024, 2048 on fargate with vcpu 0.25, got 4096",
        ),
        ({"jobs": {"media": {**JOB, "platform": "eks"}}},
         "jobs.media.platform must be one of ec2, fargate, managed_instances, got 'eks'"),
        ({"jobs": {"media": {**JOB, "command": ["--input", ""]}}},
         "jobs.media.command[1] must be text of at least one character, got ''"),
        ({"jobs": {"media": {**JOB, "environment": {"AWS_BATCH_X": "1"}}}},
         "jobs.media.environment must not set 'AWS_BATCH_X': the prefix AWS_BATCH is reserved"),
        ({"jobs": {"media": {**JOB, "environment": {"LEVEL": 1}}}},
         "jobs.media.environment.LEVEL must be text of at most 32768 characters, got 1: quote it"),
        ({"jobs": {"My Job": JOB}},
         "jobs must have names of lower-case letters, digits and single hyphens or underscores, "
         "beginning with a "
         "letter, at most 40 characters, got 'My Job'"),
        ({"jobs": {"a-1": JOB, "b": JOB, "a1": JOB}},
         "jobs must have names that differ in more than hyphens and underscores, got 'a-1' and 'a1': both "
         "become A1"),
        ({"jobs": {"media": JOB}, "triggers": {"x2-y": {"job": "media"}, "x-2-y": {"job": "media"}}},
         "triggers must have names that differ in more than hyphens and underscores, got 'x2-y' and 'x-2-y': "
         "both become X2Y"),
        (
            {"jobs": {"big": {**JOB, "vcpu": 96}}, "triggers": {"t": {"job": "big", "tier": "critical"}}},
            "jobs.big.vcpu must be at most 64, the highest of compute.on_demand.max_vcpus, which "
            "triggers.t.tier leads to, got 96",
        ),
        (
            {"jobs": {"big": {**JOB, "vcpu": 129}}, "triggers": {"t": {"job": "big"}}},
            "jobs.big.vcpu must be at most 128, the highest of compute.on_demand.max_vcpus, "
            "compute.spot.max_vcpus, which triggers.t.tier leads to, got 129",
        ),
        (
            {"jobs": {"big": {**JOB, "vcpu": 129}}},
            "jobs.big.vcpu must be at most 128, the highest of compute.on_demand.max_vcpus, "
            "compute.spot.max_vcpus, got 129",
        ),
        (
            {
                "compute": {"fargate": {"type": "fargate", "max_vcpus": 1}},
                "tiers": {"fargate": {"priority": 1, "compute": ["fargate"]}},
                "jobs": {"f": {**JOB, "platform": "fargate", "vcpu": 2, "memory_mib": 4096}},
            },
            "jobs.f.vcpu must be at most 1, the highest of compute.fargate.max_vcpus, got 2",
        ),
        ({"triggers": {"media": {"job": "media"}}},
         "triggers.media.job must be one of the jobs (none defined), got 'media'"),
        ({"jobs": {"media": JOB}, "triggers": {"t": {"job": "media", "tier": "fargate"}}},
         "triggers.t.tier must be one of critical, standard, bulk, because jobs.media.platform is ec2, got "
         "'fargate'"),
        ({"jobs": {"media": {**JOB, "platform": "fargate"}}, "triggers": {"t": {"job": "media"}}},
         "triggers.t.tier must be one of fargate, because jobs.media.platform is fargate, got 'standard'"),
        ({"notifications": {"emails": ["nobody"]}},
         "notifications.emails[0] must be an e-mail address, got 'nobody'"),
        ({"notifications": None},
         "notifications must be a mapping with the fields emails, topic_arn, got None"),
        ({"name": "2nd"}, "name must be a stack name: a letter, then letters, digits or hyphens, at most 128 "
         "characters, got '2nd'"),
        (["jobs"], "must be a mapping with the fields name, network, compute, consumable_resources, "
         "tiers, jobs, "
         "triggers, schedules, submitters, storage, results, messaging, notifications, log_retention_days, "
         "retired, acknowledge, got ['jobs']"),
    ],
)  # fmt: skip
def test_the_message_says_where_what_was_given_and_what_is_allowed(content: Any, message: str) -> None:
    assert _problem(content) == message


def test_all_that_is_wrong_is_in_one_message() -> None:
    message = _problem({"tiers": {"bulk": {**TIER, "priority": -1}}, "jbos": {}})

    assert message.splitlines() == [
        "2 settings are wrong",
        "  tiers.bulk.priority must be a whole number between 0 and 1000, got -1",
        f"  jbos is not a setting (did you mean jobs?); allowed here: {SECTIONS}",
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    with pytest.raises(SettingsError) as raised:
        load_settings(path)
    assert str(raised.value) == f"{path}: cannot be read: No such file or directory"


def test_a_path_may_be_text(tmp_path: Path) -> None:
    path = tmp_path / "batch.yaml"
    path.write_text("name: mine\n")
    assert load_settings(str(path)) == load_settings(path)


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "batch.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(SettingsError, match=r"batch\.yaml: cannot be read: not UTF-8 text"):
        load_settings(path)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("name: [", 1, "not valid YAML"),
        ("name: a\nname: b\n", 2, "the field 'name' is given twice"),
        ("jobs:\n  media: {folder: a}\n  media: {folder: b}\n", 3, "the field 'media' is given twice"),
    ],
)
def test_faulty_yaml_is_located(tmp_path: Path, text: str, line: int, problem: str) -> None:
    path = tmp_path / "batch.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        load_settings(path)
    assert problem in str(raised.value)
    assert f'in "{path}", line {line}' in str(raised.value)
    assert str(raised.value).startswith(str(path))


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    path = tmp_path / "batch.yaml"
    path.write_text("name: !!python/object/apply:os.getcwd []\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="not valid YAML"):
        load_settings(path)


@pytest.mark.parametrize("text", ["", "\n", "# name: mine\n", "---\n", "null\n"])
def test_a_file_that_says_nothing_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "batch.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        load_settings(path)
    assert str(raised.value) == (
        f"{path}: must have at least one setting, got none: for a platform with every default, write {{}}"
    )


def test_every_default_is_had_by_asking_for_it(tmp_path: Path) -> None:
    path = tmp_path / "batch.yaml"
    path.write_text("{} # all of them\n", encoding="utf-8")
    settings = load_settings(path)
    assert (settings.name, settings.jobs, settings.storage.on_delete) == ("batch-stack", {}, "retain")


def test_the_shipped_file_is_right() -> None:
    settings = load_settings(ROOT / "batch.yaml")
    assert settings.jobs["media"].timeout_s == 900
    assert settings.triggers["media"].prefix == "media/"
    assert settings.triggers["media"].tier == "standard"


def test_the_schema_is_made_once_for_all_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    real = Settings.model_json_schema
    monkeypatch.setattr(Settings, "model_json_schema", lambda: made.append(None) or real())
    tiers = {f"t{number}": {**TIER, "priority": -1} for number in range(20)}
    assert _problem({"tiers": tiers}).count("tiers.t") == 20
    assert len(made) <= 1
