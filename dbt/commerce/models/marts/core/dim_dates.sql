-- Every day from 2018-01-01, a Monday, to 2034-12-31. Counted by digits, as every warehouse has series of its own.
with digits as (

    {%- for digit in range(10) %}
    select {{ digit }} as digit
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}

),

numbers as (

    select thousands.digit * 1000 + hundreds.digit * 100 + tens.digit * 10 + ones.digit as day_number

    from digits as thousands
    cross join digits as hundreds
    cross join digits as tens
    cross join digits as ones
    where thousands.digit * 1000 + hundreds.digit * 100 + tens.digit * 10 + ones.digit < 6209

),

days as (

    select
        cast({{ dbt.dateadd('day', 'day_number', "cast('2018-01-01' as date)") }} as date) as date_day,
        day_number - 7 * floor(day_number / 7.0) + 1 as iso_weekday

    from numbers

)

select
    date_day,
    {{ portable.date_part('year', 'date_day') }} as year_number,
    {{ portable.date_part('quarter', 'date_day') }} as quarter_of_year,
    {{ portable.date_part('month', 'date_day') }} as month_of_year,
    {{ portable.month_of('date_day') }} as month_start,
    {{ portable.whole('iso_weekday') }} as iso_weekday,
    case
        when iso_weekday >= 6 then {{ portable.true_literal() }}
        else {{ portable.false_literal() }}
    end as is_weekend
from days
