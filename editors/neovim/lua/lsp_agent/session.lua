-- One session as a fold: events of the server in, a plain view model and a list of effects out.
-- Pure: no vim.api, no clock, no I/O, so that recorded transcripts test it and every editor can share them.
-- Text is kept in pieces and joined when somebody looks: ten thousand deltas cost what they weigh.

local values = require('lsp_agent.values')

local M = {}

local EPHEMERAL = {
  agent_message_chunk = true,
  agent_thought_chunk = true,
  tool_input_chunk = true,
  tool_call_content_chunk = true,
  terminal_output_chunk = true,
  usage_update = true,
  resync = true,
}

---A session nothing is known of yet.
---@param id string
---@return lsp_agent.Session
function M.new(id)
  return {
    id = id,
    seq = 0,
    title = '',
    state = 'idle',
    order = {},
    messages = {},
    tools = {},
    terminals = {},
    stored = 0,
    queue = { revision = 0, count = 0, items = {} },
    pending = {},
    questions = {},
    plan = {},
    options = {},
    changes = {},
    notices = {},
    completes = {},
  }
end

M.present, M.without_null = values.present, values.without_null
local present = M.present

---The texts of a content list joined.
---@param content any
---@return string
local function joined(content)
  local texts = {}
  for _, part in ipairs(type(content) == 'table' and content or {}) do
    if part.type == 'text' and type(part.text) == 'string' then
      texts[#texts + 1] = part.text
    elseif part.type == 'content' and type(part.content) == 'table' then
      texts[#texts + 1] = part.content.text or ''
    end
  end
  return table.concat(texts)
end

---The whole text (or thought) of a message.
---@param message lsp_agent.LiveMessage
---@param field 'text'|'thought'
---@return string
function M.text(message, field)
  local pieces = message.pieces[field]
  if #pieces > 1 then
    pieces = { table.concat(pieces) }
    message.pieces[field] = pieces
  end
  return pieces[1] or ''
end

---The output of a tool call.
---@param tool lsp_agent.LiveTool
---@return string
function M.output(tool)
  if #tool.pieces > 0 then
    tool.output = tool.output .. table.concat(tool.pieces)
    tool.pieces = {}
  end
  return tool.output
end

---The message of that id, made when it is new.
---@param session lsp_agent.Session
---@param id string
---@param role string
---@param at integer? Position; at the end when absent
---@return lsp_agent.LiveMessage message
---@return boolean is_new
function M.ensure_message(session, id, role, at)
  local message = session.messages[id]
  if message then
    return message, false
  end
  message = { id = id, role = role, pieces = { text = {}, thought = {} }, tools = {}, attachments = {} }
  session.messages[id] = message
  table.insert(session.order, at or #session.order + 1, message)
  return message, true
end

---The tool call of that id, made when it is new.
---@param session lsp_agent.Session
---@param message lsp_agent.LiveMessage
---@param id string
---@return lsp_agent.LiveTool
function M.ensure_tool(session, message, id)
  local held = session.tools[id]
  if held then
    return held.tool
  end
  local tool = { id = id, name = '', title = '', kind = 'other', status = 'pending', output = '', pieces = {} }
  message.tools[#message.tools + 1] = tool
  session.tools[id] = { message = message, tool = tool }
  return tool
end

---@type table<string, lsp_agent.Handler>
local handlers = {}

for _, part in ipairs({ require('lsp_agent.deciding'), require('lsp_agent.terminals'), values }) do
  for name, handle in pairs(part.HANDLERS) do
    handlers[name] = handle
  end
end

function handlers.user_message(session, update)
  local message = M.ensure_message(session, update.messageId, 'user')
  message.role = 'user'
  message.pieces.text = { joined(update.content) }
  message.attachments = present(update.attachments) or {}
  message.finish = { reason = 'stop' }
  return { { op = 'message', id = message.id } }
end

---@param field 'text'|'thought'
---@return lsp_agent.Handler
local function chunk_of(field)
  return function(session, update)
    local message, is_new = M.ensure_message(session, update.messageId, 'assistant')
    local text = update.content and update.content.text or ''
    table.insert(message.pieces[field], text)
    local effect = { op = field, id = message.id, append = text }
    return is_new and { { op = 'message', id = message.id }, effect } or { effect }
  end
end

handlers.agent_message_chunk = chunk_of('text')
handlers.agent_thought_chunk = chunk_of('thought')

---@param field 'text'|'thought'
---@return lsp_agent.Handler
local function full_of(field)
  return function(session, update)
    local message, is_new = M.ensure_message(session, update.messageId, 'assistant')
    local whole, effects = joined(update.content), {}
    if is_new or present(update.finish) or (present(update.model) and message.model ~= update.model) then
      effects[1] = { op = 'message', id = message.id }
    end
    message.model = present(update.model) or message.model
    message.finish = present(update.finish) or message.finish
    if update.content ~= nil and M.text(message, field) ~= whole then
      message.pieces[field] = { whole }
      effects[#effects + 1] = { op = field, id = message.id }
    end
    return effects
  end
end

handlers.agent_message = full_of('text')
handlers.agent_thought = full_of('thought')

local TOOL_FIELDS =
  { name = 'name', title = 'title', kind = 'kind', status = 'status', locations = 'locations', rawInput = 'input' }

function handlers.tool_call_update(session, update)
  local held = session.tools[update.toolCallId]
  local message_id = held and held.message.id or present(update.messageId) or update.toolCallId
  local message, is_new = M.ensure_message(session, message_id, 'assistant')
  local tool = M.ensure_tool(session, message, update.toolCallId)
  for wire, field in pairs(TOOL_FIELDS) do
    if update[wire] ~= nil then
      tool[field] = present(update[wire])
    end
  end
  if update.content ~= nil then
    tool.output, tool.pieces, tool.unread = joined(present(update.content)), {}, nil
  end
  local effect = { op = 'tool', id = message.id, tool = tool.id }
  return is_new and { { op = 'message', id = message.id }, effect } or { effect }
end

function handlers.tool_call_content_chunk(session, update)
  local held = session.tools[update.toolCallId]
  if not held then
    return {}
  end
  table.insert(held.tool.pieces, update.content and update.content.text or '')
  return { { op = 'tool', id = held.message.id, tool = held.tool.id } }
end

---Take in one `agent/event`. A durable event that is known already, and events of another session, change nothing.
---@param session lsp_agent.Session
---@param event lsp_agent.Event
---@return lsp_agent.Effect[]
function M.apply(session, event)
  local update = event.update
  local kind = update and update.sessionUpdate
  if event.sessionId ~= session.id or type(kind) ~= 'string' then
    return {}
  end
  if not EPHEMERAL[kind] then
    if event.seq <= session.seq then
      return {}
    end
    session.seq = event.seq
  end
  for _, value in pairs(update) do
    values.without_null(value) -- a field of the update itself that is null is one that was cleared
  end
  local handle = handlers[kind]
  return handle and handle(session, update, event) or {}
end

---Take in `agent/runComplete`.
---@param session lsp_agent.Session
---@param params lsp_agent.Json
---@return lsp_agent.Effect[]
function M.complete(session, params)
  if params.sessionId ~= session.id or params.seq <= session.seq then
    return {}
  end
  session.seq = params.seq
  values.without_null(params)
  local done = {
    runId = params.runId,
    stopReason = params.stopReason,
    cancelled = params.cancelled,
    error = params.error,
  }
  table.insert(session.completes, done)
  if session.active_run == done.runId then
    session.active_run = nil
  end
  return { { op = 'complete', value = params } }
end

---Ready the session for a stream that begins again: what is being written right now is sent once more as a whole.
---@param session lsp_agent.Session
function M.restart_streams(session)
  for _, message in ipairs(session.order) do
    if message.role == 'assistant' and not message.finish then
      message.pieces = { text = {}, thought = {} }
    end
  end
end

---The view model: plain JSON, independent of the session.
---@param session lsp_agent.Session
---@return lsp_agent.ViewModel
function M.view_model(session)
  local messages = {}
  for index, message in ipairs(session.order) do
    local tools = {}
    for number, tool in ipairs(message.tools) do
      tools[number] = {
        id = tool.id,
        name = tool.name,
        title = tool.title,
        kind = tool.kind,
        status = tool.status,
        input = tool.input,
        output = M.output(tool),
        locations = tool.locations,
        terminal = tool.terminal,
      }
    end
    messages[index] = {
      id = message.id,
      role = message.role,
      text = M.text(message, 'text'),
      thought = M.text(message, 'thought'),
      tools = tools,
      attachments = message.attachments,
      finish = message.finish,
      model = message.model,
    }
  end
  return {
    sessionId = session.id,
    seq = session.seq,
    title = session.title,
    state = session.state,
    messages = messages,
    queue = session.queue,
    pending = session.pending,
    questions = #session.questions > 0 and session.questions or nil,
    usage = session.usage,
    plan = session.plan,
    options = session.options,
    changes = session.changes,
    notices = session.notices,
    completes = session.completes,
  }
end

return M
