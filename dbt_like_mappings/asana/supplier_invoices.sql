with lines as (
    select
        _key,
        count(*) as line_count,
        -- One value where all lines agree, else nothing: a task has one field.
        if(count(distinct line.account.number) = 1, min(line.account.number), null) as account,
        if(count(distinct line.subaccount.subaccountNumber) = 1, min(line.subaccount.subaccountNumber), null)
            as cost_centre,
        if(count(distinct line.project.id) = 1, min(line.project.id), null) as erp_project,
        string_agg(
            concat_ws(
                ' | ',
                line.lineNumber,
                coalesce(line.transactionDescription, line.inventoryNumber, '-'),
                concat_ws(' ', regexp_replace(cast(line.quantity as varchar), '\.?0+$', ''), line.uom),
                regexp_replace(cast(line.costInCurrency as varchar), '\.?0+$', '')
            ),
            chr(10) order by line.lineNumber
        ) as line_table
    from (select _key, unnest(invoiceLines) as line from {{ changed('supplier_invoices') }})
    group by _key
)

select
    invoice._key as source_key,
    {{ company }} || '|' || invoice.documentType || '|' || invoice.referenceNumber as code,
    {{ company }} as company,
    concat_ws(' ', coalesce(kind.name, invoice.documentType), invoice.referenceNumber, coalesce(supplier.name, invoice.supplier.name))
        as title,
    nullif(concat_ws(chr(10), invoice.description, nullif(invoice.note, '')), '') as notes,
    lines.line_table as line_table,
    coalesce(lines.line_count, 0) as line_count,
    invoice.dueDate as due_date,
    coalesce(board.section, invoice.status) as board_section,
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
    invoice.supplier.number as supplier_number,
    coalesce(supplier.name, invoice.supplier.name) as supplier_name,
    coalesce(kind.name, invoice.documentType) as document_type,
    invoice.referenceNumber as reference_number,
    invoice.supplierReference as supplier_reference,
    invoice.status,
    invoice.amount,
    invoice.balanceInCurrency as balance,
    invoice.currencyId as currency,
    lines.account,
    lines.cost_centre,
    invoice.branchNumber.number as branch,
    lines.erp_project
from {{ changed('supplier_invoices') }} as invoice
left join lines on lines._key = invoice._key
left join {{ latest('suppliers') }} as supplier on supplier.number = invoice.supplier.number
left join {{ lookup('document_types') }} as kind on kind.document_type = invoice.documentType
left join {{ lookup('board_sections') }} as board on board.status = invoice.status
