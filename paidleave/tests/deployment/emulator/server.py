"""A program for ``.venv-aws``: MiniStack on a loopback port, corrected where ECS and its callers differ from AWS.

MiniStack stores the resources, runs the Lambda functions, and delivers notifications of S3, lines of subscribed logs
and events of rules. Without Docker its tasks never end. This program adds:

- a task ends at once with exit code 0, or as the test's script for it says: its log line, its exit code, its end held
  back, or a start that RunTask reports in ``failures``;
- RunTask with a known client token returns the original answer, failures included;
- a state change of a task is an event on the default bus;
- ``ecs:runTask.sync`` returns one task with the names of Step Functions, and fails if the task does;
- a schedule and a rule can start a task, and a rule can write to a log group. The request for a task goes through
  botocore, which checks it by the API model. A refused start of a schedule becomes a dead letter;

- ECR reports an image that does not exist, and IAM's policy simulator uses the context and all resources of a request;
- the network, the database and the keys get the ids that an environment names.

The test sends scripts, ids and operations to refuse to ``/_test``.
"""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from functools import partial

import botocore.session
from botocore.exceptions import ClientError
from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app as ministack
from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, new_uuid, request_scope
from ministack.services import cloudwatch_logs, ec2, ecr, ecs, eventbridge, iam, kms, rds, stepfunctions

PORT = int(sys.argv[1])
scripts: dict[str, list[dict]] = {}
tokens: dict[str, tuple] = {}
refused: dict[str, str] = {}  # operation → text of the requests that are refused
ids: dict[str, list[str]] = {"vpc": [], "subnet": [], "sg": [], "key": []}
lock = threading.RLock()


def next_id(kind, generate):
    """Return the id that the test has chosen for the next resource of a kind, or a new one."""
    return ids[kind].pop(0) if ids[kind] else generate()


def name_database(account, region, resource_id, host):
    """Give the only database the resource ID and the host that an environment names."""
    with request_scope(account, region):
        (database,) = rds._instances.values()
        database["DbiResourceId"] = resource_id
        database["Endpoint"]["Address"] = host


def next_script(name):
    """Return the script of a task's next run. Further runs repeat the last one."""
    with lock:
        waiting = scripts.get(name) or [{}]
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


# ── RunTask ───────────────────────────────────────────────────────────────────────────────────────────────────

run_task = ecs._run_task


def run_task_once(data):
    token = data.get("clientToken")
    with lock:
        if token in tokens:
            return tokens[token]
        answer = run_scripted_task(data)
        if token and answer[0] == 200:
            tokens[token] = answer
        return answer


def run_scripted_task(data):
    definition = ecs._task_defs.get(ecs._resolve_td_key(data.get("taskDefinition", "")))
    if definition is None:
        return run_task(data)
    name = definition["containerDefinitions"][0]["name"]
    script = next_script(name)
    if reason := script.get("failure"):
        failure = {"arn": f"arn:aws:ecs:{get_region()}:{get_account_id()}:container-instance/x", "reason": reason}
        return ecs.json_response({"tasks": [], "failures": [failure]})
    # ECS names the group after the family if the caller names none.
    data = {**data, "group": data.get("group") or f"family:{definition['family']}"}
    status, headers, body = run_task(data)
    for task in json.loads(body).get("tasks", []):
        arguments = (task["taskArn"], definition, script, get_account_id(), get_region())
        threading.Thread(target=live, args=arguments, daemon=True).start()
    return status, headers, body


def live(arn, definition, script, account, region):
    """Let a task write its line and exit."""
    with request_scope(account, region):
        task = ecs._tasks[arn]
        publish(task)
        while script.get("held"):
            if task["lastStatus"] == "STOPPED":  # by StopTask
                publish(task)
                return
            time.sleep(0.05)
            script = {**script, "held": arn not in released}
        container = definition["containerDefinitions"][0]
        write_line(container, arn, script.get("line", f"{container['name']} ended"))
        code = script.get("exit_code", 0)
        ecs._mark_task_stopped(arn, task, "Essential container in task exited", "EssentialContainerExited", code)
        publish(task)


released: set[str] = set()


def write_line(container, arn, line):
    options = container["logConfiguration"]["options"]
    stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{arn.rpartition('/')[2]}"
    where = {"logGroupName": options["awslogs-group"], "logStreamName": stream}
    cloudwatch_logs._create_log_stream(where)
    event = {"timestamp": int(time.time() * 1000), "message": line}
    cloudwatch_logs._put_log_events({**where, "logEvents": [event]})


