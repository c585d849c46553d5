"""Visma to Tableau Cloud and Server (vendors/tableau.md)."""
