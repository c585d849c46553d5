with segments as (
    select _key, unnest(segments) as segment
    from {{ changed('dimensions') }}
    where id = 'SUBACCOUNT'
),

-- What is booked without a cost centre needs an item too, or totals would lack it.
cost_centres as (
    select _key, {{ var('no_cost_centre') }} as cost_centre, 'No cost centre' as description, true as active
    from segments
    where segment.segmentId = {{ var('cost_centre_segment') }}
    union all
    select _key, entry.valueId, entry.description, entry.active
    from (
        select _key, unnest(segment.segmentValues) as entry
        from segments
        where segment.segmentId = {{ var('cost_centre_segment') }}
    )
)

select
    _key as source_key,
    {{ company }} || '|' || cost_centre as code,
    {{ company }} as company,
    cost_centre,
    description,
    active
from cost_centres
