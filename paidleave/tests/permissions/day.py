"""A day of the test environment: each task, trigger, schedule and workflow runs on real input, in this order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from nightferry.testing.iam.account import Failed
from nightferry.testing.iam.services import make_failure_event, make_object_event
from tests.fineos import administrators
from tests.fineos.employee_updates.employee_updates_world import format_file
from tests.operations.sftp_server import sftp_server
from tests.permissions.world import World

EXPORTS = "IDT/dataexports"


@dataclass(frozen=True)
class Event:
    """A part of the day. A run that fails raises :class:`~nightferry.testing.iam.services.Failed`."""

    name: str
    run: Callable[[World], None]


def migrate(world: World) -> None:
    world.run("db-migrate-up")


def create_users(world: World) -> None:
    world.run("db-admin-create-db-users")


def create_workflows(world: World) -> None:
    for workflow in world.deployment.resources.catalog.workflows:
        world.services.states.create(world.machine(workflow))


def run_etl_with_generated_files(world: World) -> None:
    world.fire("generated-dor-fineos-etl")


def run_etl_with_employee_updates(world: World) -> None:
    with world.connect() as connection:
        rows = connection.execute(
            "SELECT employee_id::text, tax_identifier, first_name, last_name, fineos_employer_id FROM employee"
            " JOIN tax_identifier USING (tax_identifier_id) JOIN wages_and_contributions USING (employee_id)"
            " JOIN employer USING (employer_id) LIMIT 1"
        ).fetchall()
    names = ("EMPLOYEEIDENTIFIER", "EMPLOYEENATIONALID", "EMPLOYEEFIRSTNAME", "EMPLOYEELASTNAME", "ORG_CUSTOMERNO")
    content = format_file({name: str(value) for name, value in zip(names, row, strict=True)} for row in rows)
    world.put("fineos-export", f"{EXPORTS}/2026-01-06-20-30-00-EmployeeDataLoad_feed.csv", content)
    world.run("dor-generate", UPDATE="true")
    world.scan()
    world.fire("dor-fineos-etl")


def import_employee_updates(world: World) -> None:
    world.fire("fineos-import-employee-updates")


def generate(world: World, files: str) -> None:
    world.run("dor-generate", FILES=files)


def find_key(world: World, prefix: str) -> str:
    (key,) = [key for key in world.keys_in("agency-transfer", prefix) if not key.endswith(".gpg")]
    return key


def receive(world: World, trigger: str, prefix: str) -> None:
    """Deliver an event two hours late: the function searches the log of task state changes for an earlier start."""
    world.scan()
    event = make_object_event(world.bucket("agency-transfer"), find_key(world, prefix), timedelta(hours=2))
    world.services.invoke(world.trigger(trigger), event)


def receive_exempt_employers(world: World) -> None:
    generate(world, "exempt")
    receive(world, "exempt-employers", "dor/received/DORDUADFML_2")


def receive_returning_companies(world: World) -> None:
    generate(world, "returning")
    receive(world, "returning-to-state-plan", "dfml/received/CompaniesReturningToStatePlan")


def receive_response(world: World) -> None:
    generate(world, "response")
    receive(world, "pending-filing-response", "dor/received/DORDUADFML_SUBMISSION_")


def export_statements(world: World) -> None:
    exports = {"leave-admins-created": "export-leave-admins-created", "psd-report": "export-psd-report"}
    for name, schedule in exports.items():
        world.put("sql-exports", f"statements/{name}.sql", b"SELECT count(*) AS employers FROM employer")
        world.fire(schedule)


def show_and_store_a_query(world: World) -> None:
    world.run("execute-sql", SQL="SELECT count(*) FROM employer")
    world.run("execute-sql", SQL="SELECT count(*) FROM employer", DESTINATION="bucket", EXPORT_NAME="employers")


def name_a_missing_statement(world: World) -> None:
    """Report a missing object as missing: S3 returns 403, and the role lists the object's key."""
    try:
        world.run("execute-sql", SQL_FILE=f"s3://{world.bucket('sql-exports')}/statements/missing.sql")
    except Failed as failed:
        if "not found" in str(failed):
            return
        raise


def copy_vendor_files(world: World) -> None:
    world.put("fineos-export", f"{EXPORTS}/2026-01-05-20-00-00-VBI_CASE.csv", b"ID,NAME\n1,x\n")
    world.put("fineos-export", "IDT/reportExtract/2026-01-05-20-00-00-report.csv", b"ID\n1\n")
    key = "payments/static/fineos-query/config-fineos-payments-snapshot.json"
    world.put("agency-transfer", key, b"{}")
    for schedule in ("fineos-data-export-tool", "fineos-report-extracts-tool", "fineos-snapshot-extracts-tool"):
        world.fire(schedule)


