with days as (
    select
        _key,
        cast(unnest(generate_series(startDate, endDate, interval 1 day)) as date) as day
    from {{ changed('financial_periods') }}
)

-- Companies share the calendar: nothing here may differ between them. Periods may touch on a day.
select
    min(_key) as source_key,
    strftime(day, '%Y-%m-%d') as source_number,
    day,
    cast(year(day) as integer) as year,
    cast(year(day) as varchar) || '-Q' || cast(quarter(day) as varchar) as quarter,
    strftime(day, '%Y-%m') as month,
    strftime(day, '%G-W%V') as week,
    dayname(day) as weekday,
    cast(isodow(day) as integer) as weekday_number
from days
group by day
