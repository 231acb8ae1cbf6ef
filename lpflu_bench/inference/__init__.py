"""How functions are compared over a few paired seeds: intervals that hold together, and the verdicts that follow from them.

The steps, of which a study with a fixed number of seeds needs the third and fourth alone::

    rule = Rule(level=0.05, margin={"top1_error": 0.5}, looks=default_looks(12))
    looked = last_looks(values, ended, rule)
    compared = compare(looked.values, "relu", family=1, level=looked.level)
    verdict = compared["lpflu"].verdict(lower_is_better=True, margin=rule.margin_of("top1_error"))
    why = stop(compared["lpflu"], verdict, look=looked.number["lpflu"], rule=rule, family=1)

``values`` are scores by function and seed, ``ended`` the seeds of each function that have ended. ``best`` names the
function that is better than all others, ``design`` tells beforehand what a number of seeds can show, ``images`` what the
outcomes of single test images add, ``ranks`` ranks functions over data sets.
"""
