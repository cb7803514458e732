// The infrastructure of an environment, written for AWS CDK: the peer of `nightferry synth` in benchmarks/synth.py.
//
// The declarations are read from the Terraform files of our synthesis, so that both have the same tasks, schedules,
// triggers, workflows, notices and alarms: `node app.js infra/ecs-tasks/prod`. What Terraform's modules create for each
// of them is created here with the constructs of aws-cdk-lib, with their defaults.

const fs = require("fs");
const path = require("path");
const cdk = require("aws-cdk-lib");
const cloudwatch = require("aws-cdk-lib/aws-cloudwatch");
const actions = require("aws-cdk-lib/aws-cloudwatch-actions");
const ec2 = require("aws-cdk-lib/aws-ec2");
const ecr = require("aws-cdk-lib/aws-ecr");
const ecs = require("aws-cdk-lib/aws-ecs");
const events = require("aws-cdk-lib/aws-events");
const eventTargets = require("aws-cdk-lib/aws-events-targets");
const iam = require("aws-cdk-lib/aws-iam");
const kms = require("aws-cdk-lib/aws-kms");
const lambda = require("aws-cdk-lib/aws-lambda");
const logs = require("aws-cdk-lib/aws-logs");
const destinations = require("aws-cdk-lib/aws-logs-destinations");
const s3 = require("aws-cdk-lib/aws-s3");
const notifications = require("aws-cdk-lib/aws-s3-notifications");
const scheduler = require("aws-cdk-lib/aws-scheduler");
const targets = require("aws-cdk-lib/aws-scheduler-targets");
const sns = require("aws-cdk-lib/aws-sns");
const subscriptions = require("aws-cdk-lib/aws-sns-subscriptions");
const sqs = require("aws-cdk-lib/aws-sqs");
const ssm = require("aws-cdk-lib/aws-ssm");
const sfn = require("aws-cdk-lib/aws-stepfunctions");

const folder = process.argv[2];
const read = (name) => JSON.parse(fs.readFileSync(path.join(folder, `${name}.tf.json`), "utf-8"));
const resources = (file, type) => Object.entries((file.resource || {})[type] || {});
const modules = (file, name) =>
  Object.entries(file.module || {}).filter(([, module]) => module.source === `../../modules/${name}`);
const existing = read("data");
const taskFile = read("tasks");
const shared = taskFile.locals.tasks;
const [account] = read("main").provider.aws.allowed_account_ids;
const prefix = shared.prefix;
const family = (name) => `task_${name.replaceAll("-", "_")}`;

const app = new cdk.App();
const stack = new cdk.Stack(app, prefix, { env: { account, region: shared.region } });
for (const [name, value] of Object.entries(read("main").provider.aws.default_tags.tags)) {
  cdk.Tags.of(stack).add(name, value);
}
const boundary = iam.ManagedPolicy.fromManagedPolicyArn(stack, "boundary", shared.permissions_boundary);
iam.PermissionsBoundary.of(stack).apply(boundary);

