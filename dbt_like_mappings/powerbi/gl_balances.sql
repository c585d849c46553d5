select
    balance._key as source_key,
    {{ company }} || '|' || balance._key as code,
    {{ company }} as company,
    balance.account.number as account_number,
    {{ company }} || '|' || balance.account.number as account,
    {{ company }} || '|SUBACCOUNT|' || {{ var('cost_centre_segment') }} || '|' || [
        part.segmentValue for part in subaccount.segments if part.segmentId = {{ var('cost_centre_segment') }}
    ][1] as cost_centre,
    balance.branch.number as branch,
    balance.financialPeriod as financial_period,
    cast(try_strptime(
        left(balance.financialPeriod, 4) || '-'
        || least(try_cast(substr(balance.financialPeriod, 5) as integer), {{ var('last_month') }}),
        '%Y-%m'
    ) as date) as date,
    balance.periodToDateDebit as debit,
    balance.periodToDateCredit as credit,
    balance.periodToDateDebit - balance.periodToDateCredit as net,
    balance.yearToDateBalance as year_to_date
from {{ changed('gl_balances') }} as balance
left join {{ latest('subaccounts') }} as subaccount
    on subaccount.subaccountNumber = balance.subaccount.subaccountNumber
where balance.balanceType = 'Actual'
