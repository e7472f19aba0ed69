"""The file and the environment: every mistake at once, each where it stands."""

from pathlib import Path

import pytest

from gateway.system.config import Config, ConfigError, load, merged

GOOD = """\
hostname = "mail.example.com"
[listen]
submission = ["127.0.0.1:2587"]
submissions = []
[tls]
certificate = "c.pem"
key = "k.pem"
"""
CONTROL = '[control]\nurl = "sqlite:////a"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "gatepost.toml"
    path.write_text(text)
    path.chmod(0o640)
    return path


def loaded(folder: Path, text: str = GOOD, **environ: str) -> Config:
    return load(written(folder, text), environ)


def problems(folder: Path, text: str, **environ: str) -> list[tuple[int, str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(written(folder, text), environ)
    return [(one.line, one.key, one.message) for one in caught.value.problems]


def test_defaults(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert config.trial_zone == "trial.mail.example.com"
    assert config.master_key_file == tmp_path / "master.key"
    assert config.control.url == "sqlite:////var/lib/gatepost/control.db"
    assert config.locations["default"].blobs == "/var/lib/gatepost/blobs/default"
    assert config.relay.default_route == "mx"
    assert config.roles == {"mail", "control"}
    assert config.limits.message_bytes == 25 * 1024 * 1024
    assert config.listen.submission[0].port == 2587


def test_without_listen_the_usual_ports_on_all_addresses(tmp_path: Path) -> None:
    config = loaded(tmp_path, 'hostname = "a.example"\n[tls]\ncertificate = "c"\nkey = "k"\n')
    assert config.listen.submission == ("0.0.0.0:587", "[::]:587")
    assert config.listen.submissions == ("0.0.0.0:465", "[::]:465")


def test_every_mistake_at_once_with_its_line(tmp_path: Path) -> None:
    text = (
        'hostnam = "x"\n'
        "workers = 0\n"
        "[listen]\n"
        "submission = [\n"
        '  "127.0.0.1:587",\n'
        '  "nowhere",\n'
        "]\n"
        "[limits]\n"
        'message_bytes = "3 fish"\n'
        "hopps = 3\n"
        "[locations.Bad]\n"
        "[loctions]\n"
        "[tls]\n"
        'key = "k"\n'
    )
    found = problems(tmp_path, text, GATEPOST_LIMITS__HOPS="2", GATEPOST_WORKER="1")
    assert [(line, key) for line, key, _ in found if line] == [
        (1, "hostnam"),
        (1, "hostname"),
        (2, "workers"),
        (4, "listen.submission"),
        (9, "limits.message_bytes"),
        (10, "limits.hopps"),
        (11, "locations.Bad"),
        (12, "loctions"),
        (13, "tls.certificate"),
    ]
    by_key = {key: message for _, key, message in found}
    assert 'did you mean "hostname"' in by_key["hostnam"]
    assert 'did you mean "hops"' in by_key["limits.hopps"]
    assert 'did you mean "locations"' in by_key["loctions"]
    assert 'did you mean "GATEPOST_WORKERS"' in by_key["GATEPOST_WORKER"]
    assert "25 to 1000" in by_key["GATEPOST_LIMITS__HOPS"]


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("hostname = ", 1, "", "Invalid value"),
        (GOOD + "[limits\n", 8, "", "Expected"),
        (GOOD + '[limits]\nauth_timeout = "9x"\n', 9, "limits.auth_timeout", "no duration"),
        ("tls = 3\n" + GOOD.replace("[tls]", "[x]"), 1, "tls", "this is a section"),
        (GOOD + "[locations]\neu = 1\n", 9, "locations.eu", "[locations.eu]"),
        (GOOD + "[locations.eu]\n", 8, "locations.eu.url", "needed"),
        (GOOD.split("[tls]")[0], 1, "tls", "needs a certificate"),
        (GOOD + CONTROL + '[locations.eu]\nurl = "sqlite:////a"\n', 11, "locations.eu.url", "same database"),
        (GOOD.replace("= []", '= ["0.0.0.0:2587"]'), 4, "listen.submissions", "taken by listen.submission"),
        (GOOD.replace("= []", '= []\nmetrics = "127.0.0.1:2586"'), 5, "listen.metrics", "port 2587 is taken"),
        (GOOD.replace("= []", '= []\nmetrics = "127.0.0.1:65535"'), 5, "listen.metrics", "choose a lower"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path: Path, text: str, line: int, key: str, said: str) -> None:
    found = problems(tmp_path, text, GATEPOST_WORKERS="2")
    assert (line, key) in [(where, what) for where, what, _ in found]
    assert said in " ".join(message for _, _, message in found)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.toml", "no such file"), (tmp_path, "cannot be read")):
        with pytest.raises(ConfigError, match=said):
            load(path, {})


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.toml"
    path.write_bytes(b"hostname = '\xff'")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(path, {})


def test_overrides(tmp_path: Path) -> None:
    text = GOOD + '[locations.eu-1]\nurl = "sqlite:///eu.db"\n'
    config = loaded(
        tmp_path,
        text,
        GATEPOST_WORKERS="3",
        GATEPOST_LISTEN__SUBMISSIONS="127.0.0.1:1465, [::1]:1465",
        GATEPOST_LIMITS__MESSAGE_BYTES="1 MiB",
        GATEPOST_LOCATIONS__EU_1__BLOBS="s3://eu",
        GATEPOST_LOCATIONS__US__URL="postgresql://h/us",
        GATEPOST_CONFIG="/other",
        GATEPOST_URL="x",
        GATEPOST_KEY="x",
        GATEPOST_REQUIRE_PEERS="1",
        GATEPOST_TEST_ANYTHING="x",
        GATEPOST_BENCH_X="x",
        PATH="/bin",
    )
    assert config.workers == 3
    assert config.listen.submissions == ("127.0.0.1:1465", "[::1]:1465")
    assert config.limits.message_bytes == 1_048_576
    assert config.locations["eu-1"].blobs == "s3://eu"
    assert config.locations["us"].url == "postgresql://h/us"


def test_an_override_replaces_a_mistake_in_the_file(tmp_path: Path) -> None:
    assert loaded(tmp_path, "workers = 0\n" + GOOD, GATEPOST_WORKERS="2").workers == 2


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    assert load(None, {"GATEPOST_CONFIG": str(path)}).path == path


def test_systemds_credential_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "master-key").write_text("x")
    text = GOOD + '[master_key]\nfile = "other.key"\n'
    assert loaded(tmp_path, text).master_key_file == tmp_path / "other.key"
    config = loaded(tmp_path, text, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert config.master_key_file == tmp_path / "master-key"


def test_a_password_in_a_file_for_everyone_is_refused(tmp_path: Path) -> None:
    text = GOOD + '[control]\nurl = "postgresql://gatepost:Hunter2@db/gatepost"\n'
    path = written(tmp_path, text)
    assert "Hunter2" not in repr(load(path, {}))
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 640") as caught:
        load(path, {})
    assert caught.value.problems[0].line == 9
    assert "Hunter2" not in str(caught.value)


def test_the_example_is_good(tmp_path: Path) -> None:
    example = Path(__file__).parents[4] / "conf/gatepost.toml"
    config = load(example, {})
    assert config.hostname == "mail.example.com"


def test_the_example_names_every_key_with_its_default(tmp_path: Path) -> None:
    """With all its comments on keys taken away it says the same, but for what has no default."""
    from gateway.system.config.keys import LOCATION, SECTIONS, TOP

    lines = (Path(__file__).parents[4] / "conf/gatepost.toml").read_text().splitlines()
    words = {line.lstrip("# ").partition(" =")[0] for line in lines if " = " in line}
    names = {key.name for keys in (TOP, LOCATION, *SECTIONS.values()) for key in keys}
    assert names <= words


def test_reload_keeps_what_needs_a_restart(tmp_path: Path) -> None:
    running = loaded(tmp_path)
    changed = loaded(
        tmp_path, GOOD.replace("2587", "2588") + "[limits]\nidle_timeout = 30\n[dns]\nservers = ['::1']\n"
    )
    config, waiting = merged(running, changed)
    assert waiting == ("listen.submission", "dns.servers")
    assert config.listen == running.listen
    assert config.limits.idle_seconds == 30.0
    assert merged(running, running) == (running, ())


def test_a_reload_names_every_key_that_waits_whatever_its_section(tmp_path: Path) -> None:
    running = loaded(tmp_path)
    changed = loaded(
        tmp_path,
        GOOD,
        GATEPOST_WEBHOOKS__ALLOW_PRIVATE="true",
        GATEPOST_NOTICES__ENABLED="false",
        GATEPOST_DKIM__ROTATE_AFTER="30d",
        GATEPOST_TRIAL__ZONE="elsewhere.test",
        GATEPOST_TRIAL__DAYS="7",
    )
    config, waiting = merged(running, changed)
    assert waiting == (
        "trial.zone",
        "trial.days",
        "dkim.rotate_after",
        "webhooks.allow_private",
        "notices.enabled",
    )
    assert config == running


def test_mail_goes_to_public_addresses_unless_told_otherwise(tmp_path: Path) -> None:
    assert not loaded(tmp_path).relay.allow_private
    assert loaded(tmp_path, GOOD, GATEPOST_RELAY__ALLOW_PRIVATE="true").relay.allow_private


def test_where_webhooks_may_go_and_who_writes_notices(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert not config.webhooks.allow_private
    assert config.notices.enabled and config.notices.templates is None
    text = GOOD + '[webhooks]\nallow_private = true\n[notices]\nenabled = false\ntemplates = "own"\n'
    changed = loaded(tmp_path, text, GATEPOST_NOTICES__UPGRADE_URL="https://a.example/plans")
    assert changed.webhooks.allow_private and not changed.notices.enabled
    assert changed.notices.templates == tmp_path / "own"
    assert changed.notices.upgrade_url == "https://a.example/plans"
    assert not loaded(tmp_path, GATEPOST_NOTICES__ENABLED="False").notices.enabled


def test_publishing_to_a_server_needs_its_zones_and_a_key(tmp_path: Path) -> None:
    text = GOOD + '[publishing]\nserver = "192.0.2.53"\ncommand = "publish"\n'
    messages = [message for _, _, message in problems(tmp_path, text)]
    assert [
        word for word in ("leave one", "zones", "tsig_name", "tsig_secret_file") if word in str(messages)
    ] == [
        "leave one",
        "zones",
        "tsig_name",
        "tsig_secret_file",
    ]
    whole = GOOD + (
        '[publishing]\nserver = "192.0.2.53"\nzones = ["mail.example.com"]\n'
        'tsig_name = "gatepost"\ntsig_secret_file = "tsig"\nttl = "1min"\n'
    )
    part = loaded(tmp_path, whole).publishing
    assert (part.server, part.tsig_secret_file, part.ttl_seconds) == (
        "192.0.2.53:53",
        tmp_path / "tsig",
        60.0,
    )
    assert part.is_automatic


@pytest.mark.parametrize("address", ["example.com", "a b@example.com", "a;b@example.com", "a@b"])
def test_addresses_for_reports_fit_into_a_record(tmp_path: Path, address: str) -> None:
    text = GOOD + f'[publishing]\ndmarc_reports = "{address}"\n'
    [(_, key, _)] = problems(tmp_path, text)
    assert key == "publishing.dmarc_reports"
