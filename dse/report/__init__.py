"""A study to look at: one HTML page, pictures, tables, and the chosen designs as files."""

from siliform.dse.report.data import ReportData
from siliform.dse.report.write import write_report

__all__ = ["ReportData", "write_report"]
