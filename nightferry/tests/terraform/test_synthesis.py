"""Synthesized Terraform conforms to the provider's schema, is stable, and follows the rules of AWS."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nightferry.catalog.declarations import Secret
from nightferry.catalog.fargate import SIZES
from nightferry.catalog.references import substitute
from nightferry.errors import EnvironmentFileError
from nightferry.states.builder import Retry
from nightferry.terraform import synthesize, write
from nightferry.terraform.monitoring.overdue import find_longest_gap
from nightferry.terraform.reading.expansion import expand, expand_data_sources
from nightferry.terraform.reading.inventory import build_inventory
from nightferry.terraform.reading.values import to_json
from tests.terraform.example import ENVIRONMENT, JobSettings, make_catalog, make_environment

ROOT = "ecs-tasks/test"


def read(files: dict[str, str], name: str) -> Any:
    return json.loads(files[f"{ROOT}/{name}.tf.json"])


def statements(files: dict[str, str], role: str) -> dict[str, Any]:
    """Return the statements by Sid of ``role``, given without the prefix."""
    found = build_inventory(files, "test").roles[f"example-test-{role}"]["statements"]
    return {statement["Sid"]: statement for statement in found}


def container(files: dict[str, str], task: str) -> Any:
    """Return the container of a task's definition."""
    (only,) = build_inventory(files, "test").containers[f"example-test-{task}"]
    return only


def expanded(files: dict[str, str], kind: str) -> dict[str, Any]:
    """Return the arguments of all resources of a type by name on AWS, with the modules expanded."""
    return {found.name: to_json(dict(found.arguments)) for found in expand(files, ROOT) if found.type == kind}


def expanded_list(files: dict[str, str], kind: str) -> list[Any]:
    """Return the arguments of all resources of a type, with the modules expanded."""
    return [to_json(dict(found.arguments)) for found in expand(files, ROOT) if found.type == kind]


def policy_documents(files: dict[str, str]) -> dict[str, Any]:
    """Return the statements of each policy document by address, with the modules expanded."""
    return {
        found.address: to_json(dict(found.arguments))["statement"]
        for found in expand_data_sources(files, ROOT)
        if found.type == "aws_iam_policy_document"
    }


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    catalog = make_catalog()
    return synthesize(catalog, make_environment(catalog))


def test_two_runs_are_byte_identical(files: dict[str, str]) -> None:
    catalog = make_catalog()
    assert synthesize(catalog, make_environment(catalog)) == files


def test_adding_a_task_adds_resources_and_changes_none(files: dict[str, str]) -> None:
    catalog = make_catalog()
    catalog.task("another", command=["another"], config=JobSettings, env={"FOLDER_PATH": "x"})
    after = synthesize(catalog, make_environment(catalog))
    shared_lists = {"aws_cloudwatch_dashboard", "aws_ssm_parameter"}  # these list all tasks of the environment
    old, new = (
        {found.address: found for found in expand(which, ROOT) if found.type not in shared_lists}
        for which in (files, after)
    )
    assert {address: new[address] for address in old} == old
    added = {found.type for address, found in new.items() if address not in old}
    assert added == {
        "aws_cloudwatch_metric_alarm",
        "aws_ecs_task_definition",
        "aws_iam_role",
        "aws_iam_role_policy",
    }
    for name in ("schedules", "triggers", "workflows", "logs", "network", "iam"):
        assert read(after, name) == read(files, name)


def test_the_state_machine_is_the_definition_that_runs_locally(files: dict[str, str]) -> None:
    catalog = make_catalog()
    template = files[f"{ROOT}/workflows/nightly.asl.json"]
    variables = read(files, "workflows")["locals"]["nightly_variables"]
    rendered = template
    for name, value in variables.items():
        rendered = rendered.replace(f"${{{name}}}", value)
    values = {
        "cluster": "${data.aws_ecs_cluster.this.arn}",
        "subnets": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        "security_groups": ["${aws_security_group.tasks.id}"],
        "environment": "test",
        "topic": "${aws_sns_topic.failures.arn}",
    }

    def resolve(reference: Any) -> Any:
        if reference.kind == "task":
            return f"${{module.task_{reference.name}.definition_arn}}"
        return values[reference.kind]

    assert json.loads(rendered) == substitute(dict(catalog.workflows["nightly"].definition), resolve)


