"""The Power BI target: push tables that equal the ERP, and the measures that read them."""
