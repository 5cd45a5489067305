"""The systems of Lumen Goods, an invented webshop, on your own machine: Postgres, Salesforce and SAP.

`sandbox.systems` starts and stops them, `sandbox.company` says what is in them. See README.md in this folder.
"""
