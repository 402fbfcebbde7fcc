"""Every `agent/*` method: what it takes, what it gives, who calls it."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lsp_agent.protocol import catalogs, changes, decisions, editor, events, runs, sessions
from lsp_agent.protocol.base import Wire


@dataclass(frozen=True, slots=True)
class Method:
    """One method. `result` None = a notification. `from_client`: the client sends it."""

    name: str
    params: type[Wire]
    result: type[Wire] | None
    from_client: bool = True

    @property
    def is_request(self) -> bool:
        """True when it is answered."""
        return self.result is not None


_TABLE = (
    # 3 runs
    Method("agent/run", runs.RunParams, runs.RunResult),
    Method("agent/steer", runs.SteerParams, runs.SteerResult),
    Method("agent/cancel", runs.CancelParams, runs.CancelResult),
    Method("agent/queue", runs.QueueParams, runs.QueueResult),
    Method("agent/status", runs.StatusParams, runs.StatusResult),
    # 4 sessions
    Method("agent/session/new", sessions.SessionNewParams, sessions.SessionResult),
    Method("agent/session/list", sessions.SessionListParams, sessions.SessionListResult),
    Method("agent/session/get", sessions.SessionParams, sessions.SessionInfo),
    Method("agent/session/read", sessions.SessionReadParams, sessions.SessionReadResult),
    Method("agent/session/rename", sessions.SessionRenameParams, sessions.SessionDoneResult),
    Method("agent/session/delete", sessions.SessionParams, sessions.SessionDoneResult),
    Method("agent/session/fork", sessions.SessionForkParams, sessions.SessionResult),
    Method("agent/session/export", sessions.SessionExportParams, sessions.SessionExportResult),
    Method("agent/session/compact", sessions.SessionParams, sessions.SessionCompactResult),
    Method("agent/session/configure", sessions.SessionConfigureParams, sessions.SessionConfigureResult),
    Method("agent/session/attach", sessions.SessionAttachParams, sessions.SessionAttachResult),
    Method("agent/session/detach", sessions.SessionDetachParams, sessions.SessionDoneResult),
    # 5 decisions
    Method("agent/permission/respond", decisions.PermissionRespondParams, decisions.RespondResult),
    Method("agent/question/respond", decisions.QuestionRespondParams, decisions.RespondResult),
    # 6 changes and checkpoints
    Method("agent/changes/list", changes.ChangesListParams, changes.ChangesListResult),
    Method("agent/changes/resolve", changes.ChangesResolveParams, changes.ChangesResolveResult),
    Method("agent/checkpoint/list", changes.CheckpointListParams, changes.CheckpointListResult),
    Method("agent/checkpoint/restore", changes.CheckpointRestoreParams, changes.CheckpointRestoreResult),
    # 7 other requests
    Method("agent/models/list", catalogs.ListParams, catalogs.ModelsListResult),
    Method("agent/tools/list", catalogs.ListParams, catalogs.ToolsListResult),
    Method("agent/commands/list", catalogs.ListParams, catalogs.CommandsListResult),
    Method("agent/rules/list", catalogs.ListParams, catalogs.RulesListResult),
    Method("agent/mcp/list", catalogs.ListParams, catalogs.McpListResult),
    Method("agent/mcp/restart", catalogs.McpParams, catalogs.McpResult),
    Method("agent/mcp/login", catalogs.McpParams, catalogs.McpResult),
    Method("agent/terminal/list", catalogs.TerminalListParams, catalogs.TerminalListResult),
    Method("agent/terminal/read", catalogs.TerminalReadParams, catalogs.TerminalReadResult),
    Method("agent/terminal/kill", catalogs.TerminalParams, catalogs.TerminalKillResult),
    Method("agent/mention/complete", catalogs.MentionCompleteParams, catalogs.MentionCompleteResult),
    Method("agent/trust/get", catalogs.TrustGetParams, catalogs.TrustResult),
    Method("agent/trust/set", catalogs.TrustSetParams, catalogs.TrustResult),
    # 8, 9 from the server
    Method("agent/event", events.EventParams, None, from_client=False),
    Method("agent/runComplete", events.RunCompleteParams, None, from_client=False),
    # 14 the editor's side
    Method("agent/editor/didFocus", editor.DidFocusParams, None),
    Method("agent/editor/didChangeSelection", editor.DidChangeSelectionParams, None),
    Method("agent/editor/didPublishDiagnostics", editor.DidPublishDiagnosticsParams, None),
    Method("agent/editor/lsp", editor.EditorLspParams, editor.EditorLspResult, from_client=False),
)

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _TABLE})
"""By name, in the order of PROTOCOL."""
