"""What dbt's own macros stand for while sqlfluff reads the models. Only sqlfluff loads this file, by its path."""


def concat(parts):
    return " || ".join(parts)


def type_numeric():
    return "decimal(28, 6)"


def type_timestamp():
    return "timestamp"


def datediff(first, second, part):
    return f"date_diff('{part}', {first}, {second})"


def dateadd(part, number, expression):
    return f"{expression} + {number}"
