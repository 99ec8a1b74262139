"""Rep.ai's nightly activity dumps: read, landed with dlt, handed to dbt.

From top to bottom; each folder imports from those below it, which tests/python/test_structure.py
checks:

- cli: the commands and their options, and the one place that turns errors into exit codes
- commands: what each command does
- console, report_page, sample: what a terminal shows; the HTML page; synthetic dumps
- warehouse: the names of what dbt builds, and questions about it
- landing: sources, the ledger, packages of files, and a module for each destination
- dump: the vendor's format, and how a document is read
- project: the dbt project, and how dbt is called
- installed: where this package is, and how dbt finds what it brings
"""

import sys

# first of all: what is imported from here on needs locks and signals that Windows has not
if sys.platform == "win32":
    sys.exit("rep-ai: it does not run on Windows itself; use WSL (wsl --install), and run it there")
