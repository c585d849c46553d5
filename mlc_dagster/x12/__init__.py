"""ANSI X12 in 004010 and 005010: typed documents on one side, bytes on the other. Knows no vendor and no
partner.
"""
