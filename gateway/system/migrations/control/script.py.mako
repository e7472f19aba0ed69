"""${message}"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None
oldest = None  # the schema number that a program must know to use the database after this revision


def upgrade() -> None:
    ${upgrades if upgrades else "raise NotImplementedError"}