def publish(task):
    """Put the event of a task's state on the default bus."""
    detail = {name: value for name, value in ecs._sanitize(task).items() if value not in (None, "")}
    entry = {"Source": "aws.ecs", "DetailType": "ECS Task State Change", "Detail": json.dumps(detail)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


# ── callers of RunTask ────────────────────────────────────────────────────────────────────────────────────────


def to_pascal(value):
    if isinstance(value, list):
        return [to_pascal(member) for member in value]
    if isinstance(value, dict):
        return {name[0].upper() + name[1:]: to_pascal(member) for name, member in value.items()}
    return value


def run_task_of_state(resource, input_data, *_):
    """Carry out ``ecs:runTask``, and with ``.sync`` wait for the task's end and fail as it does."""
    request = stepfunctions._pascal_to_camel(input_data)
    status, _headers, body = ecs._run_task({**request, "startedBy": "AWS Step Functions"})
    answer = json.loads(body)
    if status >= 400:
        raise stepfunctions._ExecutionError(f"ECS.{answer.get('__type', 'Unknown')}", answer.get("message", ""))
    if not resource.endswith(".sync"):
        return to_pascal(answer)
    if answer["failures"]:
        raise stepfunctions._ExecutionError("AmazonECS.Unknown", json.dumps(to_pascal(answer)))
    arn = answer["tasks"][0]["taskArn"]
    while ecs._tasks[arn]["lastStatus"] != "STOPPED":
        time.sleep(0.05)
    task = to_pascal({name: value for name, value in ecs._sanitize(ecs._tasks[arn]).items() if value is not None})
    if any(container.get("ExitCode") != 0 for container in task["Containers"]):
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(task))
    return task


def write_event(group, event):
    """Write an event to a log group, as a rule does whose target is the group."""
    where = {"logGroupName": group, "logStreamName": new_uuid()}
    cloudwatch_logs._create_log_stream(where)
    text = json.dumps(eventbridge._pattern_event_view(event).event_with_detail())
    cloudwatch_logs._put_log_events({**where, "logEvents": [{"timestamp": int(time.time() * 1000), "message": text}]})


invoke_target = eventbridge._invoke_target


def invoke_other_target(target, event, rule, view=None):
    """Start a task for a schedule or a rule, or write an event to a log group; MiniStack invokes all other targets."""
    if ":logs:" in target.get("Arn", ""):
        write_event(target["Arn"].removesuffix(":*").partition(":log-group:")[2], event)
        return None
    # What Scheduler does with the input of every target, and MiniStack does not.
    now = time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime())
    text = (target.get("Input") or "{}").replace("<aws.scheduler.scheduled-time>", now)
    parameters = target.get("EcsParameters")
    if not parameters:
        return invoke_target({**target, "Input": text} if target.get("Input") else target, event, rule, view)
    if transformer := target.get("InputTransformer"):
        text = eventbridge._apply_input_transformer(transformer, rule, view or eventbridge._pattern_event_view(event))
    is_schedule = "ScheduleExpression" in rule and "FlexibleTimeWindow" in rule
    # The APIs of schedules and rules spell the members with capitals, some of them; RunTask spells none so.
    request = stepfunctions._pascal_to_camel({name: value for name, value in parameters.items() if value is not None})
    request["taskDefinition"] = request.pop("taskDefinitionArn")
    request["count"] = request.pop("taskCount", 1)
    started_by = f"chronos-schedule/{rule['Name']}" if is_schedule else f"events-rule/{rule['Name']}"
    request |= {"cluster": target["Arn"], "overrides": json.loads(text), "startedBy": started_by[:36]}
    try:
        create_client("ecs").run_task(**request)
    except ClientError as error:
        if is_schedule:
            send_dead_letter(target, rule, text, error)
    return None


def create_client(service):
    session = botocore.session.get_session()
    session.set_credentials(get_account_id(), "emulated")
    return session.create_client(service, get_region(), endpoint_url=f"http://127.0.0.1:{PORT}")


def send_dead_letter(target, schedule, text, error):
    """Send what Scheduler sends to its dead-letter queue after the last retry; here there is none."""
    attributes = {
        "SCHEDULE_ARN": schedule["Arn"],
        "TARGET_ARN": "arn:aws:scheduler:::aws-sdk:ecs:runTask",
        "SCHEDULED_TIME": time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime()),
        "ERROR_CODE": error.response["Error"]["Code"],
        "ERROR_MESSAGE": error.response["Error"]["Message"],
        "RETRY_ATTEMPTS": "0",
        "EXECUTION_ID": new_uuid(),
        "IS_PAYLOAD_TRUNCATED": "false",
    }
    sqs = create_client("sqs")
    sqs.send_message(
        QueueUrl=sqs.get_queue_url(QueueName=target["DeadLetterConfig"]["Arn"].rpartition(":")[2])["QueueUrl"],
        MessageBody=text,
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()},
    )


