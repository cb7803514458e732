"""What a month of this environment costs on AWS."""

from __future__ import annotations

from starlette.responses import Response

from nightferry.costs.estimate import NOT_INCLUDED
from nightferry.costs.fires import InvalidMonth, Month
from nightferry.costs.prices import ARCHITECTURE_NAMES, ARCHITECTURES
from nightferry.dashboard.estimates.month_costs import MonthCosts
from nightferry.dashboard.view import BadRequest, View
from nightferry.presentation.costs import (
    describe_basis,
    format_count,
    format_dollars,
    format_each,
    format_starts,
    list_costly,
    list_executed,
    render_json,
)

_SHOWN_MONTHS = 3


def show(view: View) -> Response:
    """Show the estimate of a month."""
    now = Month.of(view.site.clock.now())
    try:
        month = Month.parse(view.text("month")) if view.text("month") else now
    except InvalidMonth as error:
        raise BadRequest(str(error)) from None
    found = view.site.get_shared(MonthCosts).estimate(month)
    if found is None:
        return view.page("costs_waiting.html", title="Costs", json={"in_progress": True}, live=True, month=str(month))
    return view.page(
        "costs.html",
        title="Costs",
        json=render_json(found),
        estimate=found,
        totals=[(ARCHITECTURE_NAMES[one], format_dollars(found.total(one))) for one in ARCHITECTURES],
        basis=describe_basis(found),
        months=_list_months(now),
        tasks=[
            {
                "name": cost.task,
                "size": f"{cost.size.cpu / 1024:g} vCPU, {cost.size.memory / 1024:g} GB",
                "runs": format_count(cost.runs),
                "starts": format_starts(cost.starts),
                "each": format_each(cost),
                "basis": cost.basis,
                "prices": [format_dollars(cost.prices[one]) for one in ARCHITECTURES],
            }
            for cost in list_costly(found)
        ],
        workflows=[
            {
                "name": cost.workflow,
                "executions": format_count(cost.executions),
                "starts": format_starts(cost.starts),
                "transitions": format_count(cost.transitions),
                "basis": cost.basis,
                "price": format_dollars(cost.price),
            }
            for cost in list_executed(found)
        ],
        dollars=format_dollars,
        not_included=NOT_INCLUDED,
        sources=sorted(set(found.prices.sources.values())),
    )


def _list_months(month: Month) -> list[str]:
    """Return this month and the next ones, to choose from."""
    months = [month]
    while len(months) < _SHOWN_MONTHS:
        months.append(Month.of(months[-1].end))
    return [str(one) for one in months]
