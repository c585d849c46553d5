-- The list is lookups/tableau_entitlements.csv. It comes with the company's main branch; an empty company is each.
select
    branch._key as source_key,
    {{ company }} || '|' || listed.user_name || '|' || listed.group_name || '|' || listed.customer_number || '|'
        || listed.supplier_number as code,
    {{ company }} as company,
    nullif(listed.user_name, '') as user_name,
    nullif(listed.group_name, '') as group_name,
    {{ company }} || '|' || nullif(listed.customer_number, '') as customer,
    {{ company }} || '|' || nullif(listed.supplier_number, '') as supplier
from {{ changed('branches') }} as branch
cross join {{ lookup('tableau_entitlements') }} as listed
where branch.isMainBranch and listed.company in ('', {{ company }})
