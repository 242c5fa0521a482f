"""`python -m rafty_core.simulation`: see `command_line`."""

from rafty_core.simulation.command_line import main

raise SystemExit(main())
