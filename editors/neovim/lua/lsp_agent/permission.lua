-- Permissions the agent asks for: by key in the chat buffer, or by vim.ui.select. Several wait in the order they came.

local config = require('lsp_agent.config')

local M = {}

---A question has come: show it.
---@param chat lsp_agent.Chat
---@param record lsp_agent.Permission
function M.asked(chat, record)
  if config.get().permission == 'select' then
    return vim.schedule(function()
      M.menu(chat, record)
    end)
  end
  if not chat:shows(record.sessionId) then
    return vim.notify(('lsp-agent: another session asks: %s (see :Agent sessions)'):format(record.title))
  end
  if not chat.view:is_visible() then
    require('lsp_agent.windows').open(chat)
  end
end

---The permission at the cursor of the chat, else the oldest.
---@param chat lsp_agent.Chat
---@return lsp_agent.Permission?
local function meant(chat)
  local waiting, id = chat:waiting_for('pending'), chat.view:at_cursor('permission')
  for _, record in ipairs(waiting) do
    if record.requestId == id then
      return record
    end
  end
  if not waiting[1] then
    vim.notify('lsp-agent: nothing is asked')
  end
  return waiting[1]
end

---@param chat lsp_agent.Chat
---@param record lsp_agent.Permission
---@param outcome lsp_agent.Json
local function respond(chat, record, outcome)
  chat:request('agent/permission/respond', { requestId = record.requestId, outcome = outcome }, function(result)
    if not result.accepted then
      vim.notify(('lsp-agent: answered already by %s'):format(result.resolvedBy or 'somebody else'))
    end
  end)
end

---Answer the permission with an option of a kind; says so when that is not offered.
---@param chat lsp_agent.Chat
---@param kind string
---@param message string? For the model, with a rejection
function M.answer(chat, kind, message)
  local record = meant(chat)
  if not record then
    return
  end
  for _, option in ipairs(record.options) do
    if option.kind == kind then
      return respond(chat, record, { type = 'selected', optionId = option.optionId, message = message })
    end
  end
  vim.notify(('lsp-agent: "%s" is not offered here'):format((kind:gsub('_', ' '))), vim.log.levels.WARN)
end

---Reject the permission and tell the model why.
---@param chat lsp_agent.Chat
function M.reject_with_message(chat)
  if not meant(chat) then
    return
  end
  vim.ui.input({ prompt = 'Reject, because: ' }, function(text)
    if text and text ~= '' then
      M.answer(chat, 'reject_once', text)
    end
  end)
end

---All options of a permission in vim.ui.select. Closing it answers nothing.
---@param chat lsp_agent.Chat
---@param record lsp_agent.Permission? Default: the oldest
function M.menu(chat, record)
  record = record or meant(chat)
  if not record then
    return
  end
  vim.ui.select(record.options, {
    prompt = record.title,
    kind = 'lsp_agent_permission',
    format_item = function(option)
      return option.name
    end,
  }, function(option)
    if option then
      respond(chat, record, { type = 'selected', optionId = option.optionId })
    end
  end)
end

return M
