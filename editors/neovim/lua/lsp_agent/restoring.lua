-- Restoring a session from what the server has stored: snapshots, pages of messages, the answer of an attach.
-- Pure, like the fold it fills.

local fold = require('lsp_agent.session')

local M = {}

local present = fold.present

---@type table<string, fun(session: lsp_agent.Session, message: lsp_agent.LiveMessage, part: lsp_agent.Json)>
local parts = {}

function parts.text(_, message, part)
  table.insert(message.pieces.text, part.text or '')
end

function parts.reasoning(_, message, part)
  table.insert(message.pieces.thought, part.text or '')
end

function parts.attachment(_, message, part)
  -- as `user_message` announces it: its kind is its type, its text stays in the store
  local shown = { type = part.kind }
  for _, name in ipairs({ 'mimeType', 'uri', 'path', 'name', 'startLine', 'endLine', 'version' }) do
    shown[name] = present(part[name])
  end
  table.insert(message.attachments, shown)
end

function parts.shell(_, message, part)
  table.insert(message.pieces.text, ('$ %s\n%s'):format(part.command or '', part.output or ''))
end

function parts.tool_call(session, message, part)
  local tool = fold.ensure_tool(session, message, part.toolCallId)
  tool.name, tool.title, tool.input = part.name, tool.title ~= '' and tool.title or part.name, part.input
end

function parts.tool_result(session, _, part)
  local held = session.tools[part.toolCallId]
  if held then
    held.tool.output = part.content or ''
    held.tool.status = part.isError and 'failed' or 'completed'
  end
end

---Take in stored messages (`snapshot.messages`, or a page of `agent/session/read`), before those that came live.
---@param session lsp_agent.Session
---@param messages lsp_agent.Json[]
function M.load(session, messages)
  for _, stored in ipairs(messages) do
    local is_tool = stored.role == 'tool'
    if is_tool or not session.messages[stored.messageId] then
      local message = { attachments = {}, pieces = { text = {}, thought = {} } }
      if not is_tool then
        session.stored = session.stored + 1
        message = fold.ensure_message(session, stored.messageId, stored.role, session.stored)
        message.model, message.finish = present(stored.model), present(stored.finish)
      end
      for _, part in ipairs(stored.parts or {}) do
        if parts[part.type] then
          parts[part.type](session, message, part)
        end
      end
    end
  end
end

---A session as `agent/session/attach` answers it.
---@param session lsp_agent.Session
---@param result lsp_agent.Json
---@return lsp_agent.Session the same for a replay, a new one for a snapshot
function M.attached(session, result)
  if result.mode == 'snapshot' then
    session = fold.new(session.id)
    session.seq = result.seq
    local snapshot = present(result.snapshot) or {}
    local info = present(snapshot.session) or {}
    session.title, session.plan = present(info.title) or '', present(info.todos) or {}
    session.queue.revision = present(result.queueRevision) or 0
    M.load(session, present(snapshot.messages) or {})
  end
  fold.restart_streams(session)
  session.active_run = present(result.activeRunId)
  session.state = session.active_run and 'running' or session.state
  local pending = present(result.pending) or {}
  session.pending = present(pending.permissions) or {}
  session.questions = present(pending.questions) or {}
  return session
end

local SUB_AGENTS = { agent = true, agentic_fetch = true }
local MAX_CHILDREN = 20

---The sub-agents a session has had, the last ones, by the names the server gives them: `MESSAGE$$CALL`.
---@param session lsp_agent.Session
---@return { sessionId: string, toolCallId: string }[]
function M.children_of(session)
  local found = {}
  for _, message in ipairs(session.order) do
    for _, tool in ipairs(message.tools) do
      if SUB_AGENTS[tool.name] and #tool.id <= 100 and tool.id:match('^[%w_.:-]+$') then
        found[#found + 1] = { sessionId = ('%s$$%s'):format(message.id, tool.id), toolCallId = tool.id }
      end
    end
  end
  return vim.list_slice(found, math.max(#found - MAX_CHILDREN + 1, 1))
end

return M
