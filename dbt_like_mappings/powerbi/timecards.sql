with lines as (
    select _key, refNbr, status, week.number as week, employee.number as employee, unnest(summary) as line
    from {{ changed('timecards') }}
)

select
    _key as source_key,
    {{ company }} || '|' || refNbr || '|' || line.lineNumber as code,
    {{ company }} as company,
    refNbr as reference_number,
    line.lineNumber as line_number,
    status,
    {{ company }} || '|' || employee as employee,
    -- Monday of the ISO week: the 4th of January is always in the first one.
    cast(
        date_trunc('week', make_date(try_cast(left(week, 4) as integer), 1, 4))
        + to_days(7 * (try_cast(right(week, 2) as integer) - 1)) as date
    ) as date,
    line.project.id as project,
    line.earningType.code as earning_type,
    line.invoiceable,
    line.timeSpent as minutes,
    case when line.invoiceable then line.timeSpent else 0 end as invoiceable_minutes
from lines