// The network and the log groups.
const vpc = ec2.Vpc.fromVpcAttributes(stack, "vpc", {
  vpcId: existing.data.aws_vpc.this.id,
  availabilityZones: ["us-east-1a", "us-east-1b"],
  privateSubnetIds: existing.locals.subnets,
});
const network = read("network");
const group = new ec2.SecurityGroup(stack, "tasks", { vpc, allowAllOutbound: false, ...describe(network) });
for (const [id, rule] of resources(network, "aws_vpc_security_group_egress_rule")) {
  const other = rule.referenced_security_group_id;
  const peer = other ? ec2.SecurityGroup.fromSecurityGroupId(stack, `egress-${id}`, other) : ec2.Peer.ipv4(rule.cidr_ipv4);
  group.addEgressRule(peer, ec2.Port.tcp(rule.from_port), rule.description);
}
for (const [id, rule] of resources(network, "aws_vpc_security_group_ingress_rule")) {
  const target = ec2.SecurityGroup.fromSecurityGroupId(stack, `ingress-${id}`, rule.security_group_id);
  target.addIngressRule(group, ec2.Port.tcp(rule.from_port), rule.description);
}
const cluster = ecs.Cluster.fromClusterAttributes(stack, "cluster", {
  clusterName: existing.data.aws_ecs_cluster.this.cluster_name,
  vpc,
  securityGroups: [group],
});
const logFile = read("logs");
const logGroups = Object.fromEntries(
  resources(logFile, "aws_cloudwatch_log_group").map(([id, one]) => [id, makeLogGroup(`log-${id}`, one.name, one)]),
);
for (const [id, filter] of resources(logFile, "aws_cloudwatch_log_subscription_filter")) {
  const forwarder = lambda.Function.fromFunctionArn(stack, `forwarder-${id}`, filter.destination_arn);
  new logs.SubscriptionFilter(stack, `forward-${id}`, {
    logGroup: logGroups[id],
    destination: new destinations.LambdaDestination(forwarder),
    filterPattern: logs.FilterPattern.allEvents(),
    filterName: filter.name,
  });
}
for (const [id, rule] of resources(logFile, "aws_cloudwatch_event_rule")) {
  new events.Rule(stack, `rule-${id}`, {
    ruleName: rule.name,
    description: rule.description,
    eventPattern: {
      source: ["aws.ecs"],
      detailType: ["ECS Task State Change"],
      detail: {
        clusterArn: [cluster.clusterArn],
        taskDefinitionArn: [{ prefix: `${shared.definitions}/${prefix}-` }],
      },
    },
    targets: [new eventTargets.CloudWatchLogGroup(logGroups.events)],
  });
}

// The tasks.
const repository = ecr.Repository.fromRepositoryName(stack, "image", existing.data.aws_ecr_repository.image.name);
const image = ecs.ContainerImage.fromEcrRepository(repository, "0123abcd");
const tasks = Object.fromEntries(modules(taskFile, "ecs_task").map(([id, task]) => [id, makeTask(task)]));
for (const [file, id, parameter] of [taskFile, network].flatMap((file) =>
  resources(file, "aws_ssm_parameter").map(([id, parameter]) => [file, id, parameter]),
)) {
  new ssm.StringParameter(stack, `parameter-${id}`, {
    parameterName: parameter.name,
    description: parameter.description,
    stringValue: file === taskFile ? "0123abcd" : stack.toJsonString({ cluster: cluster.clusterArn, subnets: existing.locals.subnets }),
  });
}

// The workflows.
const workflowFile = read("workflows");
const workflows = Object.fromEntries(
  resources(workflowFile, "aws_sfn_state_machine").map(([id, machine]) => [id, makeWorkflow(id, machine)]),
);

// The schedules and triggers.
const queues = {};
const scheduleFile = read("schedules");
const triggerFile = read("triggers");
for (const [id, queue] of [scheduleFile, triggerFile].flatMap((file) => resources(file, "aws_sqs_queue"))) {
  queues[id] = makeQueue(id, queue.name);
}
const scheduleGroup = new scheduler.ScheduleGroup(stack, "schedules", { scheduleGroupName: prefix });
for (const [id, schedule] of modules(scheduleFile, "ecs_task_scheduler")) {
  new scheduler.Schedule(stack, id, {
    scheduleName: schedule.name,
    scheduleGroup,
    schedule: scheduler.ScheduleExpression.expression(schedule.schedule_expression, cdk.TimeZone.of(schedule.timezone)),
    enabled: schedule.enabled,
    target: makeTarget(id, schedule),
  });
}
for (const [id, trigger] of modules(triggerFile, "s3_ecs_trigger")) {
  const task = tasks[/module\.(\w+)\./.exec(trigger.task_definition_arn)[1]];
  const code = makeFunction(id, trigger, "s3_ecs_trigger", queues.triggers_dead_letters);
  code.addEnvironment("CLUSTER", cluster.clusterArn);
  code.addEnvironment("TASK_DEFINITION", task.family);
  code.addEnvironment("CONTAINER", trigger.container);
  code.addEnvironment("SUBNETS", existing.locals.subnets.join(","));
  code.addEnvironment("SECURITY_GROUPS", group.securityGroupId);
  task.grantRun(code);
}
for (const [id, configuration] of resources(triggerFile, "aws_s3_bucket_notification")) {
  for (const one of configuration.lambda_function) {
    const bucket =
      stack.node.tryFindChild(`bucket-${id}`) || s3.Bucket.fromBucketName(stack, `bucket-${id}`, configuration.bucket);
    const code = stack.node.findChild(/module\.(\w+)\./.exec(one.lambda_function_arn)[1]);
    const destination = new notifications.LambdaDestination(code);
    bucket.addEventNotification(s3.EventType.OBJECT_CREATED, destination, { prefix: one.filter_prefix });
  }
}

