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
    _key as source_key,
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
    {{ company }} || '|SUBACCOUNT|' || {{ var('cost_centre_segment') }} || '|' || [
        part.segmentValue for part in line.subaccount.segments
        if part.segmentId = {{ var('cost_centre_segment') }}
    ][1] as cost_centre,
    line.debitAmount as debit,
    line.creditAmount as credit,
    line.debitAmount - line.creditAmount as net,
    line.referenceNumber as reference_number,
    line.transactionDescription as description
from lines
