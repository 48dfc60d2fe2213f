"""Does it help, and whom: a verdict about one person, and methods compared on held-out choices."""

from pocketpref.evaluation.help import HelpVerdict
from pocketpref.evaluation.registry import ALL, DEFAULT
from pocketpref.evaluation.report_html import page
from pocketpref.evaluation.runner import Outcomes, Report
from pocketpref.evaluation.service import evaluate, helps

__all__ = ["ALL", "DEFAULT", "HelpVerdict", "Outcomes", "Report", "evaluate", "helps", "page"]
