"""Imports what is not there."""

import a_package_that_is_nowhere

assert a_package_that_is_nowhere
