with lines as (
    select
        _key,
        referenceNumber,
        {{ company }} || '|' || documentType || '|' || referenceNumber as invoice,
        currencyId,
        status in ('Closed', 'Voided') as ended,
        unnest(invoiceLines) as line
    from {{ changed('supplier_invoices') }}
)

select
    _key as source_key,
    referenceNumber as source_number,
    invoice || '|' || line.lineNumber as code,
    invoice,
    concat_ws(
        ' | ',
        line.lineNumber,
        coalesce(line.transactionDescription, line.inventoryNumber, '-'),
        concat_ws(' ', regexp_replace(cast(line.quantity as varchar), '\.?0+$', ''), line.uom),
        concat_ws(' ', regexp_replace(cast(line.costInCurrency as varchar), '\.?0+$', ''), currencyId)
    ) as title,
    concat_ws(
        chr(10),
        'Item: ' || line.inventoryNumber,
        'Unit cost: ' || regexp_replace(cast(line.unitCostInCurrency as varchar), '\.?0+$', ''),
        'Account: ' || line.account.number,
        'Subaccount: ' || line.subaccount.subaccountNumber,
        'Order: ' || nullif(line.poNumber, '')
    ) as notes,
    ended
from lines