// The notices and alarms.
const noticeFile = read("notices");
const key = new kms.Key(stack, "topics", { enableKeyRotation: true });
for (const [id, one] of resources(noticeFile, "aws_sns_topic")) {
  const topic = new sns.Topic(stack, id, { topicName: one.name, displayName: one.display_name, masterKey: key });
  const emails = noticeFile.resource.aws_sns_topic_subscription[`${id}_emails`];
  for (const address of Object.keys(emails.for_each)) {
    topic.addSubscription(new subscriptions.EmailSubscription(address));
  }
  for (const [name, module] of modules(noticeFile, "chat_notices")) {
    const code = makeFunction(name, module, "chat_notices", makeQueue(`${name}-dead-letters`, `${module.name}-dead-letters`));
    topic.addSubscription(new subscriptions.LambdaSubscription(code));
  }
}
for (const [name, module] of modules(noticeFile, "failure_notices")) {
  const code = makeFunction(name, module, "failure_notices", makeQueue(`${name}-dead-letters`, `${module.name}-dead-letters`));
  for (const [workflow, one] of Object.entries(module.workflows)) {
    new events.Rule(stack, `${name}-${workflow}`, {
      ruleName: one.rule,
      eventPattern: {
        source: ["aws.states"],
        detailType: ["Step Functions Execution Status Change"],
        detail: { stateMachineArn: [one.state_machine_arn], status: ["FAILED", "TIMED_OUT", "ABORTED"] },
      },
      targets: [
        new eventTargets.LambdaFunction(code, {
          event: events.RuleTargetInput.fromObject({ ...one.notice, detail: events.EventField.fromPath("$.detail") }),
        }),
      ],
    });
  }
}
const alarmFile = read("alarms");
for (const [id, filter] of resources(alarmFile, "aws_cloudwatch_log_metric_filter")) {
  const metric = filter.metric_transformation;
  new logs.MetricFilter(stack, `filter-${id}`, {
    logGroup: id === "failures" ? logGroups.events : logGroups.tasks,
    filterPattern: logs.FilterPattern.literal(filter.pattern),
    metricNamespace: metric.namespace,
    metricName: metric.name,
    metricValue: metric.value,
    dimensions: metric.dimensions,
  });
}
const pagers = {};
for (const [id, alarm] of resources(alarmFile, "aws_cloudwatch_metric_alarm")) {
  const made = new cloudwatch.Alarm(stack, `alarm-${id}`, {
    alarmName: alarm.alarm_name,
    alarmDescription: alarm.alarm_description,
    metric: new cloudwatch.Metric({
      namespace: alarm.namespace,
      metricName: alarm.metric_name,
      dimensionsMap: alarm.dimensions,
      statistic: alarm.statistic,
      period: cdk.Duration.seconds(alarm.period),
    }),
    evaluationPeriods: alarm.evaluation_periods,
    threshold: alarm.threshold,
    comparisonOperator: cloudwatch.ComparisonOperator[snake(alarm.comparison_operator)],
    treatMissingData: cloudwatch.TreatMissingData[snake(alarm.treat_missing_data)],
  });
  for (const arn of alarm.alarm_actions) {
    made.addAlarmAction(new actions.SnsAction((pagers[arn] ??= sns.Topic.fromTopicArn(stack, arn.split(":").pop(), arn))));
  }
  for (const arn of alarm.ok_actions || []) {
    made.addOkAction(new actions.SnsAction(pagers[arn]));
  }
}
for (const [id, one] of resources(alarmFile, "aws_cloudwatch_dashboard")) {
  new cloudwatch.CfnDashboard(stack, `dashboard-${id}`, {
    dashboardName: one.dashboard_name,
    dashboardBody: one.dashboard_body,
  });
}
app.synth();

