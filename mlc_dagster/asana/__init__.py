"""The Asana pair: orders and invoices as tasks that people can work with (vendors/asana.md)."""
