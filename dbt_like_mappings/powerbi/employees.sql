select
    employee._key as source_key,
    {{ company }} || '|' || employee.employeeNumber as code,
    {{ company }} as company,
    employee.employeeNumber as employee_number,
    employee.employeeName as name,
    employee.status,
    employee.department
from {{ changed('employees') }} as employee