function describe(file) {
  const [[, one]] = resources(file, "aws_security_group");
  return { securityGroupName: one.name, description: one.description };
}

function makeLogGroup(id, logGroupName, { kms_key_id, log_key_arn, retention_in_days, log_retention_days }) {
  return new logs.LogGroup(stack, id, {
    logGroupName,
    retention: retention_in_days || log_retention_days,
    encryptionKey: kms.Key.fromKeyArn(stack, `${id}-key`, kms_key_id || log_key_arn),
  });
}

function makeQueue(id, queueName) {
  return new sqs.Queue(stack, id, {
    queueName,
    retentionPeriod: cdk.Duration.days(14),
    encryption: sqs.QueueEncryption.SQS_MANAGED,
  });
}

function makeStatement({ sid, actions, resources, conditions }) {
  const grouped = {};
  for (const { test, variable, values } of conditions || []) {
    (grouped[test] ??= {})[variable] = values;
  }
  return new iam.PolicyStatement({ sid, actions, resources, conditions: grouped });
}

function makeTask(task) {
  const id = family(task.name);
  const assumedBy = new iam.ServicePrincipal("ecs-tasks.amazonaws.com", {
    conditions: {
      StringEquals: { "aws:SourceAccount": account },
      ArnLike: { "aws:SourceArn": `arn:aws:ecs:${shared.region}:${account}:*` },
    },
  });
  const taskRole = new iam.Role(stack, `${id}-role`, { roleName: task.role_name || `${prefix}-${task.name}`, assumedBy });
  for (const statement of task.statements || []) {
    taskRole.addToPolicy(makeStatement(statement));
  }
  const executionRole = new iam.Role(stack, `${id}-execution-role`, {
    roleName: task.execution_role_name || `${prefix}-${task.name}-execution`,
    assumedBy,
  });
  const definition = new ecs.FargateTaskDefinition(stack, id, {
    family: `${prefix}-${task.name}`,
    cpu: task.cpu,
    memoryLimitMiB: task.memory,
    ephemeralStorageGiB: task.scratch > 20 ? task.scratch : undefined,
    taskRole,
    executionRole,
    volumes: task.scratch > 0 ? [{ name: "scratch" }] : [],
    runtimePlatform: { cpuArchitecture: ecs.CpuArchitecture.X86_64 },
  });
  const environment = { ...shared.environment, ...task.environment };
  const secrets = { ...shared.secrets, ...task.secrets };
  const rules = {
    task: task.name,
    program: task.program,
    args: task.args,
    fixed: environment,
    open: { ...shared.open, ...task.open },
    secrets: Object.keys(secrets).sort(),
  };
  const linuxParameters = new ecs.LinuxParameters(stack, `${id}-linux`, { initProcessEnabled: true });
  linuxParameters.dropCapabilities(ecs.Capability.ALL);
  const container = definition.addContainer(task.name, {
    image,
    entryPoint: ["python", "-I", "-m", "nightferry.container", JSON.stringify(rules)],
    environment,
    secrets: Object.fromEntries(
      Object.entries(secrets).map(([name, parameterName]) => {
        const parameter = ssm.StringParameter.fromSecureStringParameterAttributes(stack, `${id}-${name}`, { parameterName });
        return [name, ecs.Secret.fromSsmParameter(parameter)];
      }),
    ),
    readonlyRootFilesystem: true,
    linuxParameters,
    stopTimeout: cdk.Duration.seconds(120),
    logging: ecs.LogDrivers.awsLogs({
      logGroup: logGroups.tasks,
      streamPrefix: shared.log_stream_prefix,
      mode: ecs.AwsLogDriverMode.BLOCKING,
    }),
  });
  if (task.scratch > 0) {
    container.addMountPoints({ sourceVolume: "scratch", containerPath: "/tmp", readOnly: false });
  }
  return definition;
}