def test_an_execution_role_may_read_only_its_own_secrets(files: dict[str, str]) -> None:
    path = "arn:aws:ssm:us-east-1:123456789012:parameter/service/example/test"
    shared = "arn:aws:ssm:us-east-1:123456789012:parameter/service/example/test/common/new-relic"
    assert statements(files, "load-execution")["ReadSecrets"]["Resource"] == [shared, f"{path}/load/key"]
    assert statements(files, "report-execution")["ReadSecrets"]["Resource"] == [shared]


def test_an_execution_role_may_pull_guarddutys_agent_only_if_the_environment_names_it(files: dict[str, str]) -> None:
    image = "${data.aws_ecr_repository.image.arn}"
    assert statements(files, "load-execution")["PullImage"]["Resource"] == [image]
    agent = "arn:aws:ecr:us-east-1:593207742271:repository/aws-guardduty-agent-fargate"
    catalog = make_catalog()
    text = ENVIRONMENT.replace("bucket_prefix", f'guardduty_agent = "{agent}"\nbucket_prefix')
    monitored = synthesize(catalog, make_environment(catalog, text))
    assert statements(monitored, "load-execution")["PullImage"]["Resource"] == [image, agent]
    # Terraform drops members of an object that the variable's type does not have.
    assert "agent_repository_arn = optional(string)" in monitored["modules/ecs_task/variables.tf.json"]


def test_only_known_statements_allow_any_resource(files: dict[str, str]) -> None:
    found = policy_documents(files)
    assert len(found) > 10
    for address, blocks in found.items():
        for block in blocks:
            if "*" in block.get("resources", []) and address != "data.aws_iam_policy_document.topics_key":
                # The actions of these statements support no resource but "*".
                assert block["sid"] in ("EcrAuthorizationToken", "LogDeliveryAndTracing"), address


def test_every_trust_policy_prevents_a_confused_deputy(files: dict[str, str]) -> None:
    roles = build_inventory(files, "test").roles
    assert len(roles) == 14
    for name, role in roles.items():
        (trust,) = role["trust"]
        variables = {variable for rules in trust["Condition"].values() for variable in rules}
        # CreateSchedule refuses a trust policy with aws:SourceArn, and it is not known whether Lambda sends one.
        by_account = trust["Principal"]["Service"][0] in ("scheduler.amazonaws.com", "lambda.amazonaws.com")
        assert variables == {"aws:SourceAccount"} | (set() if by_account else {"aws:SourceArn"}), name


def test_a_starter_of_a_task_may_start_every_revision_and_pass_both_roles(files: dict[str, str]) -> None:
    allowed = statements(files, "nightly-workflow")
    assert allowed["RunTasks"]["Resource"] == [
        "arn:aws:ecs:us-east-1:123456789012:task-definition/example-test-load:*",
        "arn:aws:ecs:us-east-1:123456789012:task-definition/example-test-report:*",
    ]
    assert '${aws_iam_role["example-test-load-execution"].arn}' in allowed["PassTaskRoles"]["Resource"]


def test_a_value_is_not_evaluated_as_a_terraform_template(files: dict[str, str]) -> None:
    variables = {item["name"]: item["value"] for item in container(files, "load")["environment"]}
    assert variables["MODE"] == "a $${literal} b"
    assert variables["FOLDER_PATH"] == "s3://org-test-inbox/in"


def test_an_expansion_of_a_shell_is_not_a_terraform_template() -> None:
    catalog = make_catalog()
    shell = "sleep ${1:-0} ${COUNT} $${2} ${environment} %{if}"
    catalog.task("shell", command=["sh", "-c", shell])
    module = read(synthesize(catalog, make_environment(catalog)), "tasks")["module"]["task_shell"]
    assert module["program"][2] == "sleep $${1:-0} $${COUNT} $${2} test %%{if}"


def test_a_container_is_hardened(files: dict[str, str]) -> None:
    report = container(files, "report")
    assert report["readonlyRootFilesystem"] is True
    assert report["linuxParameters"] == {"initProcessEnabled": True, "capabilities": {"add": [], "drop": ["ALL"]}}
    assert report["logConfiguration"]["options"]["mode"] == "blocking"


