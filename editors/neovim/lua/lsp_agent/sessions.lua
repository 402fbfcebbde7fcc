-- What is done with a session: begin, show, rename, fork, export, delete, compact; and its options: mode, model,
-- thinking.

local M = {}

---Call `go` with the session that is shown; says so when there is none.
---@param chat lsp_agent.Chat
---@param go fun(session: lsp_agent.Session)
function M.with_current(chat, go)
  chat:when_ready(function()
    local session = chat:session()
    if not session then
      return vim.notify('lsp-agent: no session yet; ask something first')
    end
    go(session)
  end)
end

---Show a session and follow it.
---@param chat lsp_agent.Chat
---@param session_id string
function M.switch(chat, session_id)
  chat:when_ready(function()
    chat:attach(session_id, function()
      require('lsp_agent.windows').open(chat)
    end)
  end)
end

---Begin afresh: the session is made with the next prompt, or now when it gets a title.
---@param chat lsp_agent.Chat
---@param title string?
function M.new(chat, title)
  if not title or title == '' then
    return chat:show(nil)
  end
  chat:when_ready(function()
    chat:request('agent/session/new', { title = title }, function(result)
      M.switch(chat, result.sessionId)
    end)
  end)
end

---@param chat lsp_agent.Chat
---@param info { sessionId: string, title: string }
---@param done fun()?
---@param title string? Absent: ask for it
function M.rename_to(chat, info, done, title)
  ---@param text string?
  local function rename(text)
    if text and text ~= '' then
      chat:request('agent/session/rename', { sessionId = info.sessionId, title = text }, done)
    end
  end
  if title and title ~= '' then
    return rename(title)
  end
  vim.ui.input({ prompt = 'Title: ', default = info.title }, rename)
end

---Give the session that is shown another title.
---@param chat lsp_agent.Chat
---@param title string?
function M.rename(chat, title)
  M.with_current(chat, function(session)
    M.rename_to(chat, { sessionId = session.id, title = session.title }, nil, title)
  end)
end

---Go on in a copy of a session.
---@param chat lsp_agent.Chat
---@param session_id string? Default: the one that is shown
function M.fork(chat, session_id)
  local params = { sessionId = session_id ~= '' and session_id or nil }
  chat:in_session('agent/session/fork', params, function(result)
    M.switch(chat, result.sessionId)
  end)
end

---A session as a text in a new buffer.
---@param chat lsp_agent.Chat
---@param format string? markdown or json
---@param session_id string? Default: the one that is shown
function M.export(chat, format, session_id)
  format = format == 'json' and 'json' or 'markdown'
  chat:in_session('agent/session/export', { format = format, sessionId = session_id }, function(result)
    require('lsp_agent.windows').scratch(vim.split(result.text, '\n', { plain = true }), format)
  end)
end

---Delete a session, when the user says so once more. Nothing is the default.
---@param chat lsp_agent.Chat
---@param info { sessionId: string, title: string }
---@param done fun()?
function M.delete(chat, info, done)
  local prompt = ('Delete "%s"? It cannot be taken back.'):format(info.title)
  vim.ui.select({ 'Keep it', 'Delete it' }, { prompt = prompt, kind = 'lsp_agent_delete' }, function(_, index)
    if index ~= 2 then
      return
    end
    chat:request('agent/session/delete', { sessionId = info.sessionId }, function()
      chat:forget(info.sessionId)
      return done and done()
    end)
  end)
end

---Delete the session that is shown.
---@param chat lsp_agent.Chat
function M.delete_current(chat)
  M.with_current(chat, function(session)
    M.delete(chat, { sessionId = session.id, title = session.title })
  end)
end

---Summarize the session to make room.
---@param chat lsp_agent.Chat
function M.compact(chat)
  chat:in_session('agent/session/compact', {}, function(result)
    vim.notify('lsp-agent: ' .. (result.state == 'started' and 'summarizing' or 'nothing to summarize'))
  end)
