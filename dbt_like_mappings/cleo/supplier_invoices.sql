with lines as (
    select
        _key,
        -- Numbers as text: JSON's own would not be exact everywhere.
        to_json(list({
            'number': cast(line.lineNumber as varchar),
            'quantity': cast(line.quantity as varchar),
            'uom': line.uom,
            'unit': unit.code,
            'price': cast(line.unitCostInCurrency as varchar),
            'item': line.inventoryNumber,
            'description': line.transactionDescription,
            'order_number': line.poNumber
        } order by line.lineNumber)) as lines,
        if(count(distinct line.poNumber) = 1, min(line.poNumber), null) as order_number
    from (
        select _key, unnest(invoiceLines) as line from {{ changed('supplier_invoices') }}
    )
    left join {{ lookup('edi_units') }} as unit on unit.uom = line.uom
    group by _key
),

taxes as (
    select
        _key,
        to_json(list({
            'rate': cast(tax.vatRate as varchar),
            'amount': cast(tax.vatAmount as varchar),
            'base': cast(tax.taxableAmount as varchar)
        } order by tax.recordId)) as taxes
    from (select _key, unnest(taxDetailLines) as tax from {{ changed('supplier_invoices') }})
    group by _key
)

select
    invoice._key as source_key,
    {{ company }} || '|' || invoice.documentType || '|' || invoice.referenceNumber as code,
    {{ company }} as company,
    us.name as company_name,
    coalesce(mine.partner, everyone.partner) as partner,
    invoice.referenceNumber as reference_number,
    invoice.supplierReference as supplier_reference,
    coalesce(cast(kind.sign as integer), 1) < 0 as credit,
    invoice.date,
    invoice.dueDate as due_date,
    invoice.currencyId as currency,
    invoice.amount,
    nullif(lines.order_number, '') as order_number,
    nullif(invoice.originalReferenceNumber, '') as original_invoice,
    invoice.supplier.number as supplier_number,
    coalesce(supplier.name, invoice.supplier.name) as supplier_name,
    supplier.mainAddress.addressLine1 as supplier_street,
    supplier.mainAddress.city as supplier_city,
    supplier.mainAddress.postalCode as supplier_postal_code,
    supplier.mainAddress.country.id as supplier_country,
    supplier.vatRegistrationId as supplier_vat_number,
    invoice.description,
    cast(lines.lines as varchar) as lines,
    cast(taxes.taxes as varchar) as taxes
from {{ changed('supplier_invoices') }} as invoice
join lines on lines._key = invoice._key
left join taxes on taxes._key = invoice._key
left join {{ lookup('document_kinds') }} as kind on kind.ledger = 'AP' and kind.document_type = invoice.documentType
left join {{ lookup('edi_partners') }} as mine on mine.supplier_number = invoice.supplier.number
left join {{ lookup('edi_partners') }} as everyone on everyone.supplier_number = '*'
left join {{ latest('suppliers') }} as supplier on supplier.number = invoice.supplier.number
left join (select name from {{ latest('branches') }} where isMainBranch) as us on true
where
    coalesce(mine.partner, everyone.partner) is not null
    -- An 810 is not taken back: only what is released goes out.
    and invoice.status not in ('Hold', 'Balanced', 'PendingApproval', 'Rejected', 'Scheduled', 'Voided')