def test_a_notification_contains_all_triggers_of_a_bucket(files: dict[str, str]) -> None:
    notifications = read(files, "triggers")["resource"]["aws_s3_bucket_notification"]
    assert list(notifications) == ["inbox"]
    assert [rule["id"] for rule in notifications["inbox"]["lambda_function"]] == ["on-file"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('notifications = "ours"', 'notifications = "shared"', 'via="eventbridge"'),
        ('backend = "aws"', 'backend = "local"', "cannot be deployed"),
        ('bucket_prefix = "org"', "", "no name for bucket"),
        ("[settings]", '[settings]\nnightly = "cron(0 0 * * * *)"', "exactly one"),
        ("[settings]", '[settings]\nnightly = "${service:clock.time}"', "not a schedule"),
    ],
)
def test_an_environment_that_does_not_fit_the_catalog_is_rejected(old: str, new: str, message: str) -> None:
    catalog = make_catalog()
    text = ENVIRONMENT.replace(old, new)
    if "no name for bucket" in message:
        text = text.replace("[aws.buckets.inbox]\n", "[aws.buckets.other]\n")
    with pytest.raises(EnvironmentFileError) as caught:
        synthesize(catalog, make_environment(catalog, text))
    assert message in str(caught.value)


def test_obsolete_files_are_removed_and_other_files_stay(files: dict[str, str], tmp_path: Path) -> None:
    write(files, tmp_path)
    (tmp_path / ROOT / "old.tf.json").write_text("{}")
    (tmp_path / ROOT / ".terraform.lock.hcl").write_text("")
    assert write(files, tmp_path) == [tmp_path / ROOT / "old.tf.json"]
    assert (tmp_path / ROOT / ".terraform.lock.hcl").exists()


@pytest.mark.parametrize(
    ("expression", "hours"),
    [
        ("rate(1 hour)", 1),
        ("cron(30 20 * * ? *)", 25),
        ("cron(0 9 ? * MON-FRI *)", 73),
        ("at(2027-01-01T00:00:00)", None),
    ],
)
def test_the_longest_time_between_two_fires(expression: str, hours: int | None) -> None:
    """The day on which the clocks go back has 25 hours, and a weekend that contains it has 73."""
    gap = find_longest_gap(expression, "America/New_York")
    assert (None if gap is None else gap.total_seconds() / 3600) == hours


def test_a_plan_without_a_tag_keeps_the_deployed_image(files: dict[str, str]) -> None:
    """The parameter is written after all definitions, so that it names complete deployments only."""
    locals_ = read(files, "data")["locals"]
    assert read(files, "main")["variable"]["image_tag"]["default"] is None
    assert "coalesce(var.image_tag, one(data.aws_ssm_parameter.image_tag[*]" in locals_["image_tag"]
    (parameter,) = read(files, "tasks")["resource"]["aws_ssm_parameter"].values()
    assert parameter["name"] == read(files, "data")["data"]["aws_ssm_parameter"]["image_tag"]["name"]
    assert parameter["insecure_value"] == "${local.image_tag}"
    assert parameter["depends_on"] == [f"module.{name}" for name in read(files, "tasks")["module"]]


def test_an_environment_without_a_database_has_no_rules_for_it() -> None:
    catalog = make_catalog()
    for name, task in catalog.tasks.items():
        catalog.tasks[name] = replace(task, secrets={**task.secrets, "DB_PASSWORD": Secret("db-password")})
    lines = [line for line in ENVIRONMENT.splitlines() if not line.startswith("database_")]
    files = synthesize(catalog, make_environment(catalog, "\n".join(lines)))
    rules = read(files, "network")["resource"]
    assert list(rules["aws_vpc_security_group_egress_rule"]) == ["https", "partner_sftp"]
    assert "aws_vpc_security_group_ingress_rule" not in rules
    assert "ConnectToDatabase" not in statements(files, "load")
    assert "database" not in files[f"{ROOT}/network.tf.json"]


