"""The room of pictures: each module draws one kind, as a function of data and ``ax`` that returns the axes.

:mod:`gaaf_gp.plot` lists what users draw with. Here :mod:`gaaf_gp.plots.style` is the one style sheet, and the others
stand on it.
"""
