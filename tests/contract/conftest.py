"""What every contract test may ask for: the stores on each of their back ends."""

from tests.fixtures.stores.backends import *  # noqa: F403
