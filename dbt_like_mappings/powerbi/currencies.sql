-- The list is lookups/currencies.csv. It comes once a company, and is one list in Power BI.
select
    branch._key as source_key,
    listed.currency,
    listed.name
from {{ changed('branches') }} as branch
cross join {{ lookup('currencies') }} as listed
where branch.isMainBranch
