with lines as (
    select
        _key,
        count(*) as line_count,
        -- One value where all lines agree, else nothing: a task has one field.
        if(count(distinct line.account.number) = 1, min(line.account.number), null) as account,
        if(count(distinct line.sub.subaccountNumber) = 1, min(line.sub.subaccountNumber), null) as cost_centre,
        if(count(distinct line.project.id) = 1, min(line.project.id), null) as erp_project,
        string_agg(
            concat_ws(
                ' | ',
                line.lineNbr,
                coalesce(line.lineDescription, line.inventory.number, '-'),
                concat_ws(' ', regexp_replace(cast(line.orderQty as varchar), '\.?0+$', ''), line.uom),
                regexp_replace(cast(line.amount as varchar), '\.?0+$', '')
            ),
            chr(10) order by line.lineNbr
        ) as line_table
    from (select _key, unnest(lines) as line from {{ changed('purchase_orders') }})
    group by _key
)

select
    purchase._key as source_key,
    {{ company }} || '|' || purchase.orderType || '|' || purchase.orderNbr as code,
    {{ company }} as company,
    concat_ws(' ', 'Order', purchase.orderNbr, coalesce(supplier.name, purchase.supplier.name)) as title,
    nullif(concat_ws(chr(10), purchase.description, nullif(purchase.note, '')), '') as notes,
    lines.line_table as line_table,
    coalesce(lines.line_count, 0) as line_count,
    purchase.promisedOn as promised_on,
    coalesce(board.section, purchase.status) as board_section,
    coalesce(cast(board.ended as boolean), false) as ended,
    nullif(board.comment, '') as ending,
    (
        select member
        from {{ lookup('supplier_members') }}
        where supplier_number = supplier.number
            or lower(email) = lower(supplier.mainContact.email)
            or (name_pattern <> '' and supplier.name ilike name_pattern)
        -- The number says most, then the address, then the longest pattern. Of equals always the same one.
        order by supplier_number = supplier.number desc, lower(email) = lower(supplier.mainContact.email) desc,
            length(name_pattern) desc, member
        limit 1
    ) as assignee,
    purchase.supplier.number as supplier_number,
    coalesce(supplier.name, purchase.supplier.name) as supplier_name,
    purchase.orderType as document_type,
    purchase.orderNbr as order_number,
    purchase.status,
    purchase.orderTotal as amount,
    purchase.currency,
    lines.account,
    lines.cost_centre,
    purchase.branch.number as branch,
    lines.erp_project
from {{ changed('purchase_orders') }} as purchase
left join lines on lines._key = purchase._key
left join {{ latest('suppliers') }} as supplier on supplier.number = purchase.supplier.number
left join {{ lookup('board_sections') }} as board on board.status = purchase.status
