"""Tests of permissions: an emulated account in which each role has only its own policies, and its services.

``server`` is moto's server with IAM enforced; ``account`` its clients with the credentials of roles. ``agent`` runs
tasks as Fargate does, ``services`` makes the calls of EventBridge Scheduler, Lambda and Step Functions, and
``database`` authenticates as Amazon RDS does. ``report`` lists the statements that no call needed.
"""
