with lines as (
    select
        _key,
        replace(module, 'Module', '') as module,
        batchNumber,
        status,
        ledger,
        transactionDate,
        financialPeriod,
        unnest(journalTransactionLines) as line
    from {{ changed('journal_transactions') }}
)

select
    lines._key as source_key,
    {{ company }} || '|' || module || '|' || batchNumber || '|' || line.lineNumber as code,
    {{ company }} as company,
    module,
    batchNumber as batch_number,
    line.lineNumber as line_number,
    status,
    ledger,
    transactionDate as date,
    financialPeriod as financial_period,
    {{ company }} || '|' || line.accountNumber as account,
    account.description as account_name,
    account.type as account_type,
    line.subaccount.subaccountNumber as subaccount,
    {{ company }} || '|SUBACCOUNT|' || {{ var('cost_centre_segment') }} || '|' || [
        part.segmentValue for part in line.subaccount.segments
        if part.segmentId = {{ var('cost_centre_segment') }}
    ][1] as cost_centre,
    line.branch,
    line.project.id as project,
    line.customerSupplier as business_partner,
    line.debitAmount as debit,
    line.creditAmount as credit,
    line.debitAmount - line.creditAmount as net,
    line.referenceNumber as reference_number,
    line.transactionDescription as description
from lines
left join {{ latest('gl_accounts') }} as account on account.accountCD = line.accountNumber