def test_egress_to_named_destinations_replaces_that_to_all_addresses() -> None:
    catalog = make_catalog()
    text = ENVIRONMENT.replace("bucket_prefix", "https_anywhere = false\nbucket_prefix")
    text += '[aws.egress.endpoints]\nsecurity_group = "sg-00000001"\n[aws.egress.s3]\nprefix_list = "pl-63a5400a"\n'
    rules = read(synthesize(catalog, make_environment(catalog, text)), "network")["resource"]
    found = {
        name: {key: rule[key] for key in rule if key in ("cidr_ipv4", "referenced_security_group_id", "prefix_list_id")}
        for name, rule in rules["aws_vpc_security_group_egress_rule"].items()
    }
    assert found == {
        "database": {"referenced_security_group_id": "sg-0123456789abcdef0"},
        "endpoints": {"referenced_security_group_id": "sg-00000001"},
        "partner_sftp": {"cidr_ipv4": "10.0.0.0/8"},
        "s3": {"prefix_list_id": "pl-63a5400a"},
    }
    assert rules["aws_vpc_security_group_egress_rule"]["s3"]["to_port"] == 443


def test_the_comment_describes_the_forwarding() -> None:
    catalog = make_catalog()
    lines = [line for line in ENVIRONMENT.splitlines() if not line.startswith("log_forwarder")]
    files = synthesize(catalog, make_environment(catalog, "\n".join(lines)))
    assert "forward" not in files[f"{ROOT}/logs.tf.json"]
    assert "new-relic" not in files[f"{ROOT}/logs.tf.json"]
    own = "\n".join([*lines, "[aws.new_relic_forwarder]", 'license_key = "common/new-relic"'])
    assert "forwarded to New Relic" in read(synthesize(catalog, make_environment(catalog, own)), "logs")["//"]


# ── rules of AWS, one test each ───────────────────────────────────────────────────────────────────────────────


def test_a_container_has_no_nulls_and_no_empty_lists_and_is_sorted(files: dict[str, str]) -> None:
    """Otherwise ECS returns it in another form, and every plan shows a change.

    The provider compares a container's own lists regardless of their order and of empty ones, but compares what is
    inside linuxParameters as it is. There, ECS adds an empty list of added capabilities to the dropped ones
    (terraform-aws-modules/terraform-aws-ecs#176).
    """
    for (found,) in build_inventory(files, "test").containers.values():
        assert None not in found.values()
        assert [] not in found.values()
        assert found["linuxParameters"].pop("capabilities") == {"add": [], "drop": ["ALL"]}
        assert "[]" not in json.dumps(found)
        for members in ("environment", "secrets"):
            names = [item["name"] for item in found[members]]
            assert names == sorted(names)


def test_a_plan_that_changes_the_image_knows_all_values_except_those_of_the_definitions(files: dict[str, str]) -> None:
    """A replaced definition has unknown ARNs, and so has everything that uses them."""
    used = {
        attribute
        for name, text in files.items()
        if name.endswith(".json")
        for attribute in re.findall(r"aws_ecs_task_definition\.[\w.*\[\]]+?\.(\w+)", text)
    }
    assert used == {"family"}
    starters = [name for name in files if name.startswith(ROOT) and "definition_arn" in files[name]]
    assert {name.rpartition("/")[2] for name in starters} >= {f"{n}.tf.json" for n in ("schedules", "triggers", "iam")}


def test_the_task_module_accepts_the_sizes_of_the_catalog(files: dict[str, str]) -> None:
    variables = json.loads(files["modules/ecs_task/variables.tf.json"])["variable"]
    assert f"contains({list(SIZES)}, var.cpu)" in variables["cpu"]["validation"]["condition"]
    memories = [memory for sizes in SIZES.values() for memory in sizes]
    limits = f"var.memory >= {min(memories)} && var.memory <= {max(memories)}"
    assert limits in variables["memory"]["validation"]["condition"]


def test_a_revision_from_outside_terraform_shows_in_a_plan_and_old_ones_remain(files: dict[str, str]) -> None:
    """A rollback registers copies of old revisions; a plan must see them, and the next rollback needs the others."""
    for definition in expanded(files, "aws_ecs_task_definition").values():
        assert definition["track_latest"] is True
        assert definition["skip_destroy"] is True


