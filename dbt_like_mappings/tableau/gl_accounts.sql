select
    account._key as source_key,
    {{ company }} || '|' || account.accountCD as code,
    {{ company }} as company,
    account.accountCD as account_number,
    account.description,
    account.type,
    account.accountClass as account_class,
    account.active
from {{ changed('gl_accounts') }} as account