end

---Set an option of the session; before there is one it counts for the next.
---@param chat lsp_agent.Chat
---@param option_id string
---@param value string
function M.configure(chat, option_id, value)
  if chat.current then
    return chat:in_session('agent/session/configure', { optionId = option_id, value = value })
  end
  local names = { mode = 'mode', ['model.large'] = 'model' }
  if not names[option_id] then
    return vim.notify('lsp-agent: no session yet; ask something first')
  end
  chat.next_options[names[option_id]] = value
  vim.notify(('lsp-agent: %s for the next session'):format(value))
end

M.MODES = { 'ask', 'plan', 'accept-edits', 'full-auto' }

---What an option of the session that is shown may be; empty when the server has not told.
---@param chat lsp_agent.Chat
---@param option_id string
---@return string[]
function M.choices(chat, option_id)
  local session = chat:session()
  for _, option in ipairs(session and session.options or {}) do
    if option.optionId == option_id then
      return option.choices or {}
    end
  end
  return {}
end

---Choose one of `items` and set the option to it.
---@param chat lsp_agent.Chat
---@param option_id string
---@param items string[]
---@param prompt string
---@param in_force string? The one that is marked
local function pick(chat, option_id, items, prompt, in_force)
  local options = {
    prompt = prompt,
    kind = 'lsp_agent_' .. option_id:gsub('%.large$', ''),
    format_item = function(item)
      return item .. (item == in_force and '  (in use)' or '')
    end,
  }
  vim.ui.select(items, options, function(chosen)
    if chosen then
      M.configure(chat, option_id, chosen)
    end
  end)
end

---@param chat lsp_agent.Chat
---@param option_id string
---@return string?
local function in_force(chat, option_id)
  local session = chat:session()
  return session and require('lsp_agent.status').option(session, option_id)
end

---@param chat lsp_agent.Chat
---@param mode string? Absent: pick
function M.mode(chat, mode)
  if mode and mode ~= '' then
    return M.configure(chat, 'mode', mode)
  end
  pick(chat, 'mode', M.MODES, 'Mode', in_force(chat, 'mode'))
end

---@type lsp_agent.Json[] What the server told last, for completion
M.models = {}

---Ask which models there are.
---@param chat lsp_agent.Chat
---@param done fun(in_use: string?)
local function load_models(chat, done)
  chat:when_ready(function()
    chat:request('agent/models/list', { limit = 200 }, function(result)
      M.models = result.models
      done(in_force(chat, 'model.large') or chat.next_options.model or result.large)
    end)
  end)
end

---@return string[]
function M.model_ids()
  return vim.tbl_map(function(item)
    return item.id
  end, M.models)
end

---How much the model thinks before it answers.
---@param chat lsp_agent.Chat
---@param effort string? Absent: pick
function M.thinking(chat, effort)
  if effort and effort ~= '' then
    return M.configure(chat, 'thinking', effort)
  end
  load_models(chat, function(in_use)
    local model = vim.iter(M.models):find(function(item)
      return item.id == in_use
    end)
    local choices = vim.list_extend({}, M.choices(chat, 'thinking'))
    if #choices == 0 and model and model.canReason then
      choices = { 'off', 'on' }
    end
    for _, level in ipairs(model and model.reasoningEfforts or {}) do
      if not vim.list_contains(choices, level) then
        table.insert(choices, level)
      end
    end
    if #choices == 0 then
      return vim.notify('lsp-agent: this model does not think aloud')
    end
    pick(chat, 'thinking', choices, 'Thinking', in_force(chat, 'thinking'))
  end)
end

---@param chat lsp_agent.Chat
---@param model string? `provider/model`; absent: pick
function M.model(chat, model)
  if model and model ~= '' then
    return M.configure(chat, 'model.large', model)
  end
  load_models(chat, function(in_use)
    pick(chat, 'model.large', M.model_ids(), 'Model', in_use)
  end)
end

return M
