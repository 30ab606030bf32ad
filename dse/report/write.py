"""The report of a study, written into a folder."""

from __future__ import annotations

import os
from pathlib import Path

from siliform.dse.report.data import ReportData
from siliform.dse.report.designs import write_designs
from siliform.dse.report.page import html_page
from siliform.dse.report.tables import write_tables
from siliform.graph_ir.errors import UserError

#: What the page is called.
PAGE = "report.html"


def write_report(folder: str | Path, data: ReportData, *, pictures: bool = True) -> Path:
    """Write the page, tables, the chosen designs and, if asked, pictures into `folder`; the page's path.

    The page comes last and whole: where it stands, the rest is there. The same data write the same page.

    Raises
    ------
    UserError : a folder that cannot be written; rows of the frame that are none of the space's.
    """
    folder = Path(folder)
    page = html_page(data)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tables(data, folder)
        write_designs(data, folder)
        if pictures:
            from siliform.dse.report.pictures import write_pictures

            write_pictures(data, folder)
        beside = folder / f".{PAGE}.{os.getpid()}"
        beside.write_text(page, encoding="utf-8")
        beside.replace(folder / PAGE)
    except OSError as error:
        raise UserError(
            asked=f"the report of {data.study.name} in {folder}",
            found=error.strerror or str(error),
            where=str(error.filename or folder),
            next_step="give a folder that can be written, with room on its disk",
        ) from error
    return folder / PAGE