def test_only_a_task_that_declares_scratch_may_write_files() -> None:
    catalog = make_catalog()
    catalog.task("small", command=["small"], config=JobSettings, env={"FOLDER_PATH": "x"}, scratch=5)
    catalog.task("large", command=["large"], config=JobSettings, env={"FOLDER_PATH": "x"}, scratch=50)
    files = synthesize(catalog, make_environment(catalog))
    definitions = expanded(files, "aws_ecs_task_definition")
    assert definitions["example-test-report"]["volume"] == []
    assert "mountPoints" not in container(files, "report")
    assert definitions["example-test-small"]["volume"] == [{"name": "scratch"}]
    assert definitions["example-test-small"]["ephemeral_storage"] == []
    assert definitions["example-test-large"]["ephemeral_storage"] == [{"size_in_gib": 50}]
    mount = {"sourceVolume": "scratch", "containerPath": "/tmp", "readOnly": False}
    assert container(files, "small")["mountPoints"] == [mount]


def test_only_a_task_with_the_setting_refuses_a_key_that_is_too_long_for_its_location() -> None:
    catalog = make_catalog()
    read_uri = catalog.task("read-uri", command=["read"], required_at_start=["S3_URI"])
    catalog.object_trigger("on-uri", read_uri, bucket=catalog.buckets["inbox"], prefix="uri/", via="eventbridge")
    modules = read(synthesize(catalog, make_environment(catalog)), "triggers")["module"]
    assert {name: call.get("reads_uri") for name, call in modules.items()} == {
        "trigger_on_file": None,
        "trigger_on_table": None,
        "trigger_on_batch": None,
        "trigger_on_uri": True,
    }


def test_event_patterns_do_not_grow_with_the_catalog(files: dict[str, str]) -> None:
    """EventBridge allows 4,096 characters, and a list of forty families has more."""
    for name in ("logs", "alarms", "triggers"):
        for rule in read(files, name).get("resource", {}).get("aws_cloudwatch_event_rule", {}).values():
            assert len(rule["event_pattern"]) < 1000
            assert "aws_ecs_task_definition" not in rule["event_pattern"]


def test_event_bridge_may_create_log_streams_without_a_condition_on_its_rule(files: dict[str, str]) -> None:
    blocks = read(files, "logs")["data"]["aws_iam_policy_document"]["events"]["statement"]
    allowed = {block["sid"]: block for block in blocks}
    assert "condition" not in allowed["CreateLogStreams"]
    rules = allowed["WriteStateChanges"]["condition"][0]["values"]
    assert rules == ["${aws_cloudwatch_event_rule.state_changes.arn}"]


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("schedules", ["${module.schedule_hourly.rule_arn}"]),
        (
            "triggers",
            ["${module.trigger_on_table.rule_arn}", "${module.trigger_on_batch.rule_arn}"],
        ),
    ],
)
def test_a_classic_rule_may_send_its_dead_letters(files: dict[str, str], name: str, rules: list[str]) -> None:
    document = read(files, name)
    policy = document["data"]["aws_iam_policy_document"][f"{name}_dead_letters"]["statement"][0]
    assert policy["principals"]["identifiers"] == ["events.amazonaws.com"]
    assert policy["condition"][0]["values"] == rules
    assert f"{name}_dead_letters" in document["resource"]["aws_sqs_queue_policy"]


def test_the_notification_does_not_disable_event_bridge(files: dict[str, str]) -> None:
    """S3 stores one configuration per bucket, and disables EventBridge if it is not named."""
    assert read(files, "triggers")["resource"]["aws_s3_bucket_notification"]["inbox"]["eventbridge"] is True


def test_a_publisher_to_a_topic_may_use_its_key(files: dict[str, str]) -> None:
    key = ['${aws_kms_key["Topics of example-test."].arn}']
    assert statements(files, "load")["EncryptForTopics"]["Resource"] == key
    assert statements(files, "failure-notices")["EncryptNotices"]["Resource"] == key


