select
    dimension._key as source_key,
    {{ company }} || '|' || dimension.id as code,
    {{ company }} as company,
    dimension.id as dimension,
    dimension.description
from {{ changed('dimensions') }} as dimension
