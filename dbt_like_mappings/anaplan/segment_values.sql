with segments as (
    select dimension._key, dimension.id, unnest(dimension.segments) as segment
    from {{ changed('dimensions') }} as dimension
),

segment_values as (
    select _key, id, segment.segmentId, segment.description, unnest(segment.segmentValues) as entry
    from segments
)

select
    _key as source_key,
    id as source_number,
    {{ company }} || '|' || id || '|' || segmentId || '|' || entry.valueId as code,
    {{ company }} as company,
    {{ company }} || '|' || id as dimension,
    segmentId as segment_id,
    description as segment,
    entry.valueId as value_id,
    entry.description as description,
    entry.active as active
from segment_values
