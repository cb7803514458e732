"""Parsing of a Choice state's rules."""

from __future__ import annotations

from nightferry.states.data.expressions import Constant, PathExpression
from nightferry.states.language import choice, model
from nightferry.states.language.fields import Fields


def parse_choice_branch(fields: Fields) -> model.ChoiceBranch | None:
    """Parse one entry of Choices; return None if it is invalid."""
    following = fields.read_text("Next", required=True) or ""
    fields.read_text("Comment")
    assign = fields.read_assign()
    if fields.current_language == "JSONata":
        condition = fields.read_jsonata("Condition")
        if condition is None and fields.has("Condition"):
            if not isinstance(fields.source["Condition"], bool):
                fields.report("Condition", "Condition must be a JSONata expression {% … %}, true or false.")
            condition = Constant(fields.source["Condition"])
        elif condition is None:
            fields.report(None, "Condition is missing.")
        output = fields.read_template("Output")
        fields.reject_unknown_fields()
        return model.ChoiceBranch(next=following, condition=condition, assign=assign, output=output)
    rule = _parse_rule(fields)
    fields.reject_unknown_fields()
    return None if rule is None else model.ChoiceBranch(next=following, rule=rule, assign=assign)


def _parse_rule(fields: Fields) -> choice.Rule | None:
    operators = [
        name
        for name in fields.source
        if name in choice.OPERAND_TESTS or name in choice.PATH_OPERATORS or name in ("And", "Or", "Not")
    ]
    if len(operators) != 1:
        fields.report(None, "A rule must have exactly one operator, such as StringEquals, IsPresent, And, Or or Not.")
        for name in operators:
            fields.has(name)
        fields.has("Variable")
        return None
    operator = operators[0]
    if operator in ("And", "Or"):
        rules = tuple(
            rule
            for part in fields.read_objects(operator, required=True)
            if (rule := _parse_inner_rule(part)) is not None
        )
        return choice.And(rules) if operator == "And" else choice.Or(rules)
    if operator == "Not":
        part = fields.read_part("Not")
        rule = None if part is None else _parse_inner_rule(part)
        return None if rule is None else choice.Not(rule)
    return _parse_comparison(fields, operator)


def _parse_inner_rule(fields: Fields) -> choice.Rule | None:
    if fields.has("Next"):
        fields.report("Next", "Next is allowed only in the outermost rule.")
    fields.read_text("Comment")
    rule = _parse_rule(fields)
    fields.reject_unknown_fields()
    return rule


def _parse_comparison(fields: Fields, operator: str) -> choice.Rule | None:
    if not fields.has("Variable"):
        fields.report(None, "Variable is missing.")
        fields.has(operator)
        return None
    variable = fields.compile_path("Variable", fields.source["Variable"])
    operand = fields.read(operator)
    if operator in choice.PATH_OPERATORS:
        expected = fields.compile_path(operator, operand)
        if not isinstance(variable, PathExpression) or not isinstance(expected, PathExpression):
            return None
        return choice.Comparison(variable.path, operator.removesuffix("Path"), expected.path)
    test, description = choice.OPERAND_TESTS[operator]
    if not test(operand):
        fields.report(operator, f"{operator} requires {description}, not {operand!r}.")
    return choice.Comparison(variable.path, operator, operand) if isinstance(variable, PathExpression) else None
