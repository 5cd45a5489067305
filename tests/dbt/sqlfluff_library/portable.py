"""What the package's macros stand for while sqlfluff reads the models: SQL of the same kind, without dbt."""


def text(expression):
    return f"cast({expression} as varchar)"


def money(expression):
    return f"cast({expression} as decimal(18, 2))"


def whole(expression):
    return f"cast({expression} as bigint)"


def ratio(numerator, denominator):
    return money(f"{numerator} / {denominator}")


def utc_timestamp(column):
    return f"cast({column} as timestamp)"


def month_of(expression):
    return f"cast({expression} as date)"


def date_part(part, expression):
    return f"cast(extract({part} from {expression}) as bigint)"


def days_before(days, expression):
    return f"cast({expression} - {days} as date)"


def true_literal():
    return "true"


def false_literal():
    return "false"
