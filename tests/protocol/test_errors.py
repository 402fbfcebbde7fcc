import subprocess
import sys

import pytest

from lsp_agent.domain import errors as domain
from lsp_agent.protocol.codes import CODES, EXTRA_FIELDS
from lsp_agent.protocol.errors import error_object

SPECIFIED = {
    "UnsupportedVersion": -31001,
    "AuthRequired": -31002,
    "SessionNotFound": -31003,
    "RunNotFound": -31004,
    "SessionBusy": -31005,
    "RunMismatch": -31006,
    "DuplicateRun": -31007,
    "QueueFull": -31008,
    "Overloaded": -31009,
    "StaleDocument": -31010,
    "ChangeConflict": -31011,
    "RevisionConflict": -31012,
    "CapabilityMissing": -31013,
    "ShuttingDown": -31014,
    "WorkspaceUntrusted": -31015,
}
SAMPLES = [
    domain.AgentError("/home/me/secret"),
    domain.RequestRejected("SessionNotFound", "No such session", id="s9"),
    domain.ProviderError("ProviderAuth", "Key", "The key was refused"),
    domain.ProviderError("RateLimited", "Slow down", "Too many requests", retryable=True),
    domain.ProviderError("Provider", "Broken", "It broke"),
    domain.ToolError("/home/me/secret"),
    domain.StoreError("/home/me/secret", retryable=True),
    domain.WorkspaceError("/home/me/secret"),
    domain.OutsideWorkspace("/home/me/secret"),
    domain.FileUnreadable("/home/me/secret", "binary"),
    domain.EditRefused("/home/me/secret"),
    domain.DocumentChanged("/home/me/secret"),
    RuntimeError("/home/me/secret"),
]


@pytest.mark.parametrize("kind", sorted(SPECIFIED))
def test_every_kind_of_the_specification_has_its_code_and_its_fields(kind):
    wire = error_object(domain.RequestRejected(kind, "text"))
    assert wire["code"] == SPECIFIED[kind]
    assert wire["message"] == "text"
    assert wire["data"]["kind"] == kind
    assert isinstance(wire["data"]["retryable"], bool)
    assert set(EXTRA_FIELDS.get(kind, ())) <= set(wire["data"])


def test_the_fields_of_a_rejection_are_its_data():
    wire = error_object(domain.RequestRejected("StaleDocument", "old", uri="file:///a", wanted=3, have=2))
    assert wire["data"] == {"kind": "StaleDocument", "retryable": True, "uri": "file:///a", "wanted": 3, "have": 2}


def test_bad_params_always_carry_a_path():
    assert error_object(domain.RequestRejected("InvalidParams", "x", path="a[0]"))["data"]["path"] == "a[0]"
    assert error_object(domain.RequestRejected("EmptyPrompt", "x"))["data"]["path"] == "prompt"
    assert error_object(domain.RequestRejected("EmptyPrompt", "x"))["code"] == -32602


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_every_class_of_error_has_a_row_and_leaks_no_path(error):
    wire = error_object(error)
    assert wire["code"] in CODES.values()
    assert "/home" not in str(wire)
    assert wire["data"]["kind"] in CODES


def test_every_error_class_of_the_domain_is_among_the_samples():
    tree = {cls for cls in vars(domain).values() if isinstance(cls, type) and issubclass(cls, domain.AgentError)}
    assert tree <= {type(error) for error in SAMPLES}


def test_the_error_table_and_the_conversions_are_importable_without_pydantic():
    code = (
        "import sys, lsp_agent.protocol.codes, lsp_agent.protocol.errors, lsp_agent.protocol.convert;"
        "sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
