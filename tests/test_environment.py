"""Environment variables that look like settings but are none: when, and how, to warn of them."""

import pytest

from job_service.environment import unknown_settings

KNOWN = ["JOB_SERVICE_PORT", "JOB_SERVICE_WORKERS", "JOB_SERVICE_STALL_THRESHOLD"]

BY_KUBERNETES = {
    "JOB_SERVICE_SERVICE_HOST": "10.0.0.1",
    "JOB_SERVICE_SERVICE_PORT": "80",
    "JOB_SERVICE_SERVICE_PORT_HTTP": "80",
    "JOB_SERVICE_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    "JOB_SERVICE_PORT_8080_TCP_PROTO": "tcp",
    "JOB_SERVICE_PORT_8080_TCP_PORT": "8080",
    "JOB_SERVICE_PORT_8080_TCP_ADDR": "10.0.0.1",
    "JOB_SERVICE_DB_PORT": "tcp://10.0.0.2:5432",  # of a Service that is called job-service-db
    "JOB_SERVICE_DB_SERVICE_HOST": "10.0.0.2",
    "JOB_SERVICE_DB_PORT_5432_UDP_ADDR": "10.0.0.2",
}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("JOB_SERVICE_PROT", "did you mean JOB_SERVICE_PORT?"),
        ("JOB_SERVICE_WORKER", "did you mean JOB_SERVICE_WORKERS?"),
        ("JOB_SERVICE_STALL_TRESHOLD", "did you mean JOB_SERVICE_STALL_THRESHOLD?"),
        ("JOB_SERVICE_COLOUR", "--help lists all options"),
        ("JOB_SERVICE_", "--help lists all options"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_one_that_may_be_meant(name: str, hint: str) -> None:
    """Otherwise nobody would notice that the default is used."""
    said = list(unknown_settings({name: "80"}, KNOWN))
    assert said == [f"{name} is not a setting, and is ignored: {hint}"]


def test_settings_and_variables_of_other_programs_are_no_mistake() -> None:
    """There is no warning for them."""
    environment = dict.fromkeys(KNOWN, "1") | {"PATH": "/bin", "JOB_SERVER": "1"}
    assert list(unknown_settings(environment, KNOWN)) == []


@pytest.mark.parametrize("name", BY_KUBERNETES)
def test_variables_that_kubernetes_sets_are_no_mistake(name: str) -> None:
    """It sets them in every container for a Service whose name begins like ours."""
    assert list(unknown_settings({name: BY_KUBERNETES[name]}, KNOWN)) == []
