"""Load wages with SQLAlchemy's ORM, one row at a time: each line looks its wages up, then changes or adds an object.

The employers and people are looked up once, at the start. The session writes its changes in batches of 1,000 lines
with a commit each, so that the ORM combines the INSERT statements of a batch.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from benchmarks.peer_programs.b_lines import Record, read_arguments, read_batches

BATCH = 1_000


class Base(DeclarativeBase):
    """The tables, with the columns that the file fills."""


class Employer(Base):
    __tablename__ = "employer"
    employer_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_key: Mapped[str | None]


class TaxIdentifier(Base):
    __tablename__ = "tax_identifier"
    tax_identifier_id: Mapped[UUID] = mapped_column(primary_key=True)
    tax_identifier: Mapped[str]


class Employee(Base):
    __tablename__ = "employee"
    employee_id: Mapped[UUID] = mapped_column(primary_key=True)
    tax_identifier_id: Mapped[UUID] = mapped_column(ForeignKey("tax_identifier.tax_identifier_id"))
    first_name: Mapped[str]
    last_name: Mapped[str]
    identifier: Mapped[TaxIdentifier] = relationship()


class Wage(Base):
    __tablename__ = "wages_and_contributions"
    wage_and_contribution_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_key: Mapped[str]
    filing_period: Mapped[date]
    employee_id: Mapped[UUID] = mapped_column(ForeignKey("employee.employee_id"))
    employer_id: Mapped[UUID] = mapped_column(ForeignKey("employer.employer_id"))
    is_independent_contractor: Mapped[bool]
    is_opted_in: Mapped[bool]
    employee_ytd_wages: Mapped[Decimal]
    employee_qtr_wages: Mapped[Decimal]
    employee_med_contribution: Mapped[Decimal]
    employer_med_contribution: Mapped[Decimal]
    employee_fam_contribution: Mapped[Decimal]
    employer_fam_contribution: Mapped[Decimal]
    employee: Mapped[Employee] = relationship()


def main() -> None:
    """Load the file."""
    file, fields, conninfo = read_arguments()
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo))
    with Session(engine, autoflush=False) as session:
        employers = dict(session.execute(select(Employer.account_key, Employer.employer_id)).tuples().all())
        known = select(TaxIdentifier.tax_identifier, Employee.employee_id).where(
            Employee.tax_identifier_id == TaxIdentifier.tax_identifier_id
        )
        people = dict(session.execute(known).tuples().all())
        for batch in read_batches(file, fields, BATCH):
            for line in batch:
                _load(session, line, employers, people)
            session.commit()
            session.expunge_all()


def _load(session: Session, line: Record, employers: dict[str | None, UUID], people: dict[str, UUID]) -> None:
    """Add or change the wages of a line, and add its person."""
    ssn = line["employee_ssn"]
    if ssn not in people:
        people[ssn] = uuid4()
        session.add(
            Employee(
                employee_id=people[ssn],
                identifier=TaxIdentifier(tax_identifier_id=people[ssn], tax_identifier=ssn),
                first_name=line["employee_first_name"],
                last_name=line["employee_last_name"],
            )
        )
    key = {
        "employee_id": people[ssn],
        "employer_id": employers[line["account_key"]],
        "filing_period": line["filing_period"],
    }
    wage = session.scalars(select(Wage).filter_by(**key)).one_or_none()
    if wage is None:
        wage = Wage(wage_and_contribution_id=uuid4(), account_key=line["account_key"], **key)
        session.add(wage)
    wage.is_independent_contractor = line["independent_contractor"]
    wage.is_opted_in = line["opt_in"]
    wage.employee_ytd_wages = line["employee_ytd_wages"]
    wage.employee_qtr_wages = line["employee_qtr_wages"]
    wage.employee_med_contribution = line["employee_medical"]
    wage.employer_med_contribution = line["employer_medical"]
    wage.employee_fam_contribution = line["employee_family"]
    wage.employer_fam_contribution = line["employer_family"]


if __name__ == "__main__":
    main()
