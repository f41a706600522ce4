"""What the processor that the tests run on makes of INT8."""

from pipeline import processor
from pipeline.engine.placement import Scheme

OVERFLOWS = processor.instruction_set() in processor.SATURATING
"""Pairs of products are added in 16 bits, which 8-bit weights overflow: the answers are others than they should be."""
SCHEME = Scheme(weight_bits=7 if OVERFLOWS else 8)
"""The widest weights whose products this processor adds exactly; what a runtime answers can be compared with."""
