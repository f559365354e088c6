# SPDX-License-Identifier: MIT
message(STATUS "The step behind the build found its script.")
