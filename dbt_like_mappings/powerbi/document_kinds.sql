-- Type and status in one table: a dataset takes 75 relationships. Both lists are lookups.
select
    branch._key as source_key,
    kind.ledger || '|' || kind.document_type || '|' || listed.status as code,
    kind.ledger,
    kind.name as document_type,
    listed.name as status
from {{ changed('branches') }} as branch
cross join {{ lookup('document_kinds') }} as kind
cross join {{ lookup('document_statuses') }} as listed
where branch.isMainBranch
