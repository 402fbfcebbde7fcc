-- What the agent does as the progress of its language client, as if the server reported it: for `vim.lsp.status()`, the
-- LspProgress event, and every plugin that shows either.

local M = {}

local TOKEN = 'lsp-agent/run'
local TITLE = 'Agent'

---@type table<string, string> What was reported last, by root; nil while nothing runs
local said = {}

---@param chat lsp_agent.Chat
---@param value { kind: 'begin'|'report'|'end', title: string?, message: string? }
local function report(chat, value)
  local client = chat:client()
  if client then
    local params = { token = TOKEN, value = value }
    vim.lsp.handlers['$/progress'](nil, params, { client_id = client.id, method = '$/progress' })
  end
end

---@param session lsp_agent.Session
---@return string
local function line_of(session)
  if session.state == 'requires_action' then
    return 'waits for your answer'
  end
  local message = session.order[#session.order]
  local tool = message and message.tools[#message.tools]
  if tool and (tool.status == 'in_progress' or tool.status == 'pending') then
    return ((tool.title ~= '' and tool.title or tool.name):gsub('%s+', ' '))
  end
  return message and message.role ~= 'user' and 'writes' or 'thinks'
end

---Tell how far the session that is shown is.
---@param chat lsp_agent.Chat
function M.update(chat)
  local session = chat:session()
  if not session or session.state == 'idle' then
    return M.over(chat)
  end
  local line = line_of(session)
  if said[chat.root] == line then
    return
  end
  report(chat, { kind = said[chat.root] and 'report' or 'begin', title = TITLE, message = line })
  said[chat.root] = line
end

---Nothing runs any more.
---@param chat lsp_agent.Chat
function M.over(chat)
  if said[chat.root] then
    said[chat.root] = nil
    report(chat, { kind = 'end', message = 'done' })
  end
end

return M