def keep_tracing(call):
    """Keep a member of a state machine that MiniStack drops."""

    def keep(data):
        answer = call(data)
        if answer[0] == 200 and "tracingConfiguration" in data:
            arn = data.get("stateMachineArn") or json.loads(answer[2])["stateMachineArn"]
            stepfunctions._state_machines[arn]["tracingConfiguration"] = data["tracingConfiguration"]
        return answer

    return keep


describe_images = ecr._describe_images


def describe_existing_images(data):
    """Report an image that does not exist as ECR does; MiniStack returns an empty list."""
    answer = describe_images(data)
    if answer[0] == 200 and data.get("imageIds") and not json.loads(answer[2])["imageDetails"]:
        return ecr.error_response_json("ImageNotFoundException", f"No image has {data['imageIds'][0]}.", 400)
    return answer


def list_members(request, name):
    """Return the members of a list in a request of the query protocol."""
    found = [(key, value[0]) for key, value in request.items() if key.startswith(f"{name}.member.")]
    return [value for _, value in sorted(found, key=lambda pair: int(pair[0].split(".")[2]))]


def simulate_policy(request):
    """Simulate the policies of a role, for each action on each resource with the context of the request."""
    source = request["PolicySourceArn"][0]
    policies = iam_evaluator._gather_role_policies(source.rpartition("/")[2], get_account_id())
    context = {}
    while name := request.get(f"ContextEntries.member.{len(context) + 1}.ContextKeyName"):
        (value,) = list_members(request, f"ContextEntries.member.{len(context) + 1}.ContextKeyValues")
        context[name[0].lower()] = value
    members = ""
    for action in list_members(request, "ActionNames"):
        for resource in list_members(request, "ResourceArns") or ["*"]:
            case = iam_evaluator.EvalContext(
                principal_arn=source,
                principal_type="AssumedRole",
                principal_account=get_account_id(),
                action=action,
                resource_arn=resource,
                region=get_region(),
                service_context=context,
            )
            decision = iam_evaluator.evaluate(case, policies).decision
            members += (
                f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>"
                f"<EvalDecision>{DECISIONS[decision]}</EvalDecision></member>"
            )
    result = f"<SimulatePrincipalPolicyResult><EvaluationResults>{members}</EvaluationResults>"
    result += "<IsTruncated>false</IsTruncated></SimulatePrincipalPolicyResult>"
    return iam._xml(200, "SimulatePrincipalPolicyResponse", result, ns="iam")


DECISIONS = {"Allow": "allowed", "Deny": "explicitDeny", "ImplicitDeny": "implicitDeny"}


# ── the server ────────────────────────────────────────────────────────────────────────────────────────────────


async def ready(message):
    return message


async def app(scope, receive, send):
    if scope["type"] != "http":
        await ministack.app(scope, receive, send)
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"] != "/_test":
        operation = dict(scope["headers"]).get(b"x-amz-target", b"").decode().rpartition(".")[2]
        if operation in refused and refused[operation].encode() in body:
            answer = {"__type": "AccessDeniedException", "message": f"{operation} was refused by the test"}
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
            return
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        await ministack.app(scope, lambda: receive() if not messages else ready(messages.pop()), send)
        return
    command = json.loads(body)
    with lock:
        released.update(command.get("released", []))
        ids.update(command.get("ids", {}))
        if "database" in command:
            name_database(**command["database"])
        if "refused" in command:
            refused.clear()
            refused.update(command["refused"])
        if "scripts" in command:
            scripts.clear()
            scripts.update(command["scripts"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def end_with_the_test():
    """Wait until the test closes the standard input, or ends; then end this process and those of the functions."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


def main():
    threading.Thread(target=end_with_the_test, daemon=True).start()
    ecs._run_task = ecs._ACTION_MAP["RunTask"] = run_task_once
    stepfunctions._SERVICE_DISPATCH["arn:aws:states:::ecs:runTask"] = run_task_of_state
    stepfunctions._create_state_machine = keep_tracing(stepfunctions._create_state_machine)
    stepfunctions._update_state_machine = keep_tracing(stepfunctions._update_state_machine)
    ecr._describe_images = describe_existing_images
    iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = simulate_policy
    eventbridge._invoke_target = invoke_other_target
    kms.new_uuid = partial(next_id, "key", kms.new_uuid)
    for kind in ("vpc", "subnet", "sg"):
        name = f"_new_{kind}_id"
        setattr(ec2, name, partial(next_id, kind, getattr(ec2, name)))
    config = Config()
    config.bind = [f"127.0.0.1:{PORT}"]
    config.loglevel = "ERROR"
    asyncio.run(serve(app, config))


if __name__ == "__main__":
    main()