def test_a_task_with_retry_has_a_rule_and_the_function_may_start_only_it() -> None:
    catalog = make_catalog()
    catalog.tasks["load"] = replace(catalog.tasks["load"], retry=Retry(3, 60, 2))
    files = synthesize(catalog, make_environment(catalog))
    rule = expanded(files, "aws_cloudwatch_event_rule")["example-test-load-retry"]
    assert json.loads(rule["event_pattern"])["detail"]["group"] == ["family:example-test-load"]
    [run] = statements(files, "retries")["RunTasks"]["Resource"]
    assert run == "arn:aws:ecs:us-east-1:123456789012:task-definition/example-test-load:*"
    plan = statements(files, "retries")["PlanAttempts"]
    assert plan["Resource"][0].endswith(":schedule/example-test-retries/*")
    alarms = expanded(files, "aws_cloudwatch_metric_alarm")
    assert {"example-test-retries-dead-letters", "example-test-retries-dropped"} <= alarms.keys()
    policies = "".join(text for name, text in files.items() if "deploy-role-policy" in name)
    assert "schedule-group/example-test-retries" in policies
    assert "retries" not in "".join(
        text
        for name, text in synthesize(make_catalog(), make_environment(make_catalog())).items()
        if name.startswith(ROOT)
    )


def test_objects_encrypted_with_a_key_of_the_bucket_can_be_used() -> None:
    catalog = make_catalog()
    key = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    text = ENVIRONMENT.replace('notifications = "ours"', f'notifications = "ours"\nkey = "{key}"')
    files = synthesize(catalog, make_environment(catalog, text))
    assert statements(files, "load")["DecryptObjects"]["Resource"] == [key]
    assert statements(files, "load")["EncryptObjects"]["Resource"] == [key]


def test_the_alarms_of_a_task_notify_the_topic_of_its_severity(files: dict[str, str]) -> None:
    alarms = read(files, "alarms")["resource"]["aws_cloudwatch_metric_alarm"]
    for task, topic in (("load", "pager"), ("report", "mail")):
        for kind in ("failed", "still_running"):
            assert alarms[f"task_{task}_{kind}"]["alarm_actions"] == [f"arn:aws:sns:us-east-1:123456789012:{topic}"]
    running = alarms["task_report_still_running"]
    assert (
        running["period"] * running["evaluation_periods"] == 75 * 60
    )  # the time limit of an hour and the grace period


def test_every_schedule_has_an_alarm_for_starts_and_for_successes(files: dict[str, str]) -> None:
    alarms = read(files, "alarms")["resource"]["aws_cloudwatch_metric_alarm"]
    assert alarms["schedule_hourly_could_not_start"]["dimensions"] == {"RuleName": "example-test-hourly"}
    assert alarms["schedules_could_not_start"]["namespace"] == "AWS/Scheduler"
    assert (
        alarms["schedule_nightly_overdue"]["evaluation_periods"] == 25 + 3 + 1
    )  # a day, the time limit and the grace period


def test_a_schedule_passes_its_time_to_its_target(files: dict[str, str]) -> None:
    calls = read(files, "schedules")["module"]
    expected = {"scheduled_at": "<aws.scheduler.scheduled-time>", "schedule": "nightly"}
    assert json.loads(calls["schedule_nightly"]["input"]) == expected
    (container,) = json.loads(calls["schedule_hourly"]["overrides"])["containerOverrides"]
    variables = {item["name"]: item["value"] for item in container["environment"]}
    assert variables == {"MODE": "m", "NIGHTFERRY_SCHEDULE": "hourly", "SCHEDULED_AT": "<time>"}


def test_no_other_value_of_a_schedule_is_replaced_with_its_time() -> None:
    catalog = make_catalog()
    values = {"MODE": "<time> <aws.scheduler.scheduled-time> <"}
    catalog.schedule("odd", catalog.tasks["report"], "rate(1 hour)", env=values)
    text = read(synthesize(catalog, make_environment(catalog)), "schedules")["module"]["schedule_odd"]["overrides"]
    assert text.count("<") == 1
    (container,) = json.loads(text)["containerOverrides"]
    assert {"name": "MODE", "value": values["MODE"]} in container["environment"]


def test_a_schedule_that_fires_too_rarely_for_an_alarm_is_named() -> None:
    catalog = make_catalog()
    catalog.schedule("weekly", catalog.tasks["report"], "cron(0 8 ? * WED *)")
    alarms = read(synthesize(catalog, make_environment(catalog)), "alarms")
    assert "not for overdue runs: weekly." in alarms["//"]
    assert "schedule_weekly_overdue" not in alarms["resource"]["aws_cloudwatch_metric_alarm"]


