with segments as (
    select dimension._key, dimension.id, dimension.description as dimension_name, unnest(dimension.segments) as segment
    from {{ changed('dimensions') }} as dimension
),

segment_values as (
    select
        _key,
        id,
        dimension_name,
        segment.segmentId as segment_id,
        segment.description as segment_name,
        unnest(segment.segmentValues) as entry
    from segments
)

select
    _key as source_key,
    id as source_number,
    {{ company }} || '|' || id || '|' || segment_id || '|' || entry.valueId as code,
    {{ company }} as company,
    id as dimension,
    dimension_name,
    segment_id,
    segment_name as segment,
    entry.valueId as value_id,
    entry.description,
    entry.active
from segment_values
