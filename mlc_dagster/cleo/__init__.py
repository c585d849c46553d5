"""The Cleo pair: X12 out, acknowledgments, ship notices and supplier changes back in (vendors/cleo.md)."""