@pytest.mark.parametrize(
    ("prefix", "suffix", "pattern"),
    [
        ("", "", None),
        ("in/", "", [{"prefix": "in/"}]),
        ("", ".csv", [{"suffix": ".csv"}]),
        ("in/*", ".csv", [{"wildcard": r"in/\**.csv"}]),
    ],
)
def test_the_event_pattern_of_a_trigger(prefix: str, suffix: str, pattern: Any) -> None:
    catalog = make_catalog()
    other = catalog.bucket("other")
    catalog.object_trigger("more", catalog.tasks["load"], bucket=other, prefix=prefix, suffix=suffix, via="eventbridge")
    module = read(synthesize(catalog, make_environment(catalog)), "triggers")["module"]["trigger_more"]
    detail = json.loads(module["event_pattern"])["detail"]
    assert detail.get("object", {}).get("key") == pattern


def test_a_filter_is_encoded_as_the_keys_of_s3_events() -> None:
    catalog = make_catalog()
    catalog.object_trigger("more", catalog.tasks["load"], bucket=catalog.buckets["inbox"], prefix="from us/é")
    document = read(synthesize(catalog, make_environment(catalog)), "triggers")
    rules = document["resource"]["aws_s3_bucket_notification"]["inbox"]["lambda_function"]
    assert rules[1]["filter_prefix"] == "from+us/%C3%A9"
    assert "filter_suffix" not in rules[1]


def test_constant_text_is_not_evaluated_as_a_terraform_template() -> None:
    catalog = make_catalog()
    catalog.task("odd", command=["odd"], config=JobSettings, env={"FOLDER_PATH": "$${x} %{y}"})
    odd = container(synthesize(catalog, make_environment(catalog)), "odd")
    assert {"name": "FOLDER_PATH", "value": "$${x} %%{y}"} in odd["environment"]


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"), ("us-iso-east-1", "aws-iso")],
)
def test_the_partition_of_a_region(region: str, partition: str) -> None:
    catalog = make_catalog()
    environment = make_environment(catalog, ENVIRONMENT.replace('region = "us-east-1"', f'region = "{region}"'))
    assert environment.aws is not None
    assert environment.aws.partition == partition


def test_the_widgets_of_the_dashboard_do_not_overlap(files: dict[str, str]) -> None:
    body = read(files, "alarms")["resource"]["aws_cloudwatch_dashboard"]["this"]["dashboard_body"]
    widgets = json.loads(body)["widgets"]
    titles = {widget["properties"]["title"] for widget in widgets}
    assert {"Successful runs", "Failed runs", "Errors", "Dead letters", "Workflow nightly"} <= titles
    corners = [(widget["x"], widget["y"]) for widget in widgets]
    assert len(corners) == len(set(corners))
    assert all(widget["width"] == 12 and widget["height"] == 8 for widget in widgets)


def test_a_trigger_starts_its_target_through_a_function(files: dict[str, str]) -> None:
    """EventBridge's input transformer inserts a key without escaping it, so a key could add overrides."""
    assert not any("input_transformer" in text for name, text in files.items() if "ecs_task_scheduler" not in name)
    targets = expanded_list(files, "aws_cloudwatch_event_target")
    for name in ("on-table", "on-batch"):
        function = f'${{aws_lambda_function["example-test-{name}-trigger"].arn}}'
        (target,) = [one for one in targets if one["arn"] == function]
        assert not {"input", "input_path", "ecs_target", "role_arn"} & set(target)
        (permission,) = [
            one
            for one in expanded_list(files, "aws_lambda_permission")
            if one["function_name"] == f"example-test-{name}-trigger"
        ]
        assert permission["principal"] == "events.amazonaws.com"
        assert permission["source_arn"] == f'${{aws_cloudwatch_event_rule["example-test-{name}"].arn}}'


def test_a_trigger_may_start_only_its_target(files: dict[str, str]) -> None:
    starting = {"ecs:RunTask", "states:StartExecution"}
    for name, action, started in (
        ("on-table", "ecs:RunTask", "arn:aws:ecs:us-east-1:123456789012:task-definition/example-test-load:*"),
        ("on-batch", "states:StartExecution", '${aws_sfn_state_machine["example-test-nightly"].arn}'),
    ):
        found = [one for one in statements(files, f"{name}-trigger").values() if starting & set(one["Action"])]
        assert [(one["Action"], one["Resource"]) for one in found] == [([action], [started])]
