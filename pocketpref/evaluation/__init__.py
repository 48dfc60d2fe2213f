"""Does it help, and whom: methods compared on held-out choices of real people.

* ``cases``: choices with who, when and about what; splits that keep one prompt together
* ``likelihoods``: each log-likelihood is computed once, whatever asks for it
* ``roster``: the methods that can be compared, each in its file in ``pocketpref.methods``
* ``run``: each method learns from a person's past and is asked about the rest
* ``metrics``: accuracies, with intervals that respect that one person's pairs are alike
* ``curves``: what a method would do after fewer choices
* ``page``: a comparison to look at; ``lines`` are its curves
* ``own``: ``evaluate``, all of it on what a Pocket has
* ``deciding``: what "auto" applies for a person, kept in their vault
"""

from pocketpref.evaluation.registry import ALL, DEFAULT
from pocketpref.evaluation.report_html import page
from pocketpref.evaluation.runner import Outcomes, Report
from pocketpref.evaluation.service import evaluate

__all__ = ["ALL", "DEFAULT", "Outcomes", "Report", "evaluate", "page"]
