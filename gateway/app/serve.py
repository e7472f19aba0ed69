"""`gatepost serve`: look at the configuration, prepare the databases in a child, fork the processes."""

from __future__ import annotations

import os
import secrets
import sys
from functools import partial
from pathlib import Path

import structlog

from gateway.app.control import CONTROL, run_control
from gateway.app.mail import MAIL, Shared, run_mail
from gateway.app.parts import make_folders, opened
from gateway.control.credentials.guesses import GuessTable
from gateway.supervisor import ProcessKind, Supervisor
from gateway.system.clock import SystemClock
from gateway.system.config import Config, ConfigError, Endpoint, load
from gateway.system.database import DatabaseAway, DatabaseUrlInvalid, SchemaError
from gateway.system.log import configure
from gateway.system.secrets import SecretError
from gateway.system.sharedmemory import SharedSlots
from gateway.system.tls import ServerTls, TlsError

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
_SLOT_BUCKETS = 16_384


def serve(path: Path) -> int:
    """Run until SIGTERM. Exit status: 0, 1 (failed start), 2 (configuration)."""
    try:
        config = load(path, os.environ)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIGURATION
    configure(level=config.log_level, process="supervisor")
    log = structlog.get_logger("gateway.app")
    try:
        shared = _shared(config)
    except TlsError as error:
        log.error("not_started", reason=str(error))
        return EXIT_FAILED
    supervisor = Supervisor(
        config,
        _kinds(config),
        load=lambda: load(path, os.environ),
        clock=SystemClock(),
        token=lambda: secrets.token_hex(8),
        environ=os.environ,
        prepare=partial(_prepare, config),
        shared=shared,
        on_exit=shared.forget_process,
    )
    return supervisor.run()


def _kinds(config: Config) -> list[ProcessKind]:
    """The processes of this node's roles."""
    kinds = []
    if "mail" in config.roles:
        kinds.append(ProcessKind(MAIL, config.workers, run_mail, _listens(config), _ladder(config)))
    if "control" in config.roles:
        kinds.append(ProcessKind(CONTROL, 1, run_control, {"api": config.listen.api}))
    return kinds


def _listens(config: Config) -> dict[str, tuple[Endpoint, ...]]:
    listen = config.listen
    return {"submission": listen.submission, "submissions": listen.submissions}


def _ladder(config: Config) -> dict[str, Endpoint]:
    return {"metrics": config.listen.metrics} if config.listen.metrics is not None else {}


def _shared(config: Config) -> Shared:
    """What all processes count in together; anonymous memory, so it ends with them."""
    return Shared(
        guesses=GuessTable.create(SystemClock(), config.auth.guess_records),
        connections=SharedSlots(_SLOT_BUCKETS, config.workers + 1),
        relays=SharedSlots(_SLOT_BUCKETS, config.workers + 1),
        tls=ServerTls(config.tls) if config.tls is not None else None,
    )


def _prepare(config: Config) -> int:
    """Bring schemas and first rows up to date. Runs in a child: the supervisor holds no database."""
    log = structlog.get_logger("gateway.app")
    try:
        make_folders(config)
        with opened(config, migrate=True) as ground:
            # Here and not above: this child needs the services, those that serve do not.
            from gateway.app.desk import control_services

            control_services(ground).bootstrap()
    except (DatabaseAway, DatabaseUrlInvalid, SchemaError, SecretError) as error:
        log.error("not_started", reason=str(error))
        return EXIT_FAILED
    except Exception:
        log.exception("not_started", reason="an unexpected error, see the traceback")
        return EXIT_FAILED
    return 0
