-- The list is lookups/tableau_entitlements.csv. It comes with the company's main branch; no company means each.
select
    branch._key as source_key,
    concat_ws(
        '|',
        {{ company }},
        'user ' || lower(listed.user_name),
        'group ' || lower(listed.group_name),
        'customer ' || listed.customer_number,
        'supplier ' || listed.supplier_number
    ) as code,
    {{ company }} as company,
    listed.user_name,
    listed.group_name,
    {{ company }} || '|' || listed.customer_number as customer,
    {{ company }} || '|' || listed.supplier_number as supplier
from {{ changed('branches') }} as branch
cross join {{ lookup('tableau_entitlements') }} as listed
where branch.isMainBranch and coalesce(listed.company, {{ company }}) = {{ company }}
-- A line that is there twice is one line.
qualify row_number() over (partition by code order by listed.user_name, listed.group_name) = 1
