"""`python -m tests.transports.fuzz`: see `campaign.py`.

Law: *a campaign is started in one way.*
"""

from tests.transports.fuzz.campaign import main

if __name__ == "__main__":
    raise SystemExit(main())
