# SPDX-License-Identifier: GPL-2.0-or-later
"""`make mutate` tests the rule tests: each wrong declaration must fail one of them."""