def move_objects(world: World) -> None:
    """Move objects by hand, from each bucket of ours to the other."""
    world.put("agency-transfer", "cps-errors/by-hand/a.csv", b"ID\n1\n")
    world.put("business-intelligence", "fineos/by-hand/b.csv", b"ID\n1\n")
    transfer, intelligence = (f"s3://{world.bucket(name)}" for name in ("agency-transfer", "business-intelligence"))
    for source, target in (
        (f"{transfer}/cps-errors/by-hand", f"{intelligence}/fineos/moved"),
        (f"{intelligence}/fineos/by-hand", f"{transfer}/cps-errors/moved"),
    ):
        world.run("fineos-bucket-tool", ACTION="move", FROM_PATH=source, TO_PATH=target)


def report_tagged_errors(world: World) -> None:
    """Report errors in a file that was scanned after it had arrived."""
    world.put("agency-transfer", "cps-errors/received/2026-01-07-20-00-00-Errors.csv", b"ERRORCODE,ID\nAB123,1\n")
    world.run("cps-errors-crawler")


def import_warehouse(world: World) -> None:
    world.fire("import-fineos-to-warehouse")


def report_errors(world: World) -> None:
    world.put("fineos-export", "IDT/errorExtracts/2026-01-05-20-00-00-Errors.csv", b"ERRORCODE,ID\nAB123,1\n")
    world.fire("fineos-error-extracts")


def import_organization_units(world: World) -> None:
    with world.connect() as connection:
        connection.execute(administrators.TABLES)
        for table in ('"user"', "link_user_leave_administrator", "link_user_leave_administrator_org_unit"):
            connection.execute(f"ALTER TABLE {table} OWNER TO pfml")
            connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO pfml_jobs")
        feins = connection.execute(
            "SELECT employer_fein FROM employer WHERE fineos_employer_id IS NOT NULL LIMIT 3"
        ).fetchall()
    administrators.write_list(world.folder, *(("1", fein, "ada@example.com", "North") for (fein,) in feins))
    (file,) = world.folder.glob("*VBI_ORGUNIT*")
    world.put("fineos-export", f"{EXPORTS}/{file.name}", file.read_bytes())
    file.unlink()
    world.fire("fineos-import-la-units")
    world.fire("weekend-fineos-import-la-units")


def check_database(world: World) -> None:
    world.fire("paidleave-check")


def check_imported_data(world: World) -> None:
    """Check the generated data, which has gaps between quarters."""
    world.run("paidleave-check", LIMITS="wages-without-contribution=10000,missing-quarters=10000")


def exchange_files(world: World) -> None:
    folder = world.folder / "sshd"
    folder.mkdir(exist_ok=True)
    with sftp_server(folder) as server:
        (folder / "report.csv").write_text("content")
        variables = {
            "SFTP_URI": server.uri,
            "SFTP_HOST_KEY": server.host_key("ed25519"),
            "SFTP_PRIVATE_KEY": server.private_key("user_ed25519"),
        }
        target = f"s3://{world.bucket('agency-transfer')}/sftp/report.csv"
        get = {"ACTION": "get", "REMOTE_PATH": str(folder / "report.csv"), "STORAGE_PATH": target}
        world.agent.declared = variables  # the environment declares the server; a start must not choose another
        world.run("sftp-tool", **get)
        put = {"ACTION": "put", "REMOTE_PATH": str(folder / "back.csv"), "STORAGE_PATH": target}
        world.run("sftp-tool", **put)
        world.agent.declared = {}


def notify_of_failures(world: World) -> None:
    """Deliver the event of a failed execution of each workflow: the topic receives its notice, with the step."""
    for workflow in world.deployment.resources.catalog.workflows:
        event = make_failure_event(world.machine(workflow))
        output = world.services.invoke(f"{world.prefix}-failure-notices", event)
        if "history not read" in output or "published" not in output:
            raise Failed(output)


def lose_starts(world: World) -> None:
    """Let each schedule and each trigger give up, so that its start becomes a dead letter."""
    catalog = world.deployment.resources.catalog
    for schedule in catalog.schedules:
        world.services.give_up(world.prefix, f"{world.prefix}-{schedule}")
    for trigger in catalog.object_triggers:
        world.services.discard_event(world.trigger(trigger))
    world.services.discard_event(f"{world.prefix}-failure-notices")


def revert(world: World) -> None:
    world.run("db-migrate-down")


DAY = tuple(
    Event(run.__name__.replace("_", " "), run)
    for run in (
        migrate,
        create_users,
        create_workflows,
        check_database,
        run_etl_with_generated_files,
        check_imported_data,
        run_etl_with_employee_updates,
        import_employee_updates,
        receive_exempt_employers,
        receive_returning_companies,
        receive_response,
        export_statements,
        show_and_store_a_query,
        name_a_missing_statement,
        copy_vendor_files,
        move_objects,
        import_warehouse,
        report_errors,
        report_tagged_errors,
        import_organization_units,
        exchange_files,
        notify_of_failures,
        lose_starts,
        revert,
    )
)
