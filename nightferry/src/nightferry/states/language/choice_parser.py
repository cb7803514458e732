"""Reading the rules of a Choice state."""

from __future__ import annotations

from nightferry.states.data.expressions import Constant, PathExpression
from nightferry.states.language import choice, model
from nightferry.states.language.fields import Fields


def choice_branch(fields: Fields) -> model.ChoiceBranch | None:
    """One of Choices; None if it cannot be read."""
    following = fields.text("Next", required=True) or ""
    fields.text("Comment")
    assign = fields.assign()
    if fields.language_now == "JSONata":
        condition = fields.jsonata_only("Condition")
        if condition is None and fields.has("Condition"):
            if not isinstance(fields.source["Condition"], bool):
                fields.problem("Condition", "Condition is a JSONata expression {% … %}, true or false.")
            condition = Constant(fields.source["Condition"])
        elif condition is None:
            fields.problem(None, "Condition is missing.")
        output = fields.template("Output")
        fields.reject_unknown_fields()
        return model.ChoiceBranch(next=following, condition=condition, assign=assign, output=output)
    rule = _rule(fields)
    fields.reject_unknown_fields()
    return None if rule is None else model.ChoiceBranch(next=following, rule=rule, assign=assign)


def _rule(fields: Fields) -> choice.Rule | None:
    operators = [
        name
        for name in fields.source
        if name in choice.OPERAND_TESTS or name in choice.PATH_OPERATORS or name in ("And", "Or", "Not")
    ]
    if len(operators) != 1:
        fields.problem(None, "A rule has exactly one operator, such as StringEquals, IsPresent, And, Or or Not.")
        for name in operators:
            fields.has(name)
        fields.has("Variable")
        return None
    operator = operators[0]
    if operator in ("And", "Or"):
        rules = tuple(rule for part in fields.objects(operator, required=True) if (rule := _inner(part)) is not None)
        return choice.And(rules) if operator == "And" else choice.Or(rules)
    if operator == "Not":
        part = fields.part("Not")
        rule = None if part is None else _inner(part)
        return None if rule is None else choice.Not(rule)
    return _comparison(fields, operator)


def _inner(fields: Fields) -> choice.Rule | None:
    if fields.has("Next"):
        fields.problem("Next", "Only the outermost rule has Next.")
    fields.text("Comment")
    rule = _rule(fields)
    fields.reject_unknown_fields()
    return rule


def _comparison(fields: Fields, operator: str) -> choice.Rule | None:
    if not fields.has("Variable"):
        fields.problem(None, "Variable is missing.")
        fields.has(operator)
        return None
    variable = fields.compiled("Variable", fields.source["Variable"])
    operand = fields.raw(operator)
    if operator in choice.PATH_OPERATORS:
        expected = fields.compiled(operator, operand)
        if not isinstance(variable, PathExpression) or not isinstance(expected, PathExpression):
            return None
        return choice.Comparison(variable.path, operator.removesuffix("Path"), expected.path)
    test, description = choice.OPERAND_TESTS[operator]
    if not test(operand):
        fields.problem(operator, f"{operator} compares with {description}, not {operand!r}.")
    return choice.Comparison(variable.path, operator, operand) if isinstance(variable, PathExpression) else None
