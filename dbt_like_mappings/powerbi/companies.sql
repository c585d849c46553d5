select
    branch._key as source_key,
    {{ company }} as company,
    branch.name,
    branch.currency.id as currency,
    branch.mainAddress.country.id as country
from {{ changed('branches') }} as branch
where branch.isMainBranch
