"""The arrays that pass between the stages."""

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""A colour picture: height × width × 3, BGR, uint8."""
Floats = NDArray[np.float32]
"""Likelihoods out of a network."""
Points = NDArray[np.float64]
"""n × 2: x to the right, y down."""
