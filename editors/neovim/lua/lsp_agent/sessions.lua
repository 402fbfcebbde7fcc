-- Sessions of a workspace: pick, begin, rename, fork, export, compact; and their options, mode and model.

local M = {}

---@param info lsp_agent.Json
---@return string
local function line_of(info)
  local when = (info.updatedAt or ''):sub(1, 16):gsub('T', ' ')
  local busy = info.isBusy and ' · busy' or ''
  return ('%s  %s (%d messages%s)'):format(when, info.title, info.messageCount or 0, busy)
end

---Pick one of the workspace's sessions; the newest first.
---@param chat lsp_agent.Chat
function M.pick(chat)
  chat:when_ready(function()
    chat:request('agent/session/list', { root = vim.uri_from_fname(chat.root), limit = 200 }, function(result)
      if #result.sessions == 0 then
        return vim.notify('lsp-agent: no sessions yet')
      end
      local options = { prompt = 'Session', kind = 'lsp_agent_session', format_item = line_of }
      vim.ui.select(result.sessions, options, function(info)
        if info then
          M.switch(chat, info.sessionId)
        end
      end)
    end)
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
---@param title string?
function M.rename(chat, title)
  ---@param text string?
  local function rename(text)
    if text and text ~= '' then
      chat:in_session('agent/session/rename', { title = text })
    end
  end
  if title and title ~= '' then
    return rename(title)
  end
  local session = chat:session()
  vim.ui.input({ prompt = 'Title: ', default = session and session.title or '' }, rename)
end

---Go on in a copy of the session.
---@param chat lsp_agent.Chat
function M.fork(chat)
  chat:in_session('agent/session/fork', {}, function(result)
    M.switch(chat, result.sessionId)
  end)
end

---The session as a text in a new buffer.
---@param chat lsp_agent.Chat
---@param format string? markdown or json
function M.export(chat, format)
  format = format == 'json' and 'json' or 'markdown'
  chat:in_session('agent/session/export', { format = format }, function(result)
    vim.cmd.new()
    vim.bo.buftype, vim.bo.bufhidden = 'nofile', 'wipe'
    vim.bo.filetype = format
    vim.api.nvim_buf_set_lines(0, 0, -1, false, vim.split(result.text, '\n', { plain = true }))
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
  chat.next_options[option_id == 'mode' and 'mode' or 'model'] = value
  vim.notify(('lsp-agent: %s for the next session'):format(value))
end

M.MODES = { 'ask', 'plan', 'accept-edits', 'full-auto' }

---@param chat lsp_agent.Chat
---@param mode string? Absent: pick
function M.mode(chat, mode)
  if mode and mode ~= '' then
    return M.configure(chat, 'mode', mode)
  end
  vim.ui.select(M.MODES, { prompt = 'Mode', kind = 'lsp_agent_mode' }, function(chosen)
    if chosen then
      M.configure(chat, 'mode', chosen)
    end
  end)
end

---@param chat lsp_agent.Chat
---@param model string? `provider/model`; absent: pick
function M.model(chat, model)
  if model and model ~= '' then
    return M.configure(chat, 'model.large', model)
  end
  chat:when_ready(function()
    chat:request('agent/models/list', { limit = 200 }, function(result)
      local function format(item)
        return ('%s%s'):format(item.id, item.id == result.large and '  (in use)' or '')
      end
      local options = { prompt = 'Model', kind = 'lsp_agent_model', format_item = format }
      vim.ui.select(result.models, options, function(chosen)
        if chosen then
          M.configure(chat, 'model.large', chosen.id)
        end
      end)
    end)
  end)
end

return M