function makeWorkflow(id, machine) {
  const used = Object.keys(workflowFile.locals[`${id}_variables`]).filter((name) => name.startsWith("task_"));
  const role = new iam.Role(stack, `workflow-${id}-role`, {
    roleName: machine.name,
    assumedBy: new iam.ServicePrincipal("states.amazonaws.com"),
  });
  for (const name of used) {
    tasks[name].grantRun(role);
  }
  return new sfn.StateMachine(stack, `workflow-${id}`, {
    stateMachineName: machine.name,
    role,
    tracingEnabled: true,
    logs: { destination: logGroups.workflows, level: sfn.LogLevel.ALL, includeExecutionData: true },
    definitionBody: sfn.DefinitionBody.fromString(
      fs.readFileSync(path.join(folder, "workflows", `${id.replaceAll("_", "-")}.asl.json`), "utf-8"),
    ),
    definitionSubstitutions: {
      cluster: cluster.clusterArn,
      security_groups: group.securityGroupId,
      ...Object.fromEntries(used.map((name) => [name, tasks[name].family])),
    },
  });
}

function makeTarget(id, schedule) {
  const options = {
    role: new iam.Role(stack, `${id}-role`, {
      roleName: `${schedule.name}-schedule`,
      assumedBy: new iam.ServicePrincipal("scheduler.amazonaws.com"),
    }),
    deadLetterQueue: queues.schedules_dead_letters,
    retryAttempts: schedule.retry_attempts,
    maxEventAge: cdk.Duration.seconds(schedule.retry_seconds),
  };
  if (schedule.state_machine_arn) {
    return new targets.StepFunctionsStartExecution(workflows[schedule.state_machine_arn.split(".")[1]], {
      ...options,
      input: scheduler.ScheduleTargetInput.fromText(schedule.input),
    });
  }
  return new targets.EcsRunFargateTask(cluster, {
    ...options,
    taskDefinition: tasks[/module\.(\w+)\./.exec(schedule.task_definition_arn)[1]],
    securityGroups: [group],
    vpcSubnets: { subnets: vpc.privateSubnets },
    input: scheduler.ScheduleTargetInput.fromText(JSON.stringify(schedule.overrides)),
  });
}

function makeFunction(id, module, name, deadLetterQueue) {
  const code = path.resolve(folder, "..", "..", "modules", name);
  const handler = fs.readdirSync(code).find((file) => file.endsWith(".py"));
  return new lambda.Function(stack, id, {
    functionName: module.name,
    runtime: lambda.Runtime.PYTHON_3_13,
    handler: `${path.parse(handler).name}.handle`,
    code: lambda.Code.fromAsset(code, { exclude: ["*", `!${handler}`] }),
    role: new iam.Role(stack, `${id}-role`, {
      roleName: module.name,
      assumedBy: new iam.ServicePrincipal("lambda.amazonaws.com"),
    }),
    logGroup: makeLogGroup(`${id}-log`, `/aws/lambda/${module.name}`, module),
    deadLetterQueue,
    retryAttempts: 2,
    maxEventAge: cdk.Duration.hours(1),
  });
}

function snake(text) {
  return text.replace(/[A-Z]/g, (letter) => `_${letter}`).replace(/^_/, "").toUpperCase();
}
